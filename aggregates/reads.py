"""Which rollup answers a question: the smallest ready one."""

from __future__ import annotations

from collections.abc import Collection

from django.db import DEFAULT_DB_ALIAS, models

from aggregates import readiness, registry
from aggregates.definitions import Rollup
from aggregates.exceptions import TotalsNotReady


def smallest(
    totals: type[models.Model], *choices: Collection[str], using: str = DEFAULT_DB_ALIAS
) -> tuple[Rollup, Collection[str]]:
    """Return the ready rollup with the fewest buckets that has all dimensions of one of the choices.

    ``choices`` are sets of dimensions, any of which would do, such as ``{"month"}`` and ``{"day"}``
    where months can be made from days. Returns the rollup and the choice it satisfies; of equally
    small rollups the one with fewer dimensions, then the one that satisfies the earlier choice.
    Raises TotalsNotReady where no ready rollup can answer.
    """
    definition = registry.definition(totals)
    buckets = readiness.ready(definition, using=using)
    candidates = [
        (buckets[rollup.name], len(rollup.dimensions), order, rollup, choice)
        for order, choice in enumerate(choices)
        for rollup in definition.rollups
        if rollup.name in buckets and set(choice) <= set(rollup.dimensions)
    ]
    if not candidates:
        raise TotalsNotReady(
            f"No ready rollup of {definition.label} has {' or '.join(str(sorted(c)) for c in choices)}: "
            "run manage.py rebuild_totals once."
        )
    *_rank, rollup, choice = min(candidates, key=lambda candidate: candidate[:3])
    return rollup, choice


def rows(totals: type[models.Model], rollup: Rollup, *, using: str = DEFAULT_DB_ALIAS) -> models.QuerySet[models.Model]:
    """Return the stored rows of a rollup: several a bucket where it has slots, so sum them."""
    queryset: models.QuerySet[models.Model] = totals._default_manager.using(using).filter(rollup=rollup.name)
    return queryset
