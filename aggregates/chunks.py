"""What one statement of verify or rebuild looks at: some rollups, and a range of what they are chunked by.

Rollups by day, month, quarter and year of one column share their ranges where these begin and end with
the longest of the periods: of a period's first day, ``month >= first`` says no other than ``day >= first``.
So they share the statement too, and the range of the source is one of the column, for which there may be
an index.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import reduce
from itertools import groupby, pairwise
from operator import attrgetter, itemgetter, or_
from typing import Any

from django.db import models
from django.db.models import Count, F, Q
from django.db.models.expressions import ExpressionWrapper
from django.db.models.functions import Cast
from django.db.models.functions.datetime import TruncBase

from aggregates import deltas, images, references
from aggregates.definitions import Definition, Rollup
from aggregates.exceptions import AggregatesError

NESTED = ("day", "month", "quarter", "year")  # each begins with one of those before it; weeks do not

EVERY = Q()


@dataclass(frozen=True)
class Part:
    """Rollups, and which of their buckets are meant: a condition on source rows, and the same on totals rows."""

    rollups: tuple[Rollup, ...]
    source: Q = EVERY
    """Over the columns and annotated dimensions of a source row."""
    stored: Q = EVERY


@dataclass(frozen=True)
class Chunk:
    """Rollups, and a half-open range of the dimensions they are chunked by; None is an open end.

    The first chunk, open below, also holds the buckets where the dimension is NULL.
    """

    rollups: tuple[Rollup, ...]
    of: str = ""
    """What of a source row lies in the range: a column, or an annotated dimension."""
    low: Any = None
    high: Any = None
    source: Q = EVERY
    """What else is asked of source rows, and in ``stored`` of totals rows, where a part of them is meant."""
    stored: Q = EVERY
    only: frozenset[deltas.Values] | None = None
    """The buckets that are meant, by their values, where it is not all that lie here."""

    def source_rows(self, definition: Definition, using: str) -> models.QuerySet[Any]:
        """Return the source rows that count in this chunk."""
        rows = images.counted(definition, images.source_rows(definition, using))
        return rows.filter(self._range(self.of) & self.source)

    def stored_rows(self, definition: Definition, using: str) -> models.QuerySet[Any]:
        """Return the totals rows of this chunk, by key."""
        names: dict[str, list[str]] = {}
        for rollup in self.rollups:
            names.setdefault(rollup.chunk_by, []).append(rollup.name)
        conditions = [self._range(dimension) & Q(rollup__in=rollups) for dimension, rollups in names.items()]
        rows: models.QuerySet[Any] = models.QuerySet(definition.totals, using=using)
        return rows.filter(reduce(or_, conditions) & self.stored).order_by("pk")

    def _range(self, name: str) -> Q:
        condition = Q()
        if self.low is not None:
            condition &= Q((f"{name}__gte", self.low))
        if self.high is not None:
            condition &= Q((f"{name}__lt", self.high))
            if self.low is None:
                condition |= Q((f"{name}__isnull", True))
        return condition


@dataclass(frozen=True)
class _Basis:
    """Rollups whose chunks are ranges of the same."""

    of: str
    period: str
    """The dimension at whose values ranges may end."""
    rollups: tuple[Rollup, ...]

    def chunks(self, bounds: Iterable[Any]) -> list[Chunk]:
        """Return chunks that begin at these values, and one before the first of them: together they are all."""
        return [Chunk(self.rollups, self.of, low, high) for low, high in pairwise([None, *bounds, None])]


class Determined(ExpressionWrapper):  # type: ignore[type-arg]  # generic in the stubs alone
    """A value that follows from what rows are grouped by, computed once a group."""

    def get_group_by_cols(self) -> list[Any]:
        """Return nothing more to group by."""
        return []


def whole(*rollups: Rollup) -> Chunk:
    """Return the chunk that is all of these rollups."""
    return Chunk(rollups)


def plan(definition: Definition, *, using: str, batch_size: int, parts: Sequence[Part] | None = None) -> list[Chunk]:
    """Return chunks that cover every rollup, or these parts of them, of about ``batch_size`` source rows or fewer each.

    A single value of the chunk's dimension is never split, so a chunk may be larger.
    """
    if parts is None:
        parts = [Part(definition.rollups)]
    planned = [_planned(definition, part, using, batch_size) for part in parts]
    return [chunk for part in planned for chunk in part]


def _planned(definition: Definition, part: Part, using: str, batch_size: int) -> list[Chunk]:
    bases = _bases(definition, part.rollups)
    bounds = [(basis, [*_bounds(definition, basis, part.source, using, batch_size)]) for basis in bases]
    found = [chunk for basis, begins in bounds for chunk in basis.chunks(begins)]
    if not any(begins for _basis, begins in bounds):
        found = [whole(*part.rollups)]
    return [replace(chunk, source=part.source, stored=part.stored) for chunk in found]


def as_json(definition: Definition, planned: Iterable[Chunk]) -> list[dict[str, Any]]:
    """Return a plan as plain values: ``[{"rollups": {name: what it is chunked by}, "bounds": [text, …]}]``.

    Only where chunks begin is kept. They are open below the first bound and above the last one, so
    that rows which come later lie in one of them as well.
    """
    return [
        {
            "rollups": {rollup.name: rollup.chunk_by for rollup in rollups},
            "bounds": [_text(definition, rollups[0].chunk_by, chunk.low) for chunk in found if chunk.low is not None],
        }
        for rollups, found in groupby(planned, key=attrgetter("rollups"))
    ]


def from_json(definition: Definition, plan: Iterable[Mapping[str, Any]]) -> list[Chunk]:
    """Return the chunks of a plan that ``as_json`` wrote; raise PlanOutdated where the declaration is another."""
    planned: list[Chunk] = []
    for part in plan:
        basis = _basis(definition, part)
        column = definition.column(basis.rollups[0].chunk_by)
        planned += basis.chunks([column.to_python(text) for text in part["bounds"]])
    if {rollup for chunk in planned for rollup in chunk.rollups} != set(definition.rollups):
        raise PlanOutdated(definition)
    return planned


class PlanOutdated(AggregatesError):
    """The rollups of a plan, or what they are chunked by, are no longer those declared."""

    def __init__(self, definition: Definition) -> None:
        super().__init__(
            f"{definition.label} is no longer declared as it was when the chunks were planned: begin another run."
        )


def _text(definition: Definition, dimension: str, value: Any) -> str:
    """Return a value of a dimension as its field serializes it; the field's to_python() takes it back."""
    field: Any = definition.totals._meta.get_field(dimension)
    return str(field.value_to_string(definition.totals(**{field.attname: value})))


def _basis(definition: Definition, part: Mapping[str, Any]) -> _Basis:
    """Return the rollups of a plan's part as they are declared now; raise PlanOutdated."""
    candidates = _bases(definition, definition.rollups)
    if not part["bounds"]:  # the part may also be all rollups at once
        candidates.append(_Basis("", "", definition.rollups))
    for basis in candidates:
        if {rollup.name: rollup.chunk_by for rollup in basis.rollups} == part["rollups"]:
            return basis
    raise PlanOutdated(definition)


def alias(definition: Definition, dimension: str) -> str:
    """Return the name under which a dimension is annotated to source rows."""
    return f"dim_{list(definition.dimensions).index(dimension)}"


def determined(definition: Definition, dimension: str) -> Determined:
    """Return a dimension of rows that are grouped by all that it is computed from."""
    return Determined(definition.dimensions[dimension], output_field=definition.column(dimension))


def _bases(definition: Definition, rollups: Iterable[Rollup]) -> list[_Basis]:
    kinds: dict[str, list[tuple[int, Rollup]]] = {}
    for rollup in rollups:
        of, length = dated(definition, rollup.chunk_by) or (alias(definition, rollup.chunk_by), 0)
        kinds.setdefault(of, []).append((length, rollup))
    return [
        _Basis(of, max(found, key=itemgetter(0))[1].chunk_by, tuple(rollup for _length, rollup in found))
        for of, found in kinds.items()
    ]


def dated(definition: Definition, dimension: str) -> tuple[str, int] | None:
    """Return the date column that a dimension is, or is a period of, and the period's place among NESTED."""
    expression: Any = definition.dimensions[dimension]
    kind = NESTED[0]
    if isinstance(expression, Cast) and isinstance(truncation := expression.source_expressions[0], TruncBase):
        kind, expression = str(truncation.kind), truncation.source_expressions[0]
    if kind not in NESTED or not isinstance(expression, F):
        return None
    *path, column = references.columns(definition.source, name := references.name_of(expression))
    if path or column.lookups or type(column.field) is not models.DateField:
        return None
    return name, NESTED.index(kind)


def _bounds(definition: Definition, basis: _Basis, meant: Q, using: str, batch_size: int) -> Iterator[Any]:
    """Return the values at which a new chunk begins, ascending."""
    rows = images.counted(definition, images.source_rows(definition, using))
    rows = rows.filter(meant, **{f"{basis.of}__isnull": False})
    counts = rows.values(basis.of).annotate(rows=Count("pk"))
    if (period := alias(definition, basis.period)) != basis.of:
        counts = counts.annotate(**{period: determined(definition, basis.period)})
    held = 0
    for value, parts in groupby(counts.order_by(basis.of).values_list(period, "rows").iterator(), itemgetter(0)):
        count = sum(part for _value, part in parts)
        if held and held + count > batch_size:
            yield value
            held = 0
        held += count
