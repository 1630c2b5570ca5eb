"""Rebuild: drift → corrections, applied as deltas while writers run.

A correct writer changes a row and its total in one transaction, so the drift of a bucket is the
same in every snapshot, and adding it late is as good as adding it at once. Two rebuilds at once
would add it twice; a correction therefore applies only to the generation it was computed from.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

from aggregates import chunks, conf, drift, folding, ledger, readiness, runs, store, transactions
from aggregates.batches import batched
from aggregates.chunks import Chunk
from aggregates.definitions import Definition
from aggregates.drift import NOTHING, Comparison, Finding
from aggregates.exceptions import AggregatesError
from aggregates.extents import Within
from aggregates.models import Run

CORRECTIONS_A_TRANSACTION = 500
PASSES = 10  # a pass may find what another rebuild, or a repaired row, has left to do


class NotRepaired(AggregatesError):
    """Drift came back as fast as it was corrected: something writes behind the engine's back."""


@dataclass(frozen=True)
class Options:
    """How to rebuild.

    ``from_scratch`` also rewrites keys and dimension columns and folds every slot, so that nothing
    of what was stored is relied upon. ``dry_run`` compares and corrects nothing. ``batch_size`` is
    the number of source rows a statement looks at, about. ``within`` is the part of the totals that
    is looked at, if not all of them are.
    """

    from_scratch: bool = False
    dry_run: bool = False
    batch_size: int | None = None
    within: Within | None = None

    @property
    def asked(self) -> dict[str, Any]:
        """Return the options that decide what is done, as a run records them."""
        scope = {runs.SCOPE: self.within.told} if self.within else {}
        return {"from_scratch": self.from_scratch, "dry_run": self.dry_run, **scope}


def rebuild(
    definition: Definition, options: Options, *, using: str, clock: runs.Clock
) -> Iterator[tuple[Run, Comparison]]:
    """Correct every chunk; yield the run, and what was found, a bounded number of findings at a time.

    The first comparison is of nothing: the run is planned. Safe while writers run, beside other
    rebuilds, and to break off: what was corrected stays, and the next run does the rest. Raises
    NotRepaired where drift does not go away.
    """
    within, batch_size = options.within, options.batch_size or conf.current().BATCH_SIZE
    planned = chunks.plan(definition, using=using, batch_size=batch_size, parts=within.parts if within else None)
    with runs.recorded(
        definition, Run.Kind.REBUILD, using=using, clock=clock, chunks=len(planned), options=options.asked
    ) as run:
        yield run, NOTHING
        clean = readiness.Clean(definition, using=using)
        if within is None:
            clear(definition, options, using=using)
        for chunk in planned:
            for found, corrected in mended(definition, chunk, options, using=using, clean=clean):
                runs.progress(run, definition, found, corrected=corrected, at=clock())
                yield run, found
            runs.chunk_done(run, at=clock())
        if within is None:
            clean.mark_ready(at=run.started_at)


Found = tuple[Comparison, int]
"""What was found in a chunk, or a part of it, and how many corrections were applied."""


def clear(definition: Definition, options: Options, *, using: str) -> None:
    """Do what comes before the first chunk: forget the rollups that are no longer declared."""
    if not options.dry_run:
        folding.drop_undeclared(definition, using=using)
        readiness.forget_undeclared(definition, using=using)


def mended(
    definition: Definition, chunk: Chunk, options: Options, *, using: str, clean: readiness.Clean
) -> Iterator[Found]:
    """Correct one chunk as ``options`` say; yield what was found, a bounded number of findings at a time."""
    if options.dry_run:
        for part in _meant(definition, chunk, using):
            clean.note(part)
            yield part, 0
        return
    if options.from_scratch:
        folding.refile(definition, chunk, using=using)
    yield from _until_clean(definition, chunk, using, clean, refiled=options.from_scratch)
    folding.fold(definition, chunk, using=using, wait=options.from_scratch)


def _until_clean(
    definition: Definition, chunk: Chunk, using: str, clean: readiness.Clean, *, refiled: bool = False
) -> Iterator[Found]:
    """Correct a chunk, and compare it again, until it is clean.

    ``refiled`` says that every row is known to be under its key.
    """
    for number in range(PASSES + 1):
        drifted, moved = 0, 0
        for part in _meant(definition, chunk, using):
            drifted += len(part.drift)
            if part.drift and not refiled:
                # Their generations are not those of the rows that corrections would meet: compare again first.
                refiled, moved = True, folding.refile(definition, chunk, using=using)
            elif number == 1:
                # Corrections may have met rows that name a bucket of another chunk, and left them as they were.
                moved += folding.refile_at(definition, [(f.rollup, f.values) for f in part.drift], using=using)
            corrected = 0 if moved or number == PASSES else _correct(definition, part.drift, using)
            # What a later pass finds was counted before, or is none of this run's finding.
            yield (part if not number else NOTHING), corrected
        if not drifted:
            clean.note(part)
            return
    raise NotRepaired(
        f"{drifted} buckets of {definition.label} still drift after {PASSES} passes: stop what writes "
        "the source or the totals behind the engine's back, then rebuild again."
    )


def _meant(definition: Definition, chunk: Chunk, using: str) -> Iterator[Comparison]:
    """Compare a chunk; yield what was found, of the buckets alone that are meant, where it is not all."""
    for part in drift.parts(definition, chunk, using=using):
        if chunk.only is None:
            yield part
        else:
            yield Comparison({}, [finding for finding in part.drift if finding.values in chunk.only])


def _correct(definition: Definition, findings: Sequence[Finding], using: str) -> int:
    """Apply the corrections that follow from findings, in transactions short enough for writers not to wait.

    Rollup by rollup: what is read together is then stored together.
    """
    ordered = sorted(findings, key=lambda finding: finding.rollup.name)
    return sum(
        transactions.run(partial(_apply, definition, batch, using), using=using)
        for batch in batched(ordered, CORRECTIONS_A_TRANSACTION)
    )


def _apply(definition: Definition, findings: list[Finding], using: str) -> int:
    rows = [
        store.Row(finding.rollup, finding.values, finding.difference, generation=finding.generation + 1)
        for finding in findings
    ]
    applied = store.correct(definition, using, rows)
    ledger.of(using).applier.changed(definition, (row.key for row in rows))
    return applied
