"""The statement of a save that also reads what the row contributed before, and contributes now.

The images of a save then cost no round trips of their own, and are what the database stores:
defaults, expressions and generated columns as it computed them.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from typing import Any, NamedTuple

from django.db import connections, models
from django.db.models.expressions import RawSQL

from aggregates import deltas, images, prepared, single
from aggregates.definitions import Definition
from aggregates.single import Values

READ = RawSQL("SELECT b0 FROM before", ())  # the key is the first column read
TELLS_OLD = 180_000  # the version of PostgreSQL whose UPDATE returns what a row was, too


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
    model: type[models.Model], using: str, values: Values, asked: Sequence[Any], definitions: Sequence[Definition]
) -> tuple[list[Any], list[Change]]:
    """Insert one row; return the values of the fields asked for, and a change for each definition."""
    statement, params = single.insert(model, using, values)
    columns = [images.returned(definition, using) for definition in definitions]
    listed = [*(single.quoted(using, field.column) for field in asked), _list(columns)]
    row = single.executed(f"{statement} RETURNING {', '.join(listed)}", params, using)
    answer, rest = row[: len(asked)], row[len(asked) :]
    changes = [Change({}, after) for after in _images(rest, columns, definitions, using)]
    return single.converted(answer, asked, using), changes


def update(rows: models.QuerySet[Any], key: Any, values: Values, definitions: Sequence[Definition]) -> list[Change]:
    """Update the row with that key; return a change for each definition, or none where there is no such row."""
    connection: Any = connections[rows.db]
    write = _returning_old if connection.pg_version >= TELLS_OLD else _reading_before
    row = single.executed(*write(rows, key, values, definitions), rows.db)
    if not row:
        return []
    columns = [images.returned(definition, rows.db) for definition in definitions]
    width = len(row) // 2
    before, after = (_images(part, columns, definitions, rows.db) for part in (row[:width], row[width:]))
    return [Change(*images_) for images_ in zip(before, after, strict=True)]


def _returning_old(
    rows: models.QuerySet[Any], key: Any, values: Values, definitions: Sequence[Definition]
) -> tuple[str, list[Any]]:
    """Return an update that tells what the row was, and what it is."""
    update, params = single.update(rows, key, values)
    columns = [images.returned(definition, rows.db, row) for row in ("old", "new") for definition in definitions]
    return f"{update} RETURNING {_list(columns)}", params


def _reading_before(
    rows: models.QuerySet[Any], key: Any, values: Values, definitions: Sequence[Definition]
) -> tuple[str, list[Any]]:
    """Return an update of the row as it was read and locked.

    The update finds its row by what was read, so the database cannot do it first.
    """
    pk: Any = rows.model._meta.pk
    update, params = single.compiled_update(rows.filter(pk=READ), values)
    columns = [images.returned(definition, rows.db) for definition in definitions]
    listed, width = _list(columns), sum(each.width for each in columns)
    table, column = single.quoted(rows.db, rows.model._meta.db_table), single.quoted(rows.db, pk.column)
    return (
        f"WITH before ({_named('b', width)}) AS MATERIALIZED ("  # noqa: S608 - names of ours
        f"SELECT {listed} FROM {table} WHERE {column} = %s FOR UPDATE"
        f"), after ({_named('a', width)}) AS ({update} RETURNING {listed}) SELECT before.*, after.* FROM before, after"
    ), [pk.get_db_prep_value(key, connections[rows.db]), *params]


@cache
def _named(letter: str, width: int) -> str:
    return ", ".join(f"{letter}{n}" for n in range(width))


def _list(columns: Sequence[prepared.Returned]) -> str:
    return ", ".join([each.sql for each in columns])


def _images(
    row: list[Any], columns: list[prepared.Returned], definitions: Sequence[Definition], using: str
) -> list[deltas.Image]:
    """Cut a row into what it contributes to each definition."""
    found, at = [], 0
    for each, definition in zip(columns, definitions, strict=True):
        found.append(images.of_row(definition, each.converted(row[at : at + each.width], using)))
        at += each.width
    return found
