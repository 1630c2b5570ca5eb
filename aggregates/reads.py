"""Which rollup answers a question: the smallest ready one."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from functools import reduce
from operator import or_
from typing import Any

from django.db import DEFAULT_DB_ALIAS, models
from django.db.models import Q

from aggregates import readiness, registry
from aggregates.definitions import Rollup
from aggregates.exceptions import TotalsNotReady


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


def rows(
    totals: type[models.Model], parts: Iterable[Part], *, using: str = DEFAULT_DB_ALIAS
) -> models.QuerySet[models.Model]:
    """Return the stored rows of parts that do not overlap, in one query and so from one snapshot.

    There are several rows a bucket where the rollup has slots, so sum them.
    """
    condition = reduce(or_, (part.condition for part in parts))
    queryset: models.QuerySet[models.Model] = totals._default_manager.using(using).filter(condition)
    return queryset
