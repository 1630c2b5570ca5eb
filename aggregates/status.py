"""How the totals stand: what is ready, how many rows, when they were last compared and repaired."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from django.db import models
from django.db.models import Count, Q

from aggregates import readiness, runs
from aggregates.definitions import Definition
from aggregates.models import RollupState, Run


@dataclass(frozen=True)
class RollupStatus:
    """One declared rollup. ``rows`` are stored; ``spread`` of them stand in slots other than 0 until the next fold."""

    name: str
    ready: bool
    rows: int
    spread: int
    slots: int
    checked_at: dt.datetime | None
    """When it was last found clean, under whatever declaration."""


@dataclass(frozen=True)
class Status:
    """One totals model."""

    label: str
    rollups: tuple[RollupStatus, ...]
    undeclared_rows: int
    """Rows of rollups that are no longer declared, until the next rebuild."""
    verified_at: dt.datetime | None
    """When the last complete, clean verify began."""
    last: Mapping[str, Run | None]
    """The latest run of each kind."""

    @property
    def needs_attention(self) -> bool:
        """Whether some rollup is not read, or the last verify did not end clean."""
        verify = self.last[Run.Kind.VERIFY]
        drifted = verify is not None and verify.state == Run.State.COMPLETE and verify.drifted > 0
        return drifted or not all(rollup.ready for rollup in self.rollups)


def status(definition: Definition, *, using: str) -> Status:
    """Return how the totals of a declaration stand. Reads the totals once, and no source row."""
    rows: models.QuerySet[Any] = models.QuerySet(definition.totals, using=using)
    counts = {"all": Count("pk"), "spread": Count("pk", filter=Q(slot__gt=0))}
    counted = rows.order_by().values_list("rollup").annotate(**counts)
    stored = {name: (all_, spread) for name, all_, spread in counted}
    ready = readiness.ready(definition, using=using)
    states = RollupState.objects.using(using).filter(totals=definition.label)
    checked = dict(states.values_list("rollup", "checked_at"))
    rollups = tuple(
        RollupStatus(
            rollup.name, rollup.name in ready, *stored.pop(rollup.name, (0, 0)), rollup.slots, checked.get(rollup.name)
        )
        for rollup in definition.rollups
    )
    return Status(
        definition.label,
        rollups,
        sum(all_ for all_, _spread in stored.values()),
        runs.verified_at(definition.totals, using=using),
        {kind: _latest(definition, kind, using) for kind in (Run.Kind.VERIFY, Run.Kind.REBUILD)},
    )


def _latest(definition: Definition, kind: Run.Kind, using: str) -> Run | None:
    found = Run.objects.using(using).filter(totals=definition.label, kind=kind)
    return found.order_by("-started_at").first()
