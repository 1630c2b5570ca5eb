"""What is declared: source, dimensions, measures, filter, rollups. Frozen, validated when built."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

from django.apps import apps
from django.core.exceptions import FieldDoesNotExist, FieldError
from django.db import models
from django.db.models import Case, Count, F, Q, Sum, Value, When
from django.db.models.expressions import BaseExpression, Combinable
from django.db.models.functions import Cast, Coalesce
from django.db.models.functions.datetime import TimezoneMixin

from aggregates.exceptions import DeclarationError
from aggregates.fields import FixedDecimalField

if TYPE_CHECKING:
    from aggregates.models import Totals

MAX_SLOTS = 256  # a slot is one byte of the key
# The columns every totals model has; each other one is a dimension or a measure.
OWN_FIELDS = frozenset({"id", "rollup", "slot", "generation"})


@dataclass(frozen=True, init=False)
class Rollup:
    """A grouping set: the dimensions by which one set of buckets is kept.

    ``slots`` stripes hot buckets over that many rows, so that concurrent writers do not wait for
    each other. ``chunk_by`` names the dimension by whose ranges verify and rebuild advance (the
    last one unless told). ``name`` identifies the rollup in its rows and in reports.
    """

    dimensions: tuple[str, ...]
    slots: int
    name: str
    chunk_by: str

    def __init__(self, *dimensions: str, slots: int = 1, name: str = "", chunk_by: str = "") -> None:
        if not dimensions:
            raise DeclarationError("A Rollup needs at least one dimension.")
        if len(set(dimensions)) != len(dimensions):
            raise DeclarationError(f"Rollup{dimensions} names a dimension twice: name each once.")
        if not 1 <= slots <= MAX_SLOTS:
            raise DeclarationError(f"Rollup{dimensions} has slots={slots}: take 1 to {MAX_SLOTS}.")
        if chunk_by and chunk_by not in dimensions:
            raise DeclarationError(f"Rollup{dimensions} has chunk_by={chunk_by!r}: take one of its dimensions.")
        object.__setattr__(self, "dimensions", dimensions)
        object.__setattr__(self, "slots", slots)
        object.__setattr__(self, "name", name or ",".join(dimensions))
        object.__setattr__(self, "chunk_by", chunk_by or dimensions[-1])


@dataclass(frozen=True, eq=False)
class Definition:
    """One resolved declaration.

    ``dimensions`` maps each dimension to an expression over a source row, of the type of the
    totals column of that name; ``measures`` maps each measure to what one row contributes to its
    sum. Both are in the order of the totals model's fields.
    """

    totals: type[Totals]
    source: type[models.Model]
    where: Q
    dimensions: Mapping[str, Combinable]
    measures: Mapping[str, Combinable]
    rollups: tuple[Rollup, ...]
    watched: frozenset[str] | None
    """Names and attnames of the source's columns that matter; None where any may."""

    @property
    def label(self) -> str:
        """Return the totals model's label, such as ``expenses.ExpenseTotals``."""
        return self.totals._meta.label

    def rollup(self, name: str) -> Rollup:
        """Return the rollup of that name; raise KeyError where none is declared."""
        return self._rollups_by_name[name]

    @cached_property
    def _rollups_by_name(self) -> dict[str, Rollup]:
        return {rollup.name: rollup for rollup in self.rollups}

    def column(self, name: str) -> models.Field[Any, Any]:
        """Return a field of the type of a dimension or measure: for a foreign key, of its key."""
        return _plain(self.totals._meta.get_field(name))

    def zero(self, measure: str) -> Value:
        """Return a typed zero of a measure."""
        return Value(0, output_field=self.column(measure))

    @cached_property
    def fingerprints(self) -> dict[str, str]:
        """Return a digest of what each rollup means, by name: another meaning, another digest."""
        meaning = {
            rollup.name: (
                self.source._meta.label,
                _spelled(self.where),
                [(name, _spelled(measure)) for name, measure in self.measures.items()],
                [(name, _spelled(self.dimensions[name])) for name in rollup.dimensions],
            )
            for rollup in self.rollups
        }
        return {name: hashlib.sha256(repr((name, parts)).encode()).hexdigest() for name, parts in meaning.items()}

    def concerns(self, update_fields: frozenset[str] | None) -> bool:
        """Return whether a write of these columns (None: all) can change a total."""
        return update_fields is None or self.watched is None or not self.watched.isdisjoint(update_fields)


def _spelled(part: Any) -> Any:
    """Return how an expression, or a part of one, would be written down: equal for equal meaning."""
    if hasattr(part, "deconstruct"):
        return [_spelled(piece) for piece in part.deconstruct()]
    if isinstance(part, dict):
        return [(key, _spelled(value)) for key, value in sorted(part.items())]
    if isinstance(part, (list, tuple)):
        return [_spelled(item) for item in part]
    return repr(part)


def define(totals: type[Totals]) -> Definition:
    """Return the definition that ``totals.Aggregate`` declares, or raise DeclarationError."""
    declared = _Declared(totals)
    source = declared.source()
    measures = {name: _contribution(totals, source, name, aggregate) for name, aggregate in declared.measures().items()}
    dimensions = {name: _dimension(totals, source, name, e) for name, e in declared.dimensions().items()}
    where = declared.get("where", Q())
    for name, expression in {**dimensions, **measures}.items():
        _refuse_unresolvable(totals, source, name, expression)
    _refuse_unresolvable(totals, source, "where", where)
    rollups = declared.rollups(frozenset(dimensions))
    watched = _watched(source, [*dimensions.values(), *measures.values(), where])
    return Definition(totals, source, where, dimensions, measures, rollups, watched)


class _Declared:
    """What a Totals class says, read attribute by attribute, with errors that name the class."""

    def __init__(self, totals: type[Totals]) -> None:
        self.totals = totals
        inner = getattr(totals, "Aggregate", None)
        if inner is None:
            raise DeclarationError(
                f"{totals.__name__} has no inner class Aggregate: declare source, measures and rollups there."
            )
        self.inner = inner
        known = {"source", "where", "dimensions", "measures", "rollups"}
        if unknown := {name for name in vars(inner) if not name.startswith("_")} - known:
            raise DeclarationError(
                f"{totals.__name__}.Aggregate has unknown {sorted(unknown)}: it takes {sorted(known)}."
            )

    def get(self, name: str, default: Any = None) -> Any:
        return getattr(self.inner, name, default)

    def source(self) -> type[models.Model]:
        label = self.get("source")
        if isinstance(label, type) and issubclass(label, models.Model):
            return label
        try:
            return apps.get_model(label)
        except (LookupError, ValueError, AttributeError, TypeError) as error:
            raise DeclarationError(
                f"{self.totals.__name__}.Aggregate.source is {label!r}: write 'app_label.Model' of an installed model.",
                id="aggregates.E002",
            ) from error

    def measures(self) -> dict[str, Any]:
        measures = self.get("measures") or {}
        if not measures:
            raise DeclarationError(
                f"{self.totals.__name__}.Aggregate declares no measures: write measures = {{'count': Count('*')}}."
            )
        for name in measures:
            self._column(name, "measure")
        return {f.name: measures[f.name] for f in self.totals._meta.concrete_fields if f.name in measures}

    def dimensions(self) -> dict[str, Any]:
        explicit = dict(self.get("dimensions") or {})
        for name in explicit:
            self._column(name, "dimension")
        measures = self.get("measures") or {}
        dimensions = {}
        for field in self.totals._meta.concrete_fields:
            if field.name in OWN_FIELDS or field.name in measures:
                continue
            if not field.null:
                raise DeclarationError(
                    f"{self.totals.__name__}.{field.name} is a dimension: declare it with null=True, "
                    "because rollups without it leave it empty.",
                    id="aggregates.E003",
                )
            dimensions[field.name] = explicit.get(field.name, F(field.name))
        return dimensions

    def rollups(self, dimensions: frozenset[str]) -> tuple[Rollup, ...]:
        rollups = tuple(self.get("rollups") or ())
        if not rollups:
            raise DeclarationError(
                f"{self.totals.__name__}.Aggregate declares no rollups: write rollups = (Rollup(…),)."
            )
        for rollup in rollups:
            if missing := [name for name in rollup.dimensions if name not in dimensions]:
                raise DeclarationError(
                    f"Rollup {rollup.name!r} of {self.totals.__name__} names {missing}: declare a field for each, or take "
                    f"of {sorted(dimensions)}.",
                    id="aggregates.E004",
                )
        if len({rollup.name for rollup in rollups}) != len(rollups):
            raise DeclarationError(f"Two rollups of {self.totals.__name__} have one name: give each its own name=….")
        return rollups

    def _column(self, name: str, what: str) -> None:
        try:
            self.totals._meta.get_field(name)
        except FieldDoesNotExist as error:
            raise DeclarationError(
                f"{self.totals.__name__}.Aggregate declares the {what} {name!r}, but the model has no such field: add one.",
                id="aggregates.E005",
            ) from error


def _dimension(totals: type[Totals], source: type[models.Model], name: str, expression: Any) -> Combinable:
    """Return the expression, cast to the column's type where it is computed."""
    if isinstance(expression, str):
        expression = F(expression)
    if not isinstance(expression, Combinable):
        raise DeclarationError(
            f"Dimension {name!r} of {totals.__name__} is {expression!r}: write F('field') or a database function."
        )
    for part in _parts(expression):
        if isinstance(part, TimezoneMixin) and part.tzinfo is None and _is_datetime(source, part):
            raise DeclarationError(
                f"Dimension {name!r} of {totals.__name__} truncates a datetime without tzinfo, so one row would fall into "
                "other buckets under another time zone: pass tzinfo=datetime.UTC or a ZoneInfo.",
                id="aggregates.E006",
            )
    if isinstance(expression, F):
        return expression
    return Cast(expression, output_field=_plain(totals._meta.get_field(name)))


def _plain(field: Any) -> models.Field[Any, Any]:
    """Return the field whose type values of a column have: for a foreign key, the key it holds."""
    while isinstance(field, models.ForeignKey):
        field = field.target_field
    copy: models.Field[Any, Any] = field.clone()
    return copy


def _contribution(totals: type[Totals], source: type[models.Model], name: str, aggregate: Any) -> Combinable:
    """Return what one row adds to a measure: the argument of its Sum, or one for Count."""
    if not isinstance(aggregate, (Sum, Count)) or aggregate.distinct:
        raise DeclarationError(
            f"Measure {name!r} of {totals.__name__} is {aggregate!r}: write Sum(…) or Count(…), not distinct. "
            "Only what adds up can be kept by deltas; an average is a sum divided by a count.",
            id="aggregates.E007",
        )
    column = _plain(totals._meta.get_field(name))
    zero = Value(0, output_field=column)
    argument = aggregate.source_expressions[0]
    if isinstance(aggregate, Count):
        contribution = _one_for(argument)
    else:
        _refuse_other_scale(totals, source, name, argument)
        contribution = Coalesce(argument, zero, output_field=column)
    if aggregate.filter is not None:
        contribution = Case(When(aggregate.filter, then=contribution), default=zero, output_field=column)
    return contribution


def _refuse_other_scale(totals: type[Totals], source: type[models.Model], name: str, argument: Any) -> None:
    """Refuse to sum what the column would store with another scale, or not exactly."""
    column = totals._meta.get_field(name)
    try:
        summed = argument.resolve_expression(models.sql.Query(source), allow_joins=True).output_field
    except FieldError as error:
        raise DeclarationError(
            f"Measure {name!r} of {totals.__name__} cannot be computed from {source._meta.label}: {error}",
            id="aggregates.E005",
        ) from error
    for kind in (FixedDecimalField, models.IntegerField, models.DecimalField):
        if isinstance(summed, kind) and isinstance(column, kind):
            return
    raise DeclarationError(
        f"Measure {name!r} of {totals.__name__} is a {type(column).__name__} but sums a {type(summed).__name__}: "
        "take FixedDecimalField for a FixedDecimalField, BigIntegerField for whole numbers.",
        id="aggregates.E008",
    )


def _one_for(argument: Any) -> Case | Value:
    """Return one for each row that COUNT counts: every row for ``*``, else where it is not NULL."""
    whole = models.BigIntegerField()
    one = Value(1, output_field=whole)
    if not isinstance(argument, F):
        return one
    return Case(
        When(Q((f"{argument.name}__isnull", False)), then=one), default=Value(0, output_field=whole), output_field=whole
    )


def _refuse_unresolvable(totals: type[Totals], source: type[models.Model], name: str, expression: Any) -> None:
    try:
        expression.resolve_expression(models.sql.Query(source), allow_joins=True)
    except FieldError as error:
        raise DeclarationError(
            f"{name!r} of {totals.__name__} cannot be computed from {source._meta.label}: {error}", id="aggregates.E005"
        ) from error


def _parts(expression: Any) -> Iterator[Any]:
    yield expression
    if isinstance(expression, Q):
        for child in expression.children:
            yield from _parts(child if isinstance(child, (Q, BaseExpression)) else F(child[0]))
            if not isinstance(child, (Q, BaseExpression)):
                yield from _parts(child[1])
    for child in getattr(expression, "get_source_expressions", list)():
        yield from _parts(child)
    if isinstance(expression, When):
        yield from _parts(expression.condition)


def _is_datetime(source: type[models.Model], expression: Any) -> bool:
    resolved = expression.resolve_expression(models.sql.Query(source), allow_joins=True)
    return isinstance(resolved.get_source_expressions()[0].output_field, models.DateTimeField)


def _watched(source: type[models.Model], expressions: list[Any]) -> frozenset[str] | None:
    """Return the source's own columns the expressions read; None where that cannot be told."""
    names: set[str] = set()
    for expression in expressions:
        for part in _parts(expression):
            if not isinstance(part, F):
                continue
            if part.name == "*":
                continue
            name = "pk" if part.name == "pk" else part.name.split("__")[0]
            field = source._meta.pk if name == "pk" else source._meta.get_field(name)
            if getattr(field, "generated", False):
                return None
            names |= {field.name, getattr(field, "attname", field.name)}
    return frozenset(names)
