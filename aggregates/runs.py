"""The record of each verify and rebuild: asked what, come how far, found what."""

from __future__ import annotations

import datetime as dt
import hashlib
import logging
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import Any

from django.db import DEFAULT_DB_ALIAS, connections, models

from aggregates import interrupts, registry, reports
from aggregates.definitions import Definition
from aggregates.drift import Comparison
from aggregates.models import Run

logger = logging.getLogger(__name__)

Clock = Callable[[], dt.datetime]

# A run that has made no progress for so long is taken for dead.
SILENCE = dt.timedelta(minutes=10)
FINDINGS_KEPT = 200
SCOPE = "scope"
"""The option of a run that looks at a part of the totals alone: which, in words."""


def verified_at(totals: type[models.Model], *, using: str = DEFAULT_DB_ALIAS) -> dt.datetime | None:
    """Return when the last complete, clean verify of everything started, or None."""
    definition = registry.definition(totals)
    clean = of_everything(using).filter(
        totals=definition.label,
        kind=Run.Kind.VERIFY,
        state=Run.State.COMPLETE,
        drifted=0,
        fingerprint=fingerprint(definition),
    )
    return clean.order_by("-started_at").values_list("started_at", flat=True).first()


def drifted(totals: type[models.Model], *, using: str = DEFAULT_DB_ALIAS) -> int | None:
    """Return how many buckets the last complete verify found to differ, or None where there was none yet."""
    verifies = of_everything(using).filter(totals=totals._meta.label, kind=Run.Kind.VERIFY, state=Run.State.COMPLETE)
    return verifies.order_by("-started_at").values_list("drifted", flat=True).first()


def of_everything(using: str) -> models.QuerySet[Run]:
    """Return the runs that were not asked to look at a part of the totals alone."""
    return Run.objects.using(using).exclude(options__has_key=SCOPE)


def fingerprint(definition: Definition) -> str:
    """Return a digest of the whole declaration."""
    return hashlib.sha256(repr(sorted(definition.fingerprints.items())).encode()).hexdigest()


@contextmanager
def recorded(
    definition: Definition, kind: Run.Kind, *, using: str, clock: Clock, chunks: int, options: dict[str, Any]
) -> Iterator[Run]:
    """Yield a new run, and record how the block ended: complete, interrupted or failed."""
    now = clock()
    bury_the_dead(definition, using, now)
    run = new(definition, kind, at=now, chunks=chunks, options=options)
    run.save(using=using, force_insert=True)
    try:
        yield run
    except BaseException as error:
        interrupted = interrupts.caused(error)
        run.error = "" if interrupted else f"{type(error).__name__}: {error}"
        _end(run, Run.State.INTERRUPTED if interrupted else Run.State.FAILED, clock())
        raise
    _end(run, Run.State.COMPLETE, clock())
    tell(run)


def new(definition: Definition, kind: Run.Kind, *, at: dt.datetime, chunks: int, options: dict[str, Any]) -> Run:
    """Return the record of a run that begins now; it is not saved yet."""
    return Run(
        totals=definition.label,
        kind=kind,
        options=options,
        fingerprint=fingerprint(definition),
        started_at=at,
        heartbeat_at=at,
        chunks=chunks,
    )


def progress(run: Run, definition: Definition, comparison: Comparison, *, corrected: int = 0, at: dt.datetime) -> None:
    """Record what was found, and how many corrections it took."""
    count(run, definition, comparison, corrected=corrected)
    run.heartbeat_at = at
    run.save(update_fields=["buckets", "drifted", "corrected", "heartbeat_at", "findings"])


def count(run: Run, definition: Definition, comparison: Comparison, *, corrected: int = 0) -> None:
    """Add to a run, without saving it, what was found and how many corrections it took."""
    run.buckets += comparison.buckets
    run.drifted += len(comparison.drift)
    run.corrected += corrected
    room = FINDINGS_KEPT - len(run.findings)
    run.findings += [reports.as_json(definition, finding) for finding in comparison.drift[:room]]


def chunk_done(run: Run, *, at: dt.datetime) -> None:
    """Record that one more chunk is done; raise KeyboardInterrupt where an interrupt went unseen in it."""
    run.chunks_done += 1
    run.heartbeat_at = at
    run.save(update_fields=["chunks_done", "heartbeat_at"])
    interrupts.check()


def tell(run: Run) -> None:
    """Log one error for a verify that is complete and found drift: its fields say which, and how many buckets."""
    if run.kind == Run.Kind.VERIFY and run.drifted:
        found = {"totals": run.totals, "drifted": run.drifted, "buckets": run.buckets, "run": str(run.pk)}
        logger.error("totals_drifted", extra=found)


def _end(run: Run, state: Run.State, at: dt.datetime) -> None:
    run.state, run.finished_at = state, at
    if is_storable(run):
        run.save(update_fields=["state", "finished_at", "error"])


def is_storable(run: Run) -> bool:
    """Return whether a run's record can be stored after an error, on a new connection where need be."""
    connection = connections[run._state.db or DEFAULT_DB_ALIAS]
    if connection.needs_rollback:
        return False  # a transaction of the caller's is lost, and this record with it
    if not connection.in_atomic_block:
        connection.close_if_unusable_or_obsolete()  # an interrupt may have cut a statement short
    return True


def bury_the_dead(definition: Definition, using: str, now: dt.datetime) -> None:
    """Mark runs as interrupted that were killed before they could say so themselves."""
    silent = Run.objects.using(using).filter(
        totals=definition.label, state=Run.State.RUNNING, heartbeat_at__lt=now - SILENCE
    )
    silent.update(state=Run.State.INTERRUPTED, finished_at=now)


def break_off(totals: Iterable[str], *, using: str) -> None:
    """Take the runs of these totals that are under way for interrupted: what they found holds no more.

    No other column is named: a migration may ask before those of later migrations are there.
    """
    Run.objects.using(using).filter(totals__in=totals, state=Run.State.RUNNING).update(state=Run.State.INTERRUPTED)
