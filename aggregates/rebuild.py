"""Rebuild: drift → corrections, applied as deltas while writers run.

A correct writer changes a row and its total in one transaction, so the drift of a bucket is the
same in every snapshot, and adding it late is as good as adding it at once. Two rebuilds at once
would add it twice; a correction therefore applies only to the generation it was computed from.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from aggregates import conf, drift, folding, ledger, readiness, runs, store, transactions
from aggregates.batches import batched
from aggregates.definitions import Definition
from aggregates.drift import Chunk, Comparison, Finding
from aggregates.exceptions import AggregatesError
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
    the number of source rows a statement looks at, about.
    """

    from_scratch: bool = False
    dry_run: bool = False
    batch_size: int | None = None


def rebuild(
    definition: Definition, options: Options, *, using: str, clock: runs.Clock
) -> Iterator[tuple[Run, Comparison]]:
    """Correct every chunk; yield the run, and what was found, after each.

    Safe while writers run, beside other rebuilds, and to break off: what was corrected stays, and
    the next run does the rest. Raises NotRepaired where drift does not go away.
    """
    chunks = drift.plan(definition, using=using, batch_size=options.batch_size or conf.current().BATCH_SIZE)
    asked = {"from_scratch": options.from_scratch, "dry_run": options.dry_run}
    with runs.recorded(
        definition, Run.Kind.REBUILD, using=using, clock=clock, chunks=len(chunks), options=asked
    ) as run:
        clean = readiness.Clean(definition, using=using)
        if not options.dry_run:
            folding.drop_undeclared(definition, using=using)
            readiness.forget_undeclared(definition, using=using)
        for chunk in chunks:
            found, corrected, left = _chunk(definition, chunk, options, using)
            clean.note(chunk.rollup, left)
            runs.progress(run, definition, found, corrected=corrected, at=clock())
            yield run, found
        clean.mark_ready(at=run.started_at)


def _chunk(definition: Definition, chunk: Chunk, options: Options, using: str) -> tuple[Comparison, int, Comparison]:
    """Return what was found in a chunk, how many corrections were applied, and what is left."""
    found = drift.compare(definition, chunk, using=using)
    if options.dry_run:
        return found, 0, found
    corrected, left = 0, found
    if found.drift or options.from_scratch:
        corrected, left = _mend(definition, chunk, found, using)
    folding.fold(definition, chunk, using=using, wait=options.from_scratch)
    return found, corrected, left


def _mend(definition: Definition, chunk: Chunk, found: Comparison, using: str) -> tuple[int, Comparison]:
    """Correct a chunk until it is clean; return how many corrections it took, and the clean result."""
    corrected = 0
    for _ in range(PASSES):
        if folding.refile(definition, chunk, using=using):
            found = drift.compare(definition, chunk, using=using)
        if not found.drift:
            return corrected, found
        for batch in batched(found.drift, CORRECTIONS_A_TRANSACTION):
            corrected += _correct(definition, batch, using)
        found = drift.compare(definition, chunk, using=using)
    if found.drift:
        raise NotRepaired(
            f"{len(found.drift)} buckets of {definition.label} still drift after {PASSES} passes: stop what writes "
            "the source or the totals behind the engine's back, then rebuild again."
        )
    return corrected, found


def _correct(definition: Definition, findings: list[Finding], using: str) -> int:
    rows = [
        store.Row(finding.rollup, finding.values, finding.difference, generation=finding.generation + 1)
        for finding in findings
    ]

    def correct() -> int:
        applied = store.correct(definition, using, rows)
        ledger.of(using).applier.changed(definition, (row.key for row in rows))
        return applied

    return transactions.run(correct, using=using)
