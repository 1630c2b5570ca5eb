"""Verify: every chunk compared, nothing corrected."""

from __future__ import annotations

from collections.abc import Iterator

from aggregates import chunks, conf, drift, folding, readiness, runs
from aggregates.chunks import Chunk
from aggregates.definitions import Definition
from aggregates.drift import NOTHING, Comparison
from aggregates.extents import Within
from aggregates.models import Run


def verify(
    definition: Definition,
    *,
    using: str,
    clock: runs.Clock,
    batch_size: int | None = None,
    within: Within | None = None,
) -> Iterator[tuple[Run, Comparison]]:
    """Compare every chunk; yield the run, and what was found, a bounded number of findings at a time.

    The first comparison is of nothing: the run is planned. A rollup without drift is ready from then
    on, unless it was compared ``within`` a part alone. Buckets spread over slots are folded on the
    way, which changes no sum.
    """
    batch_size = batch_size or conf.current().BATCH_SIZE
    planned = chunks.plan(definition, using=using, batch_size=batch_size, parts=within.parts if within else None)
    options = {runs.SCOPE: within.told} if within else {}
    with runs.recorded(
        definition, Run.Kind.VERIFY, using=using, clock=clock, chunks=len(planned), options=options
    ) as run:
        yield run, NOTHING
        clean = readiness.Clean(definition, using=using)
        for chunk in planned:
            for comparison in compared(definition, chunk, using=using, clean=clean):
                runs.progress(run, definition, comparison, at=clock())
                yield run, comparison
            runs.chunk_done(run, at=clock())
        if within is None:
            clean.mark_ready(at=run.started_at)


def compared(definition: Definition, chunk: Chunk, *, using: str, clean: readiness.Clean) -> Iterator[Comparison]:
    """Compare one chunk, and fold its slots; yield what was found, a bounded number of findings at a time."""
    for comparison in drift.parts(definition, chunk, using=using):
        clean.note(comparison)
        yield comparison
    folding.fold(definition, chunk, using=using)
