"""Which rollup answers a question, the smallest ready one, and its answer."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from functools import lru_cache, reduce
from operator import or_
from typing import Any

from django.db import DEFAULT_DB_ALIAS, models
from django.db.models import Q, Sum

from aggregates import prepared, readiness, registry
from aggregates.definitions import Definition, Rollup
from aggregates.exceptions import TotalsNotReady

QUERIES_KEPT = 256  # compiled


@dataclass(frozen=True)
class Ready:
    """The rollups that may be read, each with the number of buckets it had when last compared."""

    label: str
    """Whose rollups they are, such as ``expenses.ExpenseTotals``."""
    buckets: Mapping[Rollup, int]

    def smallest(self, *choices: Collection[str]) -> tuple[Rollup, Collection[str]]:
        """Return the rollup with the fewest buckets that has all dimensions of one of the choices.

        ``choices`` are sets of dimensions, any of which would do, such as ``{"month"}`` and ``{"day"}``
        where months can be made from days. Returns the rollup and the choice it satisfies; of equally
        small rollups the one with fewer dimensions, then the one that satisfies the earlier choice.
        Raises TotalsNotReady where no ready rollup can answer.
        """
        candidates = [
            (buckets, len(rollup.dimensions), order, rollup, choice)
            for order, choice in enumerate(choices)
            for rollup, buckets in self.buckets.items()
            if set(choice) <= set(rollup.dimensions)
        ]
        if not candidates:
            raise TotalsNotReady(
                f"No ready rollup of {self.label} has {' or '.join(str(sorted(c)) for c in choices)}: "
                "run manage.py rebuild_totals once."
            )
        *_rank, rollup, choice = min(candidates, key=lambda candidate: candidate[:3])
        return rollup, choice


@dataclass(frozen=True)
class Part:
    """Rows of one rollup: all, or those in a half-open range of one of its dimensions.

    None is an open end.
    """

    rollup: Rollup
    dimension: str = ""
    low: Any = None
    high: Any = None

    @property
    def condition(self) -> Q:
        """Return what holds for the rows of the part and for no others."""
        condition = Q(rollup=self.rollup.name)
        if self.low is not None:
            condition &= Q((f"{self.dimension}__gte", self.low))
        if self.high is not None:
            condition &= Q((f"{self.dimension}__lt", self.high))
        return condition


def ready(totals: type[models.Model], *, using: str = DEFAULT_DB_ALIAS) -> Ready:
    """Return the ready rollups of a totals model."""
    definition = registry.definition(totals)
    buckets = readiness.ready(definition, using=using)
    return Ready(definition.label, {definition.rollup(name): count for name, count in buckets.items()})


def smallest(
    totals: type[models.Model], *choices: Collection[str], using: str = DEFAULT_DB_ALIAS
) -> tuple[Rollup, Collection[str]]:
    """Return the smallest ready rollup of a totals model, and the choice it satisfies: see Ready.smallest."""
    return ready(totals, using=using).smallest(*choices)


def sums(
    totals: type[models.Model], *by: str, where: Q | None = None, using: str = DEFAULT_DB_ALIAS
) -> list[tuple[Any, ...]]:
    """Return what the measures add up to, by dimensions, of the rows that ``where`` selects.

    ``by`` and ``where`` name dimensions: ``sums(SaleTotals, "shop", "month", where=Q(shop__in=[1, 2]))``.
    A tuple a combination: the values of ``by``, a foreign key's by its id, then the measures in the order
    of their declaration; without ``by`` at most one. In no particular order, and without those whose
    measures are all zero. Raises TotalsNotReady where no ready rollup can answer, ValueError for a name
    that is no dimension.
    """
    definition = registry.definition(totals)
    needed = {*by, *(where.referenced_base_fields if where else ())}
    if unknown := needed - set(definition.dimensions):
        raise ValueError(f"{definition.label} has no dimension {', '.join(sorted(unknown))}.")
    rollup, _needed = smallest(totals, needed, using=using)
    columns = by or ("rollup",)  # of which there is one
    if where is None:
        found = _compiled_sums(definition, rollup, columns, using).rows(using)
    else:
        found = list(_sums(definition, rollup, columns, using, where))
    return found if by else [row[1:] for row in found]


@lru_cache(QUERIES_KEPT)
def _compiled_sums(definition: Definition, rollup: Rollup, columns: tuple[str, ...], using: str) -> prepared.Query:
    return prepared.query(_sums(definition, rollup, columns, using))


def _sums(
    definition: Definition, rollup: Rollup, columns: tuple[str, ...], using: str, where: Q | None = None
) -> models.QuerySet[Any, Any]:
    selected = rows(definition.totals, [Part(rollup)], using=using).filter(where or Q())
    measures = {f"sum_of_{name}": Sum(name) for name in definition.measures}
    grouped: Any = selected.values_list(*columns).annotate(**measures).order_by()
    found: models.QuerySet[Any, Any] = grouped.exclude(**dict.fromkeys(measures, 0))
    return found


def rows(
    totals: type[models.Model], parts: Iterable[Part], *, using: str = DEFAULT_DB_ALIAS
) -> models.QuerySet[models.Model]:
    """Return the stored rows of parts that do not overlap, in one query and so from one snapshot.

    There are several rows a bucket where the rollup has slots, so sum them.
    """
    condition = reduce(or_, (part.condition for part in parts))
    queryset: models.QuerySet[models.Model] = totals._default_manager.using(using).filter(condition)
    return queryset
