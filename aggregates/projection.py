"""Changes of single rows or of many → totals of every rollup, keyed, added up and written in the server.

PostgreSQL alone lets what one part of a statement writes be read, and written on, by another.
"""

from __future__ import annotations

from functools import cache

from django.db import connections, models
from django.db.backends.base.base import BaseDatabaseWrapper

from aggregates import keys, upsert
from aggregates.definitions import Definition, Rollup


@cache
def applies(definition: Definition, using: str) -> bool:
    """Return whether a database can do so for a declaration."""
    return (
        connections[using].vendor == "postgresql"
        and all(keys.is_written(definition.column(name)) for name in definition.dimensions)
        and all(upsert.PLAIN.fullmatch(rollup.name) for rollup in definition.rollups)
    )


def columns(definition: Definition) -> list[str]:
    """Return the names by which a relation of changes has the dimensions and the measures."""
    return [*_dimensions(definition), *_measures(definition)]


@cache
def upserting(definition: Definition, using: str, changes: str, *, summed: bool) -> str:
    """Return the upsert of what the relation ``changes`` holds: ``summed`` unless that is a single row."""
    connection = connections[using]
    statement = upsert.adding(definition, connection)
    parts = " UNION ALL ".join(
        _rows(definition, rollup, connection, changes, summed=summed) for rollup in definition.rollups
    )
    return f"{statement.head} SELECT * FROM ({parts}) AS proposed ORDER BY id {statement.tail}"  # noqa: S608 - ours


def _rows(
    definition: Definition, rollup: Rollup, connection: BaseDatabaseWrapper, changes: str, *, summed: bool
) -> str:
    names = dict(zip(definition.dimensions, _dimensions(definition), strict=True))
    given = [names[name] for name in rollup.dimensions]
    amounts = [f"SUM({name})" if summed else name for name in _measures(definition)]
    slot = "0" if rollup.slots == 1 else f"MOD(PG_BACKEND_PID(), {rollup.slots})"
    own = [(definition.column(name), names[name]) for name in rollup.dimensions]
    values = {
        "id": keys.sql(rollup.name, own, slot),
        "rollup": f"'{rollup.name}'",
        "slot": slot,
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
