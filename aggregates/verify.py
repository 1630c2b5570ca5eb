"""Verify: every chunk compared, nothing corrected."""

from __future__ import annotations

from collections.abc import Iterator

from aggregates import conf, drift, folding, readiness, runs
from aggregates.definitions import Definition
from aggregates.drift import Comparison
from aggregates.models import Run


def verify(
    definition: Definition, *, using: str, clock: runs.Clock, batch_size: int | None = None
) -> Iterator[tuple[Run, Comparison]]:
    """Compare every chunk; yield the run, and what was found, after each.

    A rollup without drift is ready from then on. Buckets spread over slots are folded on the way,
    which changes no sum.
    """
    chunks = drift.plan(definition, using=using, batch_size=batch_size or conf.current().BATCH_SIZE)
    with runs.recorded(definition, Run.Kind.VERIFY, using=using, clock=clock, chunks=len(chunks), options={}) as run:
        clean = readiness.Clean(definition, using=using)
        for chunk in chunks:
            comparison = drift.compare(definition, chunk, using=using)
            folding.fold(definition, chunk, using=using)
            clean.note(chunk.rollup, comparison)
            runs.progress(run, definition, comparison, at=clock())
            yield run, comparison
        clean.mark_ready(at=run.started_at)
