"""Runs that are worked off in bounded steps, so that no request lasts as long as a run.

A step claims its run by one conditional UPDATE: of two at once, one works. It holds neither a lock
nor a transaction while it compares, so writers go on as beside a command. What a chunk was found to
hold is stored together with how far the run has come, and only while the claim holds: a run that was
cancelled or taken over meanwhile is left as it is. A chunk that was broken off is compared again,
which does no harm, for a correction applies once.
"""

from __future__ import annotations

import datetime as dt
import uuid
from collections.abc import Iterator
from contextlib import suppress
from typing import Any

from django.db import DEFAULT_DB_ALIAS, Error, IntegrityError, InterfaceError, OperationalError, transaction
from django.db.models import Q

from aggregates import chunks, conf, interrupts, readiness, rebuild, registry, runs, transactions, verify
from aggregates.chunks import Chunk
from aggregates.definitions import Definition
from aggregates.exceptions import AggregatesError
from aggregates.models import Run
from aggregates.rebuild import Found, Options

FOUND = ("chunks_done", "buckets", "drifted", "corrected", "findings")


class RunRefused(AggregatesError):
    """Nothing was done, because of what ``run`` is just now. The message says what to do instead."""

    def __init__(self, run: Run, message: str) -> None:
        super().__init__(message)
        self.run = run


class RunUnderWay(RunRefused):
    """A second rebuild was asked for while ``run`` is under way. Go on with it, or cancel it."""


class BeingWorkedOn(RunRefused):
    """Another step of ``run`` is at work. Wait for its end."""


class NotUnderWay(RunRefused):
    """``run`` has ended, or is a command's, so it can be neither worked off in steps nor cancelled."""


class DeclarationChanged(AggregatesError):
    """The totals are no longer declared as they were when the run began. Begin another."""


class _ClaimLost(Exception):
    """The run was cancelled, or taken over, while a step was at work."""


def begin(
    definition: Definition, kind: Run.Kind, options: Options, *, using: str, at: dt.datetime, by: Any = None
) -> Run:
    """Plan a verify or a rebuild, and return its record; ``step`` works it off.

    ``by`` is the user who asks. Planning reads what the source is chunked by once. Raises RunUnderWay
    where a rebuild of the same totals is, a command's included. A run without a step for
    ``runs.SILENCE`` is dead and in nobody's way.
    """
    runs.bury_the_dead(definition, using, at)
    rebuilds = Run.objects.using(using).filter(totals=definition.label, kind=Run.Kind.REBUILD)
    alone = kind == Run.Kind.REBUILD
    if alone:
        rebuilds.exclude(state=Run.State.RUNNING).filter(only=definition.label).update(only=None)
        _refuse_another(rebuilds.filter(state=Run.State.RUNNING).first())
    planned = chunks.plan(definition, using=using, batch_size=options.batch_size or conf.current().BATCH_SIZE)
    run = runs.new(definition, kind, at=at, chunks=len(planned), options=options.asked if alone else {})
    run.plan = chunks.as_json(definition, planned)
    run.clean_so_far = readiness.Clean(definition, using=using).so_far
    run.started_by, run.only = by, definition.label if alone else None
    try:
        with transaction.atomic(using=using):
            run.save(using=using, force_insert=True)
    except IntegrityError:
        _refuse_another(rebuilds.filter(only=definition.label).first())  # it began in the same moment
        raise
    return run


def step(run: Run, *, clock: runs.Clock, seconds: float) -> Run:
    """Work off chunks until ``seconds`` have passed, at least one; return the run as it is then.

    The last chunk completes the run, and marks the rollups ready in which every chunk was clean. A run
    that cannot go on is returned as failed, with its error; a complete one as it is. Raises BeingWorkedOn
    beside another step, NotUnderWay for a run that ended otherwise or is a command's, and what the
    database raises where it is away or busy: the run stays under way, and the next step goes on.
    """
    began = clock()
    claimed = _claim(run, began)
    if claimed.worker is None:
        return claimed
    try:
        _work(claimed, clock, began + dt.timedelta(seconds=seconds))
    except _ClaimLost:
        pass  # what became of it is told below
    except BaseException as error:
        if _passes(error):
            _put_down(claimed, error)
            raise
        _fail(claimed, error, clock())
        if not isinstance(error, AggregatesError):
            raise
    return _read(run)


def cancel(run: Run, *, at: dt.datetime) -> None:
    """End a run early: what it corrected stays, and a step that is at work ends with its chunk.

    A run that was interrupted already stays so. Raises NotUnderWay for one that ended otherwise, or is a
    command's.
    """
    ended = {"state": Run.State.INTERRUPTED, "finished_at": at, "worker": None}
    if not _steppable(run).update(**ended):
        current = _read(run)
        if current.state != Run.State.INTERRUPTED:
            raise _not_under_way(current)


def _refuse_another(other: Run | None) -> None:
    if other is not None:
        raise RunUnderWay(
            other,
            f"Rebuild {other.pk} of {other.totals} is under way, {other.chunks_done} of {other.chunks} chunks done: "
            "go on with it, or cancel it.",
        )


def _claim(run: Run, at: dt.datetime) -> Run:
    """Return the run as this step's own, or as it is where it is complete; raise what forbids to work on it."""
    free = Q(worker=None) | Q(heartbeat_at__lt=at - runs.SILENCE)
    claimed = _steppable(run).filter(free).update(worker=uuid.uuid4(), heartbeat_at=at)
    current = _read(run)
    if claimed or current.state == Run.State.COMPLETE:
        return current
    if current.state != Run.State.RUNNING or current.plan is None:
        raise _not_under_way(current)
    raise BeingWorkedOn(current, f"Run {run.pk} is being worked on: wait until that step has ended.")


def _work(run: Run, clock: runs.Clock, until: dt.datetime) -> None:
    using = _database(run)
    definition = registry.definition(run.totals)
    if runs.fingerprint(definition) != run.fingerprint:
        raise DeclarationChanged(
            f"{run.totals} is no longer declared as it was when this run began: what was found clean may mean "
            "something else now. Begin another run."
        )
    planned = chunks.from_json(definition, run.plan or [])
    clean = readiness.Clean(definition, using=using, so_far=run.clean_so_far)
    if run.kind == Run.Kind.REBUILD and not run.chunks_done:
        rebuild.clear(definition, Options(**run.options), using=using)
    for chunk in planned[run.chunks_done :]:
        _work_off(run, definition, chunk, clean, clock)
        if clock() >= until:
            break
    if run.chunks_done < len(planned):
        _store(run, worker=None, heartbeat_at=clock())
    else:
        transactions.run(lambda: _finish(run, clean, clock()), using=using)
        runs.tell(run)


def _work_off(run: Run, definition: Definition, chunk: Chunk, clean: readiness.Clean, clock: runs.Clock) -> None:
    for found, corrected in _worked(run, definition, chunk, clean):
        runs.count(run, definition, found, corrected=corrected)
        _store(run, heartbeat_at=clock())
    run.chunks_done += 1
    found_so_far = {name: getattr(run, name) for name in FOUND}
    _store(run, **found_so_far, clean_so_far=clean.so_far, heartbeat_at=clock(), error="")


def _worked(run: Run, definition: Definition, chunk: Chunk, clean: readiness.Clean) -> Iterator[Found]:
    using = _database(run)
    if run.kind == Run.Kind.REBUILD:
        yield from rebuild.mended(definition, chunk, Options(**run.options), using=using, clean=clean)
    else:
        for comparison in verify.compared(definition, chunk, using=using, clean=clean):
            yield comparison, 0


def _finish(run: Run, clean: readiness.Clean, at: dt.datetime) -> None:
    """Complete the run and mark its clean rollups ready, in one transaction."""
    transactions.require(_database(run))
    _store(run, state=Run.State.COMPLETE, finished_at=at, heartbeat_at=at, worker=None)
    clean.mark_ready(at=run.started_at)


def _store(run: Run, **values: Any) -> None:
    """Store values of a run that this step has claimed; raise _ClaimLost where it has it no more."""
    if not _steppable(run).filter(worker=run.worker).update(**values):
        raise _ClaimLost


def _passes(error: BaseException) -> bool:
    """Return whether the next step may succeed: what failed is the database's or somebody's wish to stop."""
    return (
        not isinstance(error, Exception)
        or interrupts.caused(error)
        or isinstance(error, (OperationalError, InterfaceError))
        or transactions.is_conflict(error)
    )


def _put_down(run: Run, error: BaseException) -> None:
    """Let the next step go on; where not even this can be stored, it may after SILENCE."""
    if runs.is_storable(run):
        with suppress(_ClaimLost, Error):
            _store(run, worker=None, error=_told(error))


def _fail(run: Run, error: BaseException, at: dt.datetime) -> None:
    if runs.is_storable(run):
        with suppress(_ClaimLost):
            _store(run, state=Run.State.FAILED, finished_at=at, worker=None, error=_told(error))


def _told(error: BaseException) -> str:
    return f"{type(error).__name__}: {error}"


def _not_under_way(run: Run) -> NotUnderWay:
    if run.state == Run.State.RUNNING:
        return NotUnderWay(run, f"Run {run.pk} is worked off by the command that began it: wait, or interrupt that.")
    return NotUnderWay(run, f"Run {run.pk} has ended, {run.state}: begin another.")


def _steppable(run: Run) -> Any:
    """Return the rows to update: the run while it is under way in steps, else none."""
    return Run.objects.using(_database(run)).filter(pk=run.pk, state=Run.State.RUNNING, plan__isnull=False)


def _read(run: Run) -> Run:
    return Run.objects.using(_database(run)).get(pk=run.pk)


def _database(run: Run) -> str:
    return run._state.db or DEFAULT_DB_ALIAS
