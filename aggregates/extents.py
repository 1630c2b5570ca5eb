"""A part of the totals to verify or rebuild: the buckets with some values of dimensions, in a range of dates.

Only whole buckets can be compared. A rollup that cannot tell which of its rows are meant, because it
lacks a dimension, is skipped, and so are the periods of which the range has a piece alone; each is named.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from django.db import models
from django.db.models import Q

from aggregates import chunks, given, images, periods
from aggregates.chunks import Part
from aggregates.definitions import Definition, Rollup
from aggregates.exceptions import AggregatesError

NONE = "none"


class ExtentRefused(AggregatesError):
    """There is nothing that was asked for, or it cannot be. The message says what there is."""


@dataclass(frozen=True)
class Extent:
    """What is asked for: values of dimensions as text, and the days from ``first`` up to, but without, ``end``.

    ``none`` stands for no value. Raises ExtentRefused for a range in which no day lies, and for a
    dimension that is named twice.
    """

    values: tuple[tuple[str, str], ...] = ()
    first: dt.date | None = None
    end: dt.date | None = None

    def __post_init__(self) -> None:
        if self.first and self.end and self.first >= self.end:
            raise ExtentRefused(f"No day is from {self.first} on and before {self.end}: --from has to be before --to.")
        names = [name for name, _value in self.values]
        if twice := sorted({name for name in names if names.count(name) > 1}):
            raise ExtentRefused(f"The dimension {twice[0]!r} is given twice: give one value of it.")

    def __bool__(self) -> bool:
        """Return whether this is a part, and not everything."""
        return bool(self.values) or self.has_range

    def __str__(self) -> str:
        asked = [f"{name}={value}" for name, value in self.values]
        asked += [f"{name} {day}" for name, day in (("from", self.first), ("to", self.end)) if day]
        return ", ".join(asked)

    @property
    def has_range(self) -> bool:
        """Whether days are asked for."""
        return self.first is not None or self.end is not None

    def as_json(self) -> dict[str, Any]:
        """Return ``{"where": {dimension: text}, "from": date or None, "to": date or None}``."""
        first, end = (day and day.isoformat() for day in (self.first, self.end))
        return {"where": dict(self.values), "from": first, "to": end}


@dataclass(frozen=True)
class Skipped:
    """A rollup that is not compared, or, where ``cut`` names first days of periods, not for those."""

    totals: str
    rollup: str
    why: str
    cut: tuple[dt.date, ...] = ()

    def __str__(self) -> str:
        return f"{self.totals} {self.rollup}: {self.why}"

    def as_json(self) -> dict[str, Any]:
        """Return ``{"totals", "rollup", "why", "cut": [date, …]}``."""
        return {
            "totals": self.totals,
            "rollup": self.rollup,
            "why": self.why,
            "cut": [day.isoformat() for day in self.cut],
        }


@dataclass(frozen=True)
class Within:
    """The part of one declaration's totals that a run looks at; ``told`` says in words what was asked."""

    parts: tuple[Part, ...]
    told: str


@dataclass(frozen=True)
class Selection:
    """What of which totals lies in an extent, and what had to be left out of it."""

    extent: Extent
    within: Mapping[Definition, Within]
    skipped: tuple[Skipped, ...]


def select(extent: Extent, definitions: Sequence[Definition], *, using: str) -> Selection:
    """Return what of the totals lies in an extent; raise ExtentRefused where that is nothing, or cannot be."""
    for name, text in extent.values:
        _require_known(name, text, definitions, using)
    within: dict[Definition, Within] = {}
    skipped: list[Skipped] = []
    for definition in definitions:
        found, left_out = _Selecting(extent, definition, using).parts()
        skipped += left_out
        if found:
            within[definition] = Within(found, str(extent))
    if not within:
        raise ExtentRefused("; ".join(["Nothing is left to compare", *map(str, skipped)]) + ".")
    return Selection(extent, within, tuple(skipped))


Range = tuple[str, dt.date | None, dt.date | None]
"""What of a source row has to be a date in the range, and the range."""
NO_RANGE: Range = ("", None, None)


class _Selecting:
    """One declaration's rollups, one after the other."""

    def __init__(self, extent: Extent, definition: Definition, using: str) -> None:
        self.extent = extent
        self.definition = definition
        self.using = using
        self._skipped: list[Skipped] = []

    def parts(self) -> tuple[tuple[Part, ...], list[Skipped]]:
        """Return the parts that lie in the extent, one for the rollups of each range of the source, and the rest."""
        found: dict[Range, list[tuple[Rollup, Q]]] = {}
        for rollup in self.definition.rollups:
            if why := self._why_not(rollup):
                self._skip(rollup, why)
            elif not self.extent.has_range:
                found.setdefault(NO_RANGE, []).append((rollup, Q()))
            elif dated := self._dated(rollup):
                of, dimension, low, high = dated
                found.setdefault((of, low, high), []).append((rollup, _between(dimension, low, high)))
        return tuple(self._part(range_, rollups) for range_, rollups in found.items()), self._skipped

    def _why_not(self, rollup: Rollup) -> str:
        """Return why a rollup cannot tell which of its buckets have the values; empty where it can."""
        for name, text in self.extent.values:
            if name not in rollup.dimensions:
                return f"it has no dimension {name}"
            if why := _unusable(self.definition, name, text, self.using):
                return why
        return ""

    def _part(self, range_: Range, found: list[tuple[Rollup, Q]]) -> Part:
        source, stored = _between(*range_), Q()
        for name, text in self.extent.values:
            source &= _equals(self.definition, name, text, chunks.alias(self.definition, name), self.using)
            stored &= _equals(self.definition, name, text, name, self.using)
        own = Q()
        for rollup, lies_in in found:
            own |= Q(rollup=rollup.name) & lies_in
        return Part(tuple(rollup for rollup, _lies_in in found), source, stored & own)

    def _dated(self, rollup: Rollup) -> tuple[str, str, dt.date | None, dt.date | None] | None:
        """Return what of the source is dated, the dimension, and the whole periods in the range; note what is not."""
        kinds = {name: kind for name in rollup.dimensions if (kind := periods.of(self.definition, name))}
        shortest = min(kinds.values(), key=periods.KINDS.index, default=None)
        dimension, *others = [name for name, kind in kinds.items() if kind == shortest] or [""]
        if shortest is None or others:
            self._skip(rollup, "it has several dimensions of dates" if others else "it has no dimension of dates")
            return None
        low = self.extent.first and periods.ceiling(self.extent.first, shortest)
        high = self.extent.end and periods.floor(self.extent.end, shortest)
        bounds = [(day, periods.floor(day, shortest)) for day in (self.extent.first, self.extent.end) if day]
        cut = tuple(sorted({begins for day, begins in bounds if begins != day}))
        if (self.extent.first and not low) or (low and high and low >= high):
            self._skip(rollup, f"no whole {shortest} lies in the range", cut)
            return None
        if cut:
            self._skip(rollup, f"the range cuts the {shortest} of {' and the one of '.join(map(str, cut))}", cut)
        of, _length = chunks.dated(self.definition, dimension) or (chunks.alias(self.definition, dimension), 0)
        return of, dimension, low, high

    def _skip(self, rollup: Rollup, why: str, cut: tuple[dt.date, ...] = ()) -> None:
        self._skipped.append(Skipped(self.definition.label, rollup.name, why, cut))


def _between(name: str, low: dt.date | None, high: dt.date | None) -> Q:
    condition = Q()
    if low is not None:
        condition &= Q((f"{name}__gte", low))
    if high is not None:
        condition &= Q((f"{name}__lt", high))
    return condition


def _equals(definition: Definition, dimension: str, text: str, name: str, using: str) -> Q:
    """Return that ``name``, a column or an annotated dimension, has the value that is meant by a usable text."""
    condition = Q((f"{name}__isnull", True)) if text == NONE else Q()
    with suppress(given.Unusable):
        condition |= Q((name, given.from_words(definition.column(dimension), text, using=using)))
    return condition


def _unusable(definition: Definition, dimension: str, text: str, using: str) -> str:
    """Return why a text cannot be a value of a dimension; empty where it can."""
    try:
        given.from_words(definition.column(dimension), text, using=using)
    except given.Unusable as error:
        return "" if text == NONE else f"it cannot have {dimension}={text}: {error}"
    return ""


def _require_known(name: str, text: str, definitions: Sequence[Definition], using: str) -> None:
    """Refuse a dimension that no rollup has, and a value that nothing has: a slip must not look like a clean report."""
    having = [d for d in definitions if any(name in rollup.dimensions for rollup in d.rollups)]
    if not having:
        there = sorted({name for d in definitions for rollup in d.rollups for name in rollup.dimensions})
        raise ExtentRefused(f"No totals are kept by {name!r}. They are by: {', '.join(there)}.")
    reasons = {d: _unusable(d, name, text, using) for d in having}
    usable = [d for d, why in reasons.items() if not why]
    if not usable:
        raise ExtentRefused(f"{having[0].label}: {reasons[having[0]]}.")
    if text != NONE and not any(_is_known(d, name, text, using) for d in usable):
        raise ExtentRefused(f"{name}={text} is in no total and in no row that totals are kept of.")


def _is_known(definition: Definition, name: str, text: str, using: str) -> bool:
    """Return whether a value is that of a row to which the dimension leads, of a total, or of a source row."""
    field: Any = definition.totals._meta.get_field(name)
    stored: models.QuerySet[Any] = models.QuerySet(definition.totals, using=using)
    places = [(stored, name), (images.source_rows(definition, using), chunks.alias(definition, name))]
    if isinstance(field, models.ForeignKey):
        parents: models.QuerySet[Any] = models.QuerySet(field.related_model, using=using)
        places.insert(0, (parents, field.target_field.name))
    return any(rows.filter(_equals(definition, name, text, column, using)).exists() for rows, column in places)
