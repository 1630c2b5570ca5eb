"""The statement of a save that also reads what the row contributed before, and contributes now.

The images of a save then cost no round trips of their own, and are what the database stores:
defaults, expressions and generated columns as it computed them.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

from django.db import connections, models
from django.db.models import sql
from django.db.models.expressions import RawSQL

from aggregates import deltas, images, prepared
from aggregates.definitions import Definition


class Change(NamedTuple):
    """What one row contributed to a definition before a statement, and after it."""

    before: deltas.Image
    after: deltas.Image


def is_exact(using: str) -> bool:
    """Return whether a database can be asked so and answers right.

    MariaDB's UPDATE cannot return anything, and SQLite's RETURNING (3.40) takes NULL for a value
    in ``column IS NOT NULL``; to it a round trip costs nothing either.
    """
    return connections[using].vendor == "postgresql"


def insert(
    query: sql.InsertQuery, using: str, asked: Sequence[Any], definitions: Sequence[Definition]
) -> tuple[list[Any], list[Change]]:
    """Insert one row; return the values of the fields asked for, and a change for each definition."""
    compiler: Any = query.get_compiler(using=using)
    compiler.returning_fields = list(asked)
    ((statement, params),) = compiler.as_sql()
    columns = [images.returned(definition, using) for definition in definitions]
    row = _executed(
        f"{statement}{',' if asked else ' RETURNING'} {_list(columns)}", [*params, *_params(columns)], using
    )
    given, rest = row[: len(asked)], row[len(asked) :]
    converters = compiler.get_converters([field.get_col(query.get_meta().db_table) for field in asked])
    (converted,) = compiler.apply_converters([given], converters) if converters else [given]
    return [list(converted)] if asked else [], [
        Change({}, after) for after in _images(rest, columns, definitions, using)
    ]


def update(rows: models.QuerySet[Any], key: Any, values: Any, definitions: Sequence[Definition]) -> list[Change]:
    """Update the row with that key, locked and read before; return a change for each definition, or none without a row.

    The update finds its row by what was read, so the database cannot do it first.
    """
    connection = connections[rows.db]
    pk: Any = rows.model._meta.pk
    table, column = connection.ops.quote_name(rows.model._meta.db_table), connection.ops.quote_name(pk.column)
    query: Any = rows.filter(pk=RawSQL("SELECT b0 FROM before", ())).query.chain(sql.UpdateQuery)
    query.add_update_fields(values)
    query.annotations = {}
    update, params = query.get_compiler(using=rows.db).as_sql()
    columns = [images.returned(definition, rows.db) for definition in definitions]
    width = sum(each.width for each in columns)
    row = _executed(
        f"WITH before ({_named('b', width)}) AS MATERIALIZED ("  # noqa: S608 - names of ours
        f"SELECT {_list(columns)} FROM {table} WHERE {table}.{column} = %s FOR UPDATE"
        f"), after ({_named('a', width)}) AS ({update} RETURNING {_list(columns)}) "
        "SELECT before.*, after.* FROM before, after",
        [*_params(columns), pk.get_db_prep_value(key, connection), *params, *_params(columns)],
        rows.db,
    )
    if not row:
        return []
    before, after = (_images(part, columns, definitions, rows.db) for part in (row[:width], row[width:]))
    return [Change(*images_) for images_ in zip(before, after, strict=True)]


def _named(letter: str, width: int) -> str:
    return ", ".join(f"{letter}{n}" for n in range(width))


def _executed(statement: str, params: Sequence[Any], using: str) -> list[Any]:
    """Return the row that a statement returned; an empty one where it wrote none."""
    with connections[using].cursor() as cursor:
        cursor.execute(statement, params)
        return list(cursor.fetchone() or ())


def _list(columns: list[prepared.Returned]) -> str:
    return ", ".join(each.sql for each in columns)


def _params(columns: list[prepared.Returned]) -> list[Any]:
    return [value for each in columns for value in each.params]


def _images(
    row: list[Any], columns: list[prepared.Returned], definitions: Sequence[Definition], using: str
) -> list[deltas.Image]:
    """Cut a row into what it contributes to each definition."""
    found, at = [], 0
    for each, definition in zip(columns, definitions, strict=True):
        found.append(images.of_row(definition, each.converted(row[at : at + each.width], using)))
        at += each.width
    return found
