"""The statement of a set write that also takes what its rows contributed and contribute to the totals.

No row comes to Python. PostgreSQL alone lets a statement read what another part of it writes. What
a statement returns of the rows it wrote is exact whoever else writes: it waits for them, looks at
the rows again, and returns those it did write as they were then.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any
from uuid import UUID

from django.core.exceptions import EmptyResultSet
from django.db import connections, models
from django.db.models import sql
from django.db.models.expressions import RawSQL

from aggregates import deltas, images, projection, returning, single, slots
from aggregates.definitions import Definition, Scope
from aggregates.projection import Names
from aggregates.single import Values


@dataclass(frozen=True)
class Captured:
    """What a set write did: how many rows it wrote, and by how much each bucket changed.

    Where the statement has applied the delta itself, ``keys`` are those of the totals rows it wrote.
    """

    rows: int
    delta: deltas.Delta | None = None
    keys: Collection[UUID] = ()


@dataclass(frozen=True)
class _Statement:
    """The parts of a statement up to the relation ``changes``; ``rows`` names the one of the rows written."""

    text: str
    params: Sequence[Any]
    rows: str
    is_one: bool = False
    """Whether the changes are those of a single row."""
    values: Values = ()
    """What is written, where it comes from outside the database."""


def applies(scopes: Sequence[Scope], queryset: models.QuerySet[Any]) -> bool:
    """Return whether the write of a queryset's rows can be captured: rows of one kind, by a plain filter."""
    return applies_to(scopes, queryset.model, queryset.db) and images.is_plain(queryset)


def applies_to(scopes: Sequence[Scope], model: type[models.Model], using: str) -> bool:
    """Return whether writes of a model's rows can be captured: of one table, with one declaration."""
    if connections[using].vendor != "postgresql" or len(scopes) != 1:
        return False
    own = scopes[0].model._meta
    return scopes[0].stands_alone and not own.parents and model._meta.concrete_model is own.concrete_model


def update(scope: Scope, queryset: models.QuerySet[Any], values: dict[str, Any], *, adding: bool) -> Captured:
    """Update the rows that a queryset selects; ``adding`` also applies the delta, where the server can."""
    connection: Any = connections[queryset.db]
    write = _returning_old if connection.pg_version >= returning.TELLS_OLD else _reading_before
    try:
        statement = write(scope.definition, queryset, values)
    except EmptyResultSet:
        return Captured(0)
    return _run(scope.definition, queryset.db, statement, adding=adding)


def delete(scope: Scope, queryset: models.QuerySet[Any], *, adding: bool) -> Captured:
    """Delete the rows that a queryset selects; ``adding`` also applies the delta, where the server can."""
    query: Any = queryset.query.chain(sql.DeleteQuery)
    try:
        text, params = query.get_compiler(using=queryset.db).as_sql()
    except EmptyResultSet:
        return Captured(0)
    gone = _gone(scope.definition, queryset.db, text, params)
    return _run(scope.definition, queryset.db, gone, adding=adding)


def delete_row(scope: Scope, using: str, key: Any, *, adding: bool) -> Captured:
    """Delete the row with that key, as above; there may be none."""
    text, params = single.delete(scope.model, using, key)
    return _run(scope.definition, using, _gone(scope.definition, using, text, params, is_one=True), adding=adding)


def can_take(scope: Scope, using: str) -> bool:
    """Return whether ``take`` can be asked."""
    return scope.stands_alone and projection.applies(scope.definition, using)


def take(scope: Scope, using: str, keys: Collection[Any]) -> Captured:
    """Lock the rows with these keys, which are about to be deleted, and take them out of the totals."""
    definition = scope.definition
    text, params = images.locking_keys(definition, using, keys)
    names = Names(definition)
    statement = _Statement(
        f"locked ({names.all}) AS MATERIALIZED ({text}), "  # noqa: S608 - names of ours
        f"changes ({names.changes}) AS (SELECT {names.taken} FROM locked)",
        params,
        "locked",
        is_one=len(keys) == 1,
    )
    return _apply(definition, using, statement)


def _gone(
    definition: Definition, using: str, delete: str, params: Sequence[Any], *, is_one: bool = False
) -> _Statement:
    """Return a delete that tells what the rows were; many are added up at once, for each rollup adds them up again."""
    row, names = images.returned(definition, using), Names(definition)
    taken = names.taken if is_one else f"{names.dims}, {names.sums('-')}"
    grouped = "" if is_one else f" GROUP BY {names.dims}"
    return _Statement(
        f"gone ({names.all}) AS ({delete} RETURNING {row.sql}), "  # noqa: S608 - names of ours; values are bound
        f"changes ({names.changes}) AS (SELECT {taken} FROM gone{grouped})",
        params,
        "gone",
        is_one=is_one,
    )


def _returning_old(definition: Definition, queryset: models.QuerySet[Any], values: dict[str, Any]) -> _Statement:
    """Return an update that tells what the rows were, and what they are."""
    query: Any = queryset.query.chain(sql.UpdateQuery)
    query.add_update_values(values)
    text, params = query.get_compiler(using=queryset.db).as_sql()
    before, after = (images.returned(definition, queryset.db, row) for row in ("old", "new"))
    old, new = Names(definition, "old_"), Names(definition)
    # Grouped by both at once: rows that stay where they are, the most, need one group instead of two.
    return _Statement(
        f"written ({old.all}, {new.all}) AS ({text} RETURNING {before.sql}, {after.sql}), "  # noqa: S608 - names of ours
        f"moved ({old.changes}, {new.changes}) AS (SELECT {old.dims}, {old.sums('-')}, {new.dims}, {new.sums()} "
        f"FROM written GROUP BY {old.dims}, {new.dims}), "
        f"changes ({new.changes}) AS (SELECT {old.changes} FROM moved UNION ALL SELECT {new.changes} FROM moved)",
        params,
        "written",
        values=_values(query),
    )


def _reading_before(definition: Definition, queryset: models.QuerySet[Any], values: dict[str, Any]) -> _Statement:
    """Return an update of the rows as they were read and locked.

    The update finds its rows by what was read, so that the database cannot write them first.
    """
    using = queryset.db
    before, params = images.locking(definition, queryset).query.get_compiler(using=using).as_sql()
    rows: models.QuerySet[Any] = models.QuerySet(queryset.model, using=using)
    query: Any = rows.filter(pk__in=RawSQL("SELECT pk FROM before", ())).query.chain(sql.UpdateQuery)
    query.add_update_values(values)
    text, given = query.get_compiler(using=using).as_sql()
    after = images.returned(definition, using)
    names = Names(definition)
    return _Statement(
        f"before ({names.all}) AS MATERIALIZED ({before}), "  # noqa: S608 - names of ours
        f"after ({names.all}) AS ({text} RETURNING {after.sql}), "
        f"changes ({names.changes}) AS (SELECT {names.taken} FROM before "
        f"UNION ALL SELECT {names.changes} FROM after)",
        [*params, *given],
        "after",
        values=_values(query),
    )


def _values(query: Any) -> Values:
    return [(field, value) for field, _model, value in query.values]


def _run(definition: Definition, using: str, statement: _Statement, *, adding: bool) -> Captured:
    run = _apply if adding and projection.applies(definition, using) else _read
    return run(definition, using, statement)


def _apply(definition: Definition, using: str, statement: _Statement) -> Captured:
    """Run a write that applies its delta in the server."""
    told, number = projection.is_listened_to(definition), slots.number(definition, connections[using])
    add = projection.adding(definition, using, "changes", number, summed=not statement.is_one, told=told)
    answer = f"(SELECT COUNT(*) FROM {statement.rows}), {projection.keys_written(told=told)}"  # noqa: S608 - names of ours
    text = f"WITH {statement.text}, added AS ({add}) SELECT {answer}"
    rows, written = projection.executed(text, statement.params, statement.values, definition, using)
    return Captured(rows, None, written or ())


def _read(definition: Definition, using: str, statement: _Statement) -> Captured:
    """Run a write whose delta comes to Python; the last row counts those that were written."""
    names = Names(definition)
    nothing = "NULL, " * names.count
    changes = f"SELECT {names.dims}, {names.sums()}, 0 FROM changes GROUP BY {names.dims}"  # noqa: S608 - names of ours
    counted = f"SELECT {nothing}COUNT(*) FROM {statement.rows}"  # noqa: S608 - as above
    with connections[using].cursor() as cursor:
        cursor.execute(f"WITH {statement.text} {changes} UNION ALL {counted}", statement.params)
        *groups, (*_nothing, rows) = cursor.fetchall()
    convert = _converter(definition, using)
    return Captured(rows, deltas.add(convert(group[:-1]) for group in groups))


def _converter(definition: Definition, using: str) -> Callable[[Sequence[Any]], tuple[deltas.Values, deltas.Amounts]]:
    """Return what makes values and amounts, of their Python types, of a row of sums."""
    columns, width = images.returned(definition, using), len(definition.dimensions)
    # A sum of whole numbers comes as a decimal.
    types = [
        int if isinstance(definition.column(name), models.IntegerField) else Decimal for name in definition.measures
    ]

    def convert(group: Sequence[Any]) -> tuple[deltas.Values, deltas.Amounts]:
        _key, *row = columns.converted([None, *group], using)
        return tuple(row[:width]), tuple(type_(amount) for type_, amount in zip(types, row[width:], strict=True))

    return convert
