"""What is declared: source, dimensions, measures, filter, rollups. Frozen, validated when built."""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from enum import Enum
from functools import cached_property, reduce
from operator import or_
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


@dataclass(frozen=True)
class Table:
    """A table that totals are computed from: the source's, or one that its foreign keys lead to.

    ``path`` names the foreign keys that are followed from the source, and is empty for the source itself.
    """

    path: str
    model: type[models.Model]
    columns: frozenset[str] | None
    """Names and attnames of the columns that matter; None where any may."""


@dataclass(frozen=True, eq=False)
class Scope:
    """The rows of one model, in so far as the totals of one definition depend on them.

    ``paths`` are those of its tables: a model may be the source, be reached from it, or both.
    """

    definition: Definition
    model: type[models.Model]
    paths: tuple[str, ...]
    columns: frozenset[str] | None

    @property
    def is_source(self) -> bool:
        """Whether each row concerns the source row it is, and no other."""
        return self.paths == ("",)

    @property
    def stands_alone(self) -> bool:
        """Whether totals depend on this table alone, so that locking a row locks what it contributes."""
        return len(self.definition.tables) == 1

    def concerns(self, update_fields: frozenset[str] | None) -> bool:
        """Return whether a write of these columns (None: all) can change a total."""
        return update_fields is None or self.columns is None or not self.columns.isdisjoint(update_fields)

    def reaches(self, keys: Collection[Any]) -> Q:
        """Return the condition that a source row is, or leads to, one of the rows with these keys."""
        conditions = [Q((f"{path}__pk__in" if path else "pk__in", keys)) for path in self.paths]
        return reduce(or_, conditions)


@dataclass(frozen=True, eq=False)
class Definition:
    """One resolved declaration.

    ``dimensions`` maps each dimension to an expression over a source row, of the type of the
    totals column of that name; ``measures`` maps each measure to what one row contributes to its
    sum. Both are in the order of the totals model's fields. ``tables`` are all that these and the
    filter read: the source's first, and each after the one whose foreign key leads to it.
    """

    totals: type[Totals]
    tables: tuple[Table, ...]
    where: Q
    dimensions: Mapping[str, Combinable]
    measures: Mapping[str, Combinable]
    rollups: tuple[Rollup, ...]
    time_zones: frozenset[str] = frozenset()
    """Names of the time zones in which dates are taken from datetimes."""

    @property
    def label(self) -> str:
        """Return the totals model's label, such as ``expenses.ExpenseTotals``."""
        return self.totals._meta.label

    @property
    def source(self) -> type[models.Model]:
        """Return the model whose rows are summed."""
        return self.tables[0].model

    @cached_property
    def scopes(self) -> tuple[Scope, ...]:
        """Return the models whose rows decide totals: those farthest from the source first.

        Rows are locked in this order, so that writers wait for each other instead of deadlocking.
        """
        found: dict[Any, list[Table]] = {}
        for table in reversed(self.tables):
            found.setdefault(table.model._meta.concrete_model, []).append(table)
        return tuple(
            Scope(self, tables[-1].model, tuple(table.path for table in tables), _union(tables))
            for tables in found.values()
        )

    def rollup(self, name: str) -> Rollup:
        """Return the rollup of that name; raise KeyError where none is declared."""
        return self._rollups_by_name[name]

    @cached_property
    def places(self) -> Mapping[str, tuple[int, ...]]:
        """Return where a rollup's dimensions stand among all, by the rollup's name."""
        names = list(self.dimensions)
        return {rollup.name: tuple(names.index(name) for name in rollup.dimensions) for rollup in self.rollups}

    @cached_property
    def _rollups_by_name(self) -> dict[str, Rollup]:
        return {rollup.name: rollup for rollup in self.rollups}

    def column(self, name: str) -> models.Field[Any, Any]:
        """Return a field of the type of a dimension or measure: for a foreign key, of its key."""
        return value_field(self.totals, name)

    @cached_property
    def is_striped(self) -> bool:
        """Whether some rollup has more than one slot."""
        return any(rollup.slots > 1 for rollup in self.rollups)

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


def value_field(model: type[models.Model], name: str) -> models.Field[Any, Any]:
    """Return a field of the type that values of a column have: for a foreign key, the key it holds."""
    field: Any = model._meta.get_field(name)
    while isinstance(field, models.ForeignKey):
        field = field.target_field
    copy: models.Field[Any, Any] = field.clone()
    return copy


def _union(tables: list[Table]) -> frozenset[str] | None:
    columns = [table.columns for table in tables]
    return None if None in columns else frozenset().union(*(each for each in columns if each is not None))


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
