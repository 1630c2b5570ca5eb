"""Changes of single rows or of many → totals of every rollup, keyed, added up and written in the server.

PostgreSQL alone lets what one part of a statement writes be read, and written on, by another.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from typing import Any

from django.db import DatabaseError, connections, models
from django.db.backends.base.base import BaseDatabaseWrapper

from aggregates import keys, single, slots, store, upsert
from aggregates.definitions import Definition, Rollup
from aggregates.signals import totals_changed


@cache
def applies(definition: Definition, using: str) -> bool:
    """Return whether a database can do so for a declaration."""
    return (
        connections[using].vendor == "postgresql"
        and all(keys.is_written(definition.column(name)) for name in definition.dimensions)
        and all(upsert.PLAIN.fullmatch(rollup.name) for rollup in definition.rollups)
    )


class Names:
    """The names of the columns of a relation that says what rows contribute: dimensions, then amounts."""

    def __init__(self, definition: Definition, prefix: str = "") -> None:
        dims = [f"{prefix}{name}" for name in _dimensions(definition)]
        self._amounts = [f"{prefix}{name}" for name in _measures(definition)]
        self.dims = ", ".join(dims)
        self.count = len(dims) + len(self._amounts)
        self.changes = ", ".join([*dims, *self._amounts])
        self.all = f"{prefix}pk, {self.changes}"
        self.taken = ", ".join([*dims, *(f"-{name}" for name in self._amounts)])
        """What takes a contribution out again."""

    def sums(self, sign: str = "") -> str:
        """Return the sums of the amounts, with a sign."""
        return ", ".join(f"{sign}SUM({name})" for name in self._amounts)


def is_listened_to(definition: Definition) -> bool:
    """Return whether somebody wants to hear which totals a statement writes."""
    return totals_changed.has_listeners(definition.totals)


def keys_written(*, told: bool) -> str:
    """Return the answer of a statement with the part ``adding``: the keys of the totals it wrote, or NULL."""
    return "ARRAY(SELECT id FROM added)" if told else "NULL"


def executed(
    statement: str, params: Sequence[Any], values: single.Values, definition: Definition, using: str
) -> list[Any]:
    """Run a statement that writes ``values`` to rows and adds to their totals; return the one row it returned.

    Raises TotalOutOfRange where a total would leave its column's range, DataError where a value does.
    """
    try:
        return single.executed(statement, params, using)
    except DatabaseError as error:
        if not store.is_out_of_range(error) or single.out_of_range(values, using):
            raise
        raise store.out_of_range(definition) from error


@cache
def adding(definition: Definition, using: str, changes: str, number: int, *, summed: bool, told: bool) -> str:
    """Return the part of a statement that adds the relation ``changes`` to the totals.

    ``number`` is that of the connection, as ``slots`` has it. ``summed`` unless the relation is a single
    row. Where nobody is ``told``, it returns no keys, which takes a third of the time of many rows.
    """
    connection = connections[using]
    statement = upsert.adding(definition, connection)
    parts = " UNION ALL ".join(
        _rows(definition, rollup, connection, changes, slots.slot(rollup, number), summed=summed)
        for rollup in definition.rollups
    )
    ordered = f"SELECT * FROM ({parts}) AS proposed ORDER BY id"  # noqa: S608 - names of ours
    return f"added AS ({statement.head} {ordered} {statement.tail}{' RETURNING id' if told else ''})"


def _rows(
    definition: Definition, rollup: Rollup, connection: BaseDatabaseWrapper, changes: str, slot: int, *, summed: bool
) -> str:
    names = dict(zip(definition.dimensions, _dimensions(definition), strict=True))
    given = [names[name] for name in rollup.dimensions]
    amounts = [f"SUM({name})" if summed else name for name in _measures(definition)]
    own = [(definition.column(name), names[name]) for name in rollup.dimensions]
    values = {
        "id": keys.sql(rollup.name, own, slot),
        "rollup": f"'{rollup.name}'",
        "slot": str(slot),
        "generation": "0",
        **{name: names[name] for name in rollup.dimensions},
        **dict(zip(definition.measures, amounts, strict=True)),
    }
    listed = [
        f"{values.get(field.name) or _null(field, connection)} AS {connection.ops.quote_name(str(field.column))}"
        for field in definition.totals._meta.concrete_fields
    ]
    changed = " OR ".join(f"{amount} <> 0" for amount in amounts)
    grouped = f"GROUP BY {', '.join(given)} HAVING" if summed and given else "HAVING" if summed else "WHERE"
    return f"SELECT {', '.join(listed)} FROM {changes} {grouped} {changed}"  # noqa: S608 - names of ours


def _null(field: models.Field[object, object], connection: BaseDatabaseWrapper) -> str:
    return f"CAST(NULL AS {field.db_type(connection)})"


def _dimensions(definition: Definition) -> list[str]:
    return [f"d{i}" for i in range(len(definition.dimensions))]


def _measures(definition: Definition) -> list[str]:
    return [f"m{i}" for i in range(len(definition.measures))]
