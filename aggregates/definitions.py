"""What is declared: source, dimensions, measures, filter, rollups. Frozen, validated when built."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum
from functools import cached_property
from typing import TYPE_CHECKING, Any

from django.db import models
from django.db.models import Q, Value
from django.db.models.expressions import Combinable

from aggregates.exceptions import DeclarationError

if TYPE_CHECKING:
    from aggregates.models import Totals

MAX_SLOTS = 256  # a slot is one byte of the key


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
    time_zones: frozenset[str] = frozenset()
    """Names of the time zones in which dates are taken from datetimes."""

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
        return value_field(self.totals, name)

    @property
    def attnames(self) -> list[str]:
        """Return the attributes of a totals row that hold its dimensions: ``owner_id`` for ``owner``."""
        return [self.totals._meta.get_field(name).attname for name in self.dimensions]  # type: ignore[union-attr]

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


def value_field(model: type[models.Model], name: str) -> models.Field[Any, Any]:
    """Return a field of the type that values of a column have: for a foreign key, the key it holds."""
    field: Any = model._meta.get_field(name)
    while isinstance(field, models.ForeignKey):
        field = field.target_field
    copy: models.Field[Any, Any] = field.clone()
    return copy


def _spelled(part: Any) -> Any:
    """Return how an expression, or a part of one, would be written down: equal for equal meaning."""
    if isinstance(part, Enum):
        return repr(part.value)
    if hasattr(part, "deconstruct"):
        return [_spelled(piece) for piece in part.deconstruct()]
    if isinstance(part, (set, frozenset)):
        return sorted(map(repr, map(_spelled, part)))
    if isinstance(part, dict):
        return [(key, _spelled(value)) for key, value in sorted(part.items())]
    if isinstance(part, (list, tuple)):
        return [_spelled(item) for item in part]
    return repr(part)
