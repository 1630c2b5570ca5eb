"""How the totals stand: what is ready, how many rows, when they were last compared and repaired."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from django.db import models
from django.db.models import Count

from aggregates import readiness, runs
from aggregates.definitions import Definition, Rollup
from aggregates.models import RollupState, Run


@dataclass(frozen=True)
class RollupStatus:
    """One declared rollup. ``rows`` are stored; ``spread`` of them stand in slots other than 0 until the next fold."""

    name: str
    ready: bool
    rows: int
    spread: int
    slots: int
    slots_used: int
    """In how many of its slots there are rows."""
    buckets: int | None
    """How many it had when it was last found clean."""
    checked_at: dt.datetime | None
    """When that was, under whatever declaration."""


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
    """The latest run of each kind that looked at everything."""

    @property
    def needs_attention(self) -> bool:
        """Whether some rollup is not read, or the last verify did not end clean."""
        verify = self.last[Run.Kind.VERIFY]
        drifted = verify is not None and verify.state == Run.State.COMPLETE and verify.drifted > 0
        return drifted or not all(rollup.ready for rollup in self.rollups)


def status(definition: Definition, *, using: str) -> Status:
    """Return how the totals of a declaration stand. Reads the totals once, and no source row."""
    stored = _stored(definition, using)
    ready = readiness.ready(definition, using=using)
    states = {state.rollup: state for state in RollupState.objects.using(using).filter(totals=definition.label)}
    rollups = tuple(
        _of_rollup(rollup, rollup.name in ready, stored.pop(rollup.name, {}), states.get(rollup.name))
        for rollup in definition.rollups
    )
    return Status(
        definition.label,
        rollups,
        sum(sum(slots.values()) for slots in stored.values()),
        runs.verified_at(definition.totals, using=using),
        {kind: _latest(definition, kind, using) for kind in (Run.Kind.VERIFY, Run.Kind.REBUILD)},
    )


def _stored(definition: Definition, using: str) -> dict[str, dict[int, int]]:
    """Return how many rows there are, by rollup and slot."""
    rows: models.QuerySet[Any] = models.QuerySet(definition.totals, using=using)
    stored: dict[str, dict[int, int]] = {}
    for rollup, slot, count in rows.order_by().values_list("rollup", "slot").annotate(rows=Count("pk")):
        stored.setdefault(rollup, {})[slot] = count
    return stored


def _of_rollup(rollup: Rollup, ready: bool, slots: Mapping[int, int], state: RollupState | None) -> RollupStatus:  # noqa: FBT001 - a fact, not a switch
    return RollupStatus(
        name=rollup.name,
        ready=ready,
        rows=sum(slots.values()),
        spread=sum(rows for slot, rows in slots.items() if slot),
        slots=rollup.slots,
        slots_used=len(slots),
        buckets=state.buckets if state else None,
        checked_at=state.checked_at if state else None,
    )


def _latest(definition: Definition, kind: Run.Kind, using: str) -> Run | None:
    found = runs.of_everything(using).filter(totals=definition.label, kind=kind)
    return found.order_by("-started_at").first()
