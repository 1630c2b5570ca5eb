"""A set of rows → what it contributes to every bucket, as the database sees it."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from django.db import OperationalError, connections, models
from django.db.models import Case, Q, Sum, When
from django.db.models.expressions import Combinable, ExpressionWrapper

from aggregates import deltas, locks, mariadb, prepared, statements
from aggregates.batches import batched
from aggregates.definitions import Definition, Scope
from aggregates.exceptions import TotalOutOfRange
from aggregates.locks import KEYS_A_STATEMENT


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


def counted(definition: Definition, rows: models.QuerySet[Any]) -> models.QuerySet[Any]:
    """Return those source rows that the declared filter lets through."""
    if len(definition.tables) == 1 or not definition.where:
        return rows.filter(definition.where)
    # As a value: as a filter it would leave out rows that lead to a parent not there yet.
    value = ExpressionWrapper(definition.where, models.BooleanField())
    found: models.QuerySet[Any] = rows.alias(counted=value).filter(counted=True)
    return found


def lock(scope: Scope, using: str, keys: Collection[Any], coming: locks.Keys | None = None) -> Locked:
    """Lock the rows with these keys and return the image of what they concern; needs an open transaction.

    ``coming`` are rows that the writer is going to lead to; see ``locks.lock``.
    """
    if scope.stands_alone:
        if len(keys) == 1:
            return _locked(scope.definition, _row(scope.definition, using, keys, _locked_row))
        parts = _parts(scope, sorted(keys))
        return _lock(scope.definition, (_in_order(scope.definition, _by_keys(scope, using, part)) for part in parts))
    found: set[Any] = set()
    for part in _parts(scope, sorted(keys)) if keys else [[]]:
        rows: models.QuerySet[Any] = models.QuerySet(scope.model, using=using).filter(pk__in=part)
        found |= locks.lock(scope, rows, _reached(scope, using, part), coming or {})
    return Locked(frozenset(found), summed(scope, using, keys))


def lock_matching(scope: Scope, queryset: models.QuerySet[Any]) -> Locked:
    """Lock the rows that a queryset selects and return the image of what they concern; needs an open transaction."""
    if scope.stands_alone:
        return _lock(scope.definition, [locking(scope.definition, queryset)])
    rows = _restricted(models.QuerySet(scope.model, using=queryset.db).order_by(), queryset)
    reached = _reached(scope, queryset.db, list(rows.values_list("pk", flat=True)))
    keys = locks.lock(scope, rows, reached, {})
    return Locked(keys, summed(scope, queryset.db, keys))


def summed(scope: Scope, using: str, keys: Collection[Any]) -> deltas.Image:
    """Return the image of what the rows with these keys concern, grouped by the database where it is several."""
    definition = scope.definition
    if scope.stands_alone and len(keys) == 1:
        return _locked(definition, _row(definition, using, keys, _contributions)).image
    dims = _names("dim", definition.dimensions)
    sums = {f"measure_{i}": Sum(expression) for i, expression in enumerate(definition.measures.values())}
    groups: list[tuple[deltas.Values, deltas.Amounts]] = []
    for part in _parts(scope, keys):
        if not scope.stands_alone:
            locks.hold(scope, part, _reached(scope, using, part))
        rows = counted(definition, _by_keys(scope, using, part)).values(*dims).annotate(**sums)
        groups += _split(_evaluated(definition, rows.values_list(*dims, *sums)), len(dims))
    return deltas.add(groups)


def _parts(scope: Scope, keys: Collection[Any]) -> Iterator[list[Any]]:
    """Return the keys in lists of a bounded size, unless a source row could be reached from two of them."""
    return batched(keys, KEYS_A_STATEMENT if len(scope.paths) == 1 else max(len(keys), 1))


def _reached(scope: Scope, using: str, keys: Collection[Any]) -> models.QuerySet[Any]:
    rows: models.QuerySet[Any] = models.QuerySet(scope.definition.source, using=using)
    return rows.filter(scope.reaches(keys))


def _evaluated(definition: Definition, sums: models.QuerySet[Any, tuple[Any, ...]]) -> list[tuple[Any, ...]]:
    try:
        return list(sums)
    except OperationalError as error:
        if "integer overflow" not in str(error):  # SQLite's words; others sum in a wider type
            raise
        raise TotalOutOfRange(
            f"The rows written add up to more than a total of {definition.label} can hold, so none was written."
        ) from error


def _by_keys(scope: Scope, using: str, keys: Collection[Any]) -> models.QuerySet[Any]:
    rows = source_rows(scope.definition, using)
    # Asked for in the same query, Django would join what the path leads to as if it had to be there.
    reached = scope.reaches(keys) if scope.is_source else Q(pk__in=_reached(scope, using, keys).values("pk"))
    return rows.filter(reached)


def _restricted(rows: models.QuerySet[Any], queryset: models.QuerySet[Any]) -> models.QuerySet[Any]:
    """Return those rows that a queryset selects, each once and in a form that can be locked.

    A plain filter moves over as it is, so that a row that changed while we waited for its lock is
    checked again; joins and groups can neither be locked nor counted once, and become a subquery.
    """
    if is_plain(queryset) and _table(queryset.model) is _table(rows.model):
        rows.query.where = queryset.query.where.clone()
        return rows
    return rows.filter(pk__in=queryset.order_by().values(rows.model._meta.pk.name))


def is_plain(queryset: models.QuerySet[Any]) -> bool:
    """Return whether a queryset only filters the rows of its own table."""
    query = queryset.query
    joined = sum(1 for references in query.alias_refcount.values() if references) > 1
    return not (joined or query.annotations or query.extra or query.extra_tables or query.distinct or query.group_by)


def locking(definition: Definition, queryset: models.QuerySet[Any]) -> models.QuerySet[Any, Any]:
    """Return key, dimensions and contribution of the source rows that a queryset selects, locked in order."""
    return _in_order(definition, _restricted(source_rows(definition, queryset.db), queryset))


def locking_keys(definition: Definition, using: str, keys: Collection[Any]) -> tuple[str, Sequence[Any]]:
    """Return text and parameters of a statement that locks the source rows with these keys, and reads the same."""
    if len(keys) == 1:
        (key,) = keys
        one = prepared.statement(definition, using, _locked_row)
        return one.sql, one.given(definition, using, key)
    rows: models.QuerySet[Any] = models.QuerySet(definition.source, using=using)
    chosen = rows.filter(statements.any_of(definition.source, keys, using))
    text, params = locking(definition, chosen).query.get_compiler(using=using).as_sql()
    return text, params


def _in_order(definition: Definition, rows: models.QuerySet[Any]) -> models.QuerySet[Any, Any]:
    return _contributed(definition, rows.order_by("pk").select_for_update())


def _table(model: Any) -> Any:
    return model._meta.concrete_model


def _lock(definition: Definition, selections: Iterable[models.QuerySet[Any, Any]]) -> Locked:
    parts = [_locked(definition, list(selected)) for selected in selections]
    return Locked(
        frozenset().union(*(part.keys for part in parts)),
        deltas.add(item for part in parts for item in part.image.items()),
    )


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


def returned(definition: Definition, using: str, row: str = "") -> prepared.Returned:
    """Return what a row contributes as a list of columns that the statement which writes it can return.

    ``row`` says of which row, where the statement knows several: ``old``, ``new``.
    """
    return prepared.returned(definition, using, _contributions, row)


def of_row(definition: Definition, row: Sequence[Any]) -> deltas.Image:
    """Return the image of a row of such columns."""
    return _locked(definition, [row]).image


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
