"""The statement of a set write that also adds up, in the server, what its rows contributed and contribute.

No row comes to Python, only the buckets that change. PostgreSQL alone lets a statement read what
another part of it writes, in the order that locks need: the rows are locked by their keys, read,
and only then written.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from django.core.exceptions import EmptyResultSet
from django.db import connections, models
from django.db.models import sql
from django.db.models.expressions import RawSQL

from aggregates import deltas, images
from aggregates.definitions import Definition, Scope


@dataclass(frozen=True)
class Captured:
    """What a set write did: how many rows it wrote, and by how much each bucket changed."""

    rows: int
    delta: deltas.Delta


def applies(scopes: Sequence[Scope], queryset: models.QuerySet[Any]) -> bool:
    """Return whether the write of a queryset's rows can be captured: one table, one declaration, a plain filter."""
    (scope, *others) = scopes
    model = scope.model._meta
    return (
        connections[queryset.db].vendor == "postgresql"
        and not others
        and scope.stands_alone
        and not model.parents
        and queryset.model._meta.concrete_model is model.concrete_model
        and images.is_plain(queryset)
    )


def update(scope: Scope, queryset: models.QuerySet[Any], values: dict[str, Any]) -> Captured:
    """Update the rows that a queryset selects."""
    query: Any = _read_before(queryset).query.chain(sql.UpdateQuery)
    query.add_update_values(values)
    return _captured(scope, queryset, query, kept=True)


def delete(scope: Scope, queryset: models.QuerySet[Any]) -> Captured:
    """Delete the rows that a queryset selects."""
    return _captured(scope, queryset, _read_before(queryset).query.chain(sql.DeleteQuery), kept=False)


def _read_before(queryset: models.QuerySet[Any]) -> models.QuerySet[Any]:
    """Return the rows by what was read of them, so that the database cannot write them first."""
    rows: models.QuerySet[Any] = models.QuerySet(queryset.model, using=queryset.db)
    return rows.filter(pk__in=RawSQL("SELECT c0 FROM before", ()))


def _captured(scope: Scope, queryset: models.QuerySet[Any], write: Any, *, kept: bool) -> Captured:
    """Run a write whose rows are ``kept``, or gone afterwards."""
    definition, using = scope.definition, queryset.db
    try:
        before = images.locking(definition, queryset).query.get_compiler(using=using).as_sql()
    except EmptyResultSet:
        return Captured(0, {})
    written = write.get_compiler(using=using).as_sql()
    after = images.returned(definition, using)
    with connections[using].cursor() as cursor:
        cursor.execute(
            _statement(definition, before[0], f"{written[0]} RETURNING {after.sql}", kept=kept),
            [*before[1], *written[1], *after.params],
        )
        *groups, (*_nothing, rows) = cursor.fetchall()
    convert = _converter(definition, using)
    return Captured(rows, deltas.add(convert(group[:-1]) for group in groups))


def _statement(definition: Definition, before: str, after: str, *, kept: bool) -> str:
    """Return the statement; its last row counts those that were written."""
    width = 1 + len(definition.dimensions)
    dims = [f"c{n}" for n in range(1, width)]
    amounts = [f"c{n}" for n in range(width, width + len(definition.measures))]
    names, groups = ", ".join(["c0", *dims, *amounts]), ", ".join(dims)
    sums = [f"SUM({name})" for name in amounts]
    less = ", ".join([*dims, *(f"-{name} AS {name}" for name in amounts)])
    more = f"UNION ALL SELECT {groups}, {', '.join(amounts)} FROM after" if kept else ""  # noqa: S608 - as below
    return f"""
        WITH before ({names}) AS MATERIALIZED ({before}), after ({names}) AS ({after})
        SELECT {groups}, {", ".join(sums)}, 0 FROM (SELECT {less} FROM before {more}) changes
        GROUP BY {groups} HAVING {" OR ".join(f"{total} <> 0" for total in sums)}
        UNION ALL SELECT {", ".join(["NULL"] * (width - 1 + len(amounts)))}, COUNT(*) FROM after
    """  # noqa: S608 - names of ours, and SQL that Django compiled


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
