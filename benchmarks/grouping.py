"""The bare statements that group a source's rows as the three rollups of the service do."""

from __future__ import annotations

from collections.abc import Iterator

from django.db import DEFAULT_DB_ALIAS, connections

FINE = ("owner_id", "category_id", "currency", "status")
ROLLUPS = {"day": (*FINE, "day"), "month": (*FINE, "month"), "overview": (*FINE[1:], "month")}


def statements(table: str, using: str = DEFAULT_DB_ALIAS) -> Iterator[tuple[str, tuple[str, ...], str]]:
    """Yield each rollup's name, the columns of its dimensions, and the SELECT … GROUP BY for it.

    After the dimensions come ``amount``, as stored, and ``count``.
    """
    month = "CAST(DATE_TRUNC('month', spent_on) AS date)"
    if connections[using].vendor != "postgresql":
        month = "STRFTIME('%%Y-%%m-01', spent_on)"
    made = {"day": "spent_on", "month": month}
    for name, columns in ROLLUPS.items():
        selected = ", ".join(f"{made[column]} AS {column}" if column in made else column for column in columns)
        by = ", ".join(made.get(column, column) for column in columns)
        yield (
            name,
            columns,
            (
                f"SELECT {selected}, SUM(amount) AS amount, COUNT(*) AS count FROM {table} "
                f"WHERE status <> 'draft' GROUP BY {by}"
            ),
        )


def insert_into(totals: str, source: str, given: dict[str, str], using: str = DEFAULT_DB_ALIAS) -> None:
    """Insert the grouped rows into a table; ``given`` maps its other columns to SQL, ``rollup`` aside."""
    with connections[using].cursor() as cursor:
        for name, columns, grouped in statements(source, using):
            cursor.execute(
                f"INSERT INTO {totals} ({', '.join(['rollup', *given, *columns, 'amount', 'count'])}) "
                f"SELECT %s, {', '.join([*given.values(), 'grouped.*'])} FROM ({grouped}) AS grouped",
                [name],
            )


def count(source: str, using: str = DEFAULT_DB_ALIAS) -> None:
    """Group the rows and count the groups in the server."""
    with connections[using].cursor() as cursor:
        for _name, _columns, grouped in statements(source, using):
            cursor.execute(f"SELECT COUNT(*), %s FROM ({grouped}) AS grouped", [1])
