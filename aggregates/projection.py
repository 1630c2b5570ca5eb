"""Changes of single rows or of many → totals of every rollup, keyed, added up and written in the server.

PostgreSQL alone lets what one part of a statement writes be read, and written on, by another.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
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
    """Return the answer of a statement of which ``adding`` is the part ``added``: the keys it wrote, or NULL."""
    return "ARRAY(SELECT id FROM added)" if told else "NULL"


def executed(
    statement: str, params: Sequence[Any], values: single.Values, definition: Definition, using: str
) -> list[Any]:
    """Run a statement that writes ``values`` to rows and adds to their totals; return the one row it returned, or none.

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
    """Return the statement that adds the relation ``changes`` to the totals, to follow what defines that.

    ``number`` is that of the connection, as ``slots`` has it. ``summed`` unless the relation is a single
    row. Where nobody is ``told``, it returns no keys, which takes a third of the time of many rows.
    """
    connection = connections[using]
    statement = upsert.adding(definition, connection)
    propose = _of_groups if summed else _of_row
    proposed = propose(definition, connection, changes, number)
    columns = {field: f"proposed.{connection.ops.quote_name(str(field.column))}" for field in _others(definition)}
    columns[_key(definition)] = f"{keys.sql('proposed.text_', 'proposed.slot_')} AS id"
    listed = ", ".join(columns[field] for field in definition.totals._meta.concrete_fields)
    ordered = f"SELECT {listed} FROM {proposed} ORDER BY id"  # noqa: S608 - names of ours
    return f"{statement.head} {ordered} {statement.tail}{' RETURNING id' if told else ''}"


def _key(definition: Definition) -> models.Field[Any, Any]:
    return next(field for field in definition.totals._meta.concrete_fields if field.primary_key)


def _others(definition: Definition) -> list[models.Field[Any, Any]]:
    return [field for field in definition.totals._meta.concrete_fields if not field.primary_key]


def _names(definition: Definition, connection: BaseDatabaseWrapper) -> str:
    """Return the names of what is proposed; no field's name ends as those of the first two do."""
    others = [connection.ops.quote_name(str(field.column)) for field in _others(definition)]
    return ", ".join(["text_", "slot_", *others])


def _of_row(definition: Definition, connection: BaseDatabaseWrapper, changes: str, number: int) -> str:
    """Return what is proposed for the one row of a relation.

    Each dimension is encoded once for all rollups: a statement's functions take longer to look up than
    to run. ``OFFSET 0`` keeps the planner from writing them out where they are used.
    """
    dims, amounts = _dimensions(definition), _measures(definition)
    encoded = [f"e{i}" for i in range(len(dims))]
    columns = [f"{_encoded(definition, name)} AS {e}" for name, e in zip(definition.dimensions, encoded, strict=True)]
    row = f"SELECT {', '.join([*dims, *amounts, *columns])} FROM {changes} WHERE {_changed(amounts)} OFFSET 0"  # noqa: S608 - as above
    codes = dict(zip(definition.dimensions, encoded, strict=True))
    rows = ", ".join(
        f"({', '.join(_proposed(definition, rollup, connection, number, codes, amounts))})"
        for rollup in definition.rollups
    )
    return f"({row}) AS changed CROSS JOIN LATERAL (VALUES {rows}) AS proposed ({_names(definition, connection)})"


def _of_groups(definition: Definition, connection: BaseDatabaseWrapper, changes: str, number: int) -> str:
    """Return what is proposed for the rows of a relation, added up by the buckets of each rollup."""
    amounts = [f"SUM({name})" for name in _measures(definition)]
    codes = {name: _encoded(definition, name) for name in definition.dimensions}
    by = dict(zip(definition.dimensions, _dimensions(definition), strict=True))
    parts = " UNION ALL ".join(
        f"SELECT {', '.join(_proposed(definition, rollup, connection, number, codes, amounts))} FROM {changes} "  # noqa: S608 - as above
        f"{_grouped([by[name] for name in rollup.dimensions])} HAVING {_changed(amounts)}"
        for rollup in definition.rollups
    )
    return f"({parts}) AS proposed ({_names(definition, connection)})"


def _grouped(dims: Sequence[str]) -> str:
    return f"GROUP BY {', '.join(dims)}" if dims else ""


def _changed(amounts: Sequence[str]) -> str:
    return " OR ".join(f"{amount} <> 0" for amount in amounts)


def _encoded(definition: Definition, name: str) -> str:
    return keys.encoded(definition.column(name), f"d{list(definition.dimensions).index(name)}")


def _proposed(
    definition: Definition,
    rollup: Rollup,
    connection: BaseDatabaseWrapper,
    number: int,
    codes: Mapping[str, str],
    amounts: Sequence[str],
) -> list[str]:
    """Return a row proposed for a rollup: the text and the slot that make its key, then its columns but the key."""
    slot = slots.slot(rollup, number)
    dims = dict(zip(definition.dimensions, _dimensions(definition), strict=True))
    values = {
        "rollup": f"'{rollup.name}'",
        "slot": str(slot),
        "generation": "0",
        **{name: dims[name] for name in rollup.dimensions},
        **dict(zip(definition.measures, amounts, strict=True)),
    }
    return [
        keys.text(rollup.name, [codes[name] for name in rollup.dimensions]),
        f"'{slot:02x}'",
        *(values.get(field.name) or _null(field, connection) for field in _others(definition)),
    ]


def _null(field: models.Field[object, object], connection: BaseDatabaseWrapper) -> str:
    return f"CAST(NULL AS {field.db_type(connection)})"


def _dimensions(definition: Definition) -> list[str]:
    return [f"d{i}" for i in range(len(definition.dimensions))]


def _measures(definition: Definition) -> list[str]:
    return [f"m{i}" for i in range(len(definition.measures))]
