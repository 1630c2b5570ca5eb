"""What a Totals class declares → its definition, or an error that says what to write instead."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from django.apps import apps
from django.db import models
from django.db.models import F, Q

from aggregates import expressions, references
from aggregates.definitions import Definition, Rollup
from aggregates.exceptions import DeclarationError

if TYPE_CHECKING:
    from aggregates.models import Totals

# The columns every totals model has; each other one is a dimension or a measure.
OWN_FIELDS = frozenset({"id", "rollup", "slot", "generation"})
MAX_NAME = 100  # characters of the column that holds a rollup's name
PARTS = frozenset({"source", "where", "dimensions", "measures", "rollups"})


def define(totals: type[Totals]) -> Definition:
    """Return the definition that ``totals.Aggregate`` declares, or raise DeclarationError."""
    declared = _Declared(totals)
    source = declared.source()
    dimensions = {name: expressions.dimension(totals, source, name, e) for name, e in declared.dimensions()}
    measures = {name: expressions.contribution(totals, source, name, a) for name, a in declared.measures()}
    where = expressions.condition(totals, source, declared.get("where", Q()))
    parts = [*dimensions.values(), *measures.values(), where]
    return Definition(
        totals=totals,
        tables=references.tables(source, parts),
        where=where,
        dimensions=dimensions,
        measures=measures,
        rollups=declared.rollups(frozenset(dimensions)),
        time_zones=expressions.time_zones(parts),
    )


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
        if unknown := {name for name in vars(inner) if not name.startswith("_")} - PARTS:
            raise DeclarationError(
                f"{totals.__name__}.Aggregate has unknown {sorted(unknown)}: it takes {sorted(PARTS)}."
            )

    def get(self, name: str, default: Any = None) -> Any:
        """Return an attribute of the inner class, or the default."""
        return getattr(self.inner, name, default)

    def source(self) -> type[models.Model]:
        """Return the model that is summed."""
        source = self._source()
        if isinstance(source._meta.pk, models.CompositePrimaryKey):
            raise DeclarationError(
                f"{source._meta.label}, the source of {self.totals.__name__}, has a composite primary key, by which "
                "its rows cannot be tracked: give it a key of one column, and a UniqueConstraint over the others.",
                id="aggregates.E002",
            )
        return source

    def _source(self) -> type[models.Model]:
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

    def measures(self) -> Iterator[tuple[str, Any]]:
        """Yield each measure with what is declared for it, in the order of the model's fields."""
        measures = self.get("measures") or {}
        if not measures:
            raise DeclarationError(
                f"{self.totals.__name__}.Aggregate declares no measures: write measures = {{'count': Count('*')}}."
            )
        for name in measures:
            if self._column(name, "measure").null:
                raise DeclarationError(
                    f"{self.totals.__name__}.{name} is a measure: declare it with default=0 and without null=True.",
                    id="aggregates.E003",
                )
        yield from ((f.name, measures[f.name]) for f in self.totals._meta.concrete_fields if f.name in measures)

    def dimensions(self) -> Iterator[tuple[str, Any]]:
        """Yield each dimension with what is declared for it, or else the source's field of that name."""
        explicit = dict(self.get("dimensions") or {})
        for name in explicit:
            self._column(name, "dimension")
        measures = self.get("measures") or {}
        for field in self.totals._meta.concrete_fields:
            if field.name in OWN_FIELDS or field.name in measures:
                continue
            if not field.null:
                raise DeclarationError(
                    f"{self.totals.__name__}.{field.name} is a dimension: declare it with null=True, "
                    "because rollups without it leave it empty.",
                    id="aggregates.E003",
                )
            if isinstance(field, models.ForeignKey):
                self._refuse_cascade(field)
            yield field.name, explicit.get(field.name, F(field.name))

    def rollups(self, dimensions: frozenset[str]) -> tuple[Rollup, ...]:
        """Return the rollups, all of whose dimensions are declared."""
        rollups = tuple(self.get("rollups") or ())
        if not rollups:
            raise DeclarationError(
                f"{self.totals.__name__}.Aggregate declares no rollups: write rollups = (Rollup(…),)."
            )
        for rollup in rollups:
            if not isinstance(rollup, Rollup):
                raise DeclarationError(
                    f"{self.totals.__name__}.Aggregate.rollups holds {rollup!r}: write Rollup('dimension', …)."
                )
            if len(rollup.name) > MAX_NAME:
                raise DeclarationError(
                    f"A rollup of {self.totals.__name__} has a name longer than {MAX_NAME} characters: give it a short "
                    "name=…."
                )
            if missing := [name for name in rollup.dimensions if name not in dimensions]:
                raise DeclarationError(
                    f"Rollup {rollup.name!r} of {self.totals.__name__} names {missing}: declare a field for each, or "
                    f"take of {sorted(dimensions)}.",
                    id="aggregates.E004",
                )
        if len({rollup.name for rollup in rollups}) != len(rollups):
            raise DeclarationError(f"Two rollups of {self.totals.__name__} have one name: give each its own name=….")
        return rollups

    def _refuse_cascade(self, field: Any) -> None:
        """Totals go when their source rows go; a cascade of their own would race with the deltas."""
        if field.db_constraint or field.remote_field.on_delete is not models.DO_NOTHING:
            raise DeclarationError(
                f"{self.totals.__name__}.{field.name} is a foreign key of totals: declare it with "
                "on_delete=DO_NOTHING and db_constraint=False, because the totals follow their source rows.",
                id="aggregates.E003",
            )

    def _column(self, name: str, what: str) -> Any:
        fields = {field.name: field for field in self.totals._meta.concrete_fields}
        try:
            return fields[name]
        except KeyError as error:
            raise DeclarationError(
                f"{self.totals.__name__}.Aggregate declares the {what} {name!r}, but the model has no such field: "
                "add one.",
                id="aggregates.E005",
            ) from error
