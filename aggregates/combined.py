"""A row and its totals, written by one statement. PostgreSQL alone has such."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from functools import lru_cache
from typing import Any
from uuid import UUID

from django.db import DatabaseError, connections, models

from aggregates import images, projection, returning, single, store
from aggregates.definitions import Definition
from aggregates.signals import totals_changed
from aggregates.single import Values

TEXTS_KEPT = 256  # one for each set of fields that are saved together


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
    statement, params = single.insert(model, using, values)
    after = images.returned(definition, using)
    answer = ", ".join([*(single.quoted(using, field.column) for field in asked), after.sql])
    text = _inserting(definition, f"{statement} RETURNING {answer}", len(asked), using, listened=_listened(definition))
    *given, keys = _executed(text, [*params, *after.params], values, definition, using)
    return single.converted(given, asked, using), keys or ()


def update(
    rows: models.QuerySet[Any], key: Any, values: Values, definition: Definition
) -> tuple[bool, Collection[UUID]]:
    """Update the row with that key; return whether there is one, and the keys of the totals written, as above."""
    update, params = single.update(rows, key, values)
    before, after = (images.returned(definition, rows.db, row) for row in ("old", "new"))
    statement = f"{update} RETURNING {before.sql}, {after.sql}"
    text = _updating(definition, statement, rows.db, listened=_listened(definition))
    found, keys = _executed(text, [*params, *before.params, *after.params], values, definition, rows.db)
    return bool(found), keys or ()


@lru_cache(TEXTS_KEPT)
def _inserting(definition: Definition, insert: str, asked: int, using: str, *, listened: bool) -> str:
    given = [f"a{n}" for n in range(asked)]
    names = ", ".join([*given, "pk", *projection.columns(definition)])
    upsert = projection.upserting(definition, using, "after", summed=False)
    answer = ", ".join([*given, _keys(listened=listened)])
    return f"WITH after ({names}) AS ({insert}), added AS ({upsert} RETURNING id) SELECT {answer} FROM after"  # noqa: S608 - names of ours


@lru_cache(TEXTS_KEPT)
def _updating(definition: Definition, update: str, using: str, *, listened: bool) -> str:
    names = projection.columns(definition)
    old, width = [f"old_{name}" for name in names], len(definition.dimensions)
    less, more = ", ".join([*old[:width], *(f"-{name}" for name in old[width:])]), ", ".join(names)
    upsert = projection.upserting(definition, using, "changes", summed=True)
    return (
        f"WITH written (old_pk, {', '.join(old)}, pk, {more}) AS ({update}), changes ({more}) AS "  # noqa: S608 - as above
        f"(SELECT {less} FROM written UNION ALL SELECT {more} FROM written), added AS ({upsert} RETURNING id) "
        f"SELECT (SELECT COUNT(*) FROM written), {_keys(listened=listened)}"
    )


def _listened(definition: Definition) -> bool:
    return totals_changed.has_listeners(definition.totals)


def _keys(*, listened: bool) -> str:
    return "ARRAY(SELECT id FROM added)" if listened else "NULL"


def _executed(statement: str, params: Sequence[Any], values: Values, definition: Definition, using: str) -> list[Any]:
    try:
        return single.executed(statement, params, using)
    except DatabaseError as error:
        if not store.is_out_of_range(error) or single.out_of_range(values, using):
            raise
        raise store.out_of_range(definition) from error
