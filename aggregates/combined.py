"""A row and its totals, written by one statement. PostgreSQL alone has such."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from functools import lru_cache
from typing import Any
from uuid import UUID

from django.db import connections, models

from aggregates import images, projection, returning, single, slots
from aggregates.definitions import Definition
from aggregates.single import TEXTS_KEPT, Values

Row = tuple[type[models.Model], tuple[str, ...], tuple[str, ...]]
"""The model of a row, the columns that are given, and those that are asked for."""


def can_insert(definitions: Sequence[Definition], values: Values, using: str) -> bool:
    """Return whether a row with these values can be inserted so."""
    return len(definitions) == 1 and projection.applies(definitions[0], using) and single.are_plain(values)


def can_update(definitions: Sequence[Definition], values: Values, using: str) -> bool:
    """Return whether a row should be updated so.

    Most changes move nothing, and then it pays only where the statement is not planned each time.
    """
    connection: Any = connections[using]
    return (
        can_insert(definitions, values, using)
        and connection.pg_version >= returning.TELLS_OLD
        and connection.features.uses_server_side_binding
        and connection.settings_dict["OPTIONS"].get("prepare_threshold") is not None
    )


def insert(
    model: type[models.Model], using: str, values: Values, asked: Sequence[Any], definition: Definition
) -> tuple[list[Any], Collection[UUID]]:
    """Insert one row; return the values of the fields asked for, and the keys of the totals written.

    Keys are known only where somebody listens to ``totals_changed``.
    """
    told, number = projection.is_listened_to(definition), slots.number(definition, connections[using])
    row = model, tuple([field.column for field, _value in values]), tuple([field.column for field in asked])
    text = _inserting(definition, row, using, number, told=told)
    *given, keys = projection.executed(text, single.prepared(values, using), values, definition, using) or [None]
    return single.converted(given, asked, using), keys or ()


def update(
    rows: models.QuerySet[Any], key: Any, values: Values, definition: Definition
) -> tuple[bool, Collection[UUID]]:
    """Update the row with that key; return whether there is one, and the keys of the totals written, as above."""
    update, params = single.update(rows, key, values)
    before, after = (images.returned(definition, rows.db, row) for row in ("old", "new"))
    statement = f"{update} RETURNING {before.sql}, {after.sql}"
    told, number = projection.is_listened_to(definition), slots.number(definition, connections[rows.db])
    text = _updating(definition, statement, rows.db, number, told=told)
    found, keys = projection.executed(text, params, values, definition, rows.db)
    return bool(found), keys or ()


@lru_cache(TEXTS_KEPT)
def _inserting(definition: Definition, row: Row, using: str, number: int, *, told: bool) -> str:
    model, columns, asked = row
    after = images.returned(definition, using)
    answer = ", ".join([*(single.quoted(using, column) for column in asked), after.sql])
    insert = f"{single.inserting(model, using, columns)} RETURNING {answer}"
    given = "".join(f"a{n}, " for n in range(len(asked)))
    add = projection.adding(definition, using, "after", number, summed=False, told=told)
    written = f"WITH after ({given}{projection.Names(definition).all}) AS ({insert})"
    if not asked and not told:
        return f"{written} {add}"  # nothing to answer
    return f"{written}, added AS ({add}) SELECT {given}{projection.keys_written(told=told)} FROM after"  # noqa: S608 - names of ours; values are bound


@lru_cache(TEXTS_KEPT)
def _updating(definition: Definition, update: str, using: str, number: int, *, told: bool) -> str:
    old, new = projection.Names(definition, "old_"), projection.Names(definition)
    add = projection.adding(definition, using, "changes", number, summed=True, told=told)
    return (
        f"WITH written ({old.all}, {new.all}) AS ({update}), changes ({new.changes}) AS "  # noqa: S608 - as above
        f"(SELECT {old.taken} FROM written UNION ALL SELECT {new.changes} FROM written), added AS ({add}) "
        f"SELECT (SELECT COUNT(*) FROM written), {projection.keys_written(told=told)}"
    )
