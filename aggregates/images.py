"""A set of rows → what it contributes to every bucket, as the database sees it."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from django.db import OperationalError, connections, models
from django.db.models import Case, Sum, When
from django.db.models.expressions import Combinable

from aggregates import deltas, mariadb, prepared
from aggregates.batches import batched
from aggregates.definitions import Definition
from aggregates.exceptions import TotalOutOfRange

KEYS_A_STATEMENT = 1_000


@dataclass(frozen=True)
class Locked:
    """Rows locked until the transaction ends: their keys, and their image."""

    keys: frozenset[Any]
    image: deltas.Image


def source_rows(definition: Definition, using: str) -> models.QuerySet[Any]:
    """Return every row of the source, whatever its managers hide, with its dimensions annotated."""
    if connections[using].vendor == "mysql":
        mariadb.require_time_zones(definition, connections[using])
    rows: models.QuerySet[Any] = models.QuerySet(definition.source, using=using).order_by()
    return rows.annotate(  # type: ignore[no-any-return]
        **{f"dim_{i}": expression for i, expression in enumerate(definition.dimensions.values())}
    )


def lock(definition: Definition, using: str, keys: Collection[Any]) -> Locked:
    """Lock the rows with these keys and return their image; needs an open transaction."""
    if len(keys) == 1:
        return _locked(definition, _row(definition, using, keys, _locked_row))
    parts = [_lock(definition, _by_keys(definition, using, chunk)) for chunk in batched(sorted(keys), KEYS_A_STATEMENT)]
    return Locked(
        frozenset().union(*(part.keys for part in parts)),
        deltas.add(item for part in parts for item in part.image.items()),
    )


def lock_matching(definition: Definition, queryset: models.QuerySet[Any]) -> Locked:
    """Lock the rows that a queryset selects and return their image; needs an open transaction."""
    return _lock(definition, _restricted(definition, queryset))


def summed(definition: Definition, using: str, keys: Collection[Any]) -> deltas.Image:
    """Return the image of the rows with these keys, grouped by the database where there are several."""
    if len(keys) == 1:
        return _locked(definition, _row(definition, using, keys, _contributions)).image
    dims = _names("dim", definition.dimensions)
    sums = {f"measure_{i}": Sum(expression) for i, expression in enumerate(definition.measures.values())}
    groups: list[tuple[deltas.Values, deltas.Amounts]] = []
    for chunk in batched(keys, KEYS_A_STATEMENT):
        rows = _by_keys(definition, using, chunk).filter(definition.where).values(*dims).annotate(**sums)
        groups += _split(_evaluated(definition, rows.values_list(*dims, *sums)), len(dims))
    return deltas.add(groups)


def _evaluated(definition: Definition, sums: models.QuerySet[Any, tuple[Any, ...]]) -> list[tuple[Any, ...]]:
    try:
        return list(sums)
    except OperationalError as error:
        if "integer overflow" not in str(error):  # SQLite's words; others sum in a wider type
            raise
        raise TotalOutOfRange(
            f"The rows written add up to more than a total of {definition.label} can hold, so none was written."
        ) from error


def _by_keys(definition: Definition, using: str, keys: list[Any]) -> models.QuerySet[Any]:
    return source_rows(definition, using).filter(pk__in=keys)


def _restricted(definition: Definition, queryset: models.QuerySet[Any]) -> models.QuerySet[Any]:
    """Return the source rows a queryset selects, each once and in a form that can be locked.

    A plain filter moves over as it is, so that a row that changed while we waited for its lock is
    checked again; joins and groups can neither be locked nor counted once, and become a subquery.
    """
    rows = source_rows(definition, queryset.db)
    query = queryset.query
    joined = sum(1 for references in query.alias_refcount.values() if references) > 1
    plain = not (joined or query.annotations or query.extra or query.extra_tables or query.distinct or query.group_by)
    if plain and _table(query.model) is _table(definition.source):
        rows.query.where = query.where.clone()
        return rows
    return rows.filter(pk__in=queryset.order_by().values(definition.source._meta.pk.name))


def _table(model: Any) -> Any:
    return model._meta.concrete_model


def _lock(definition: Definition, rows: models.QuerySet[Any]) -> Locked:
    return _locked(definition, list(_contributed(definition, rows.order_by("pk").select_for_update())))


def _locked(definition: Definition, found: Sequence[Sequence[Any]]) -> Locked:
    width = len(definition.dimensions)
    return Locked(frozenset(row[0] for row in found), deltas.add(_split((tuple(row[1:]) for row in found), width)))


def _contributed(definition: Definition, rows: models.QuerySet[Any]) -> models.QuerySet[Any, Any]:
    """Return key, dimensions and contribution of each row.

    The filter decides what a row contributes, not whether it is read: a draft that becomes an
    expense must be locked, or it could do so twice.
    """
    amounts = {f"measure_{i}": _if_counted(definition, name) for i, name in enumerate(definition.measures)}
    columns = ("pk", *_names("dim", definition.dimensions), *amounts)
    contributed: models.QuerySet[Any, Any] = rows.annotate(**amounts).values_list(*columns)
    return contributed


def _row(definition: Definition, using: str, keys: Collection[Any], build: prepared.Build) -> list[list[Any]]:
    (key,) = keys
    return prepared.statement(definition, using, build).rows(definition, using, key)


def _contributions(definition: Definition, using: str) -> models.QuerySet[Any, Any]:
    pk: Any = definition.source._meta.pk
    rows = source_rows(definition, using).filter(pk=prepared.Key(output_field=pk))
    return _contributed(definition, rows)


def _locked_row(definition: Definition, using: str) -> models.QuerySet[Any, Any]:
    return _contributions(definition, using).select_for_update()


def _if_counted(definition: Definition, name: str) -> Combinable:
    """Return what a row contributes to a measure: nothing where the declared filter leaves it out."""
    contribution = definition.measures[name]
    if not definition.where:
        return contribution
    return Case(
        When(definition.where, then=contribution),
        default=definition.zero(name),
        output_field=definition.column(name),
    )


def _names(prefix: str, declared: Collection[str]) -> list[str]:
    return [f"{prefix}_{i}" for i in range(len(declared))]


def _split(rows: Iterable[tuple[Any, ...]], width: int) -> list[tuple[deltas.Values, deltas.Amounts]]:
    return [(tuple(row[:width]), tuple(row[width:])) for row in rows]
