"""Repair of just those buckets that a report names: each compared afresh, then corrected as by a rebuild."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

from django.db.models import Q

from aggregates import chunks, deltas, periods, readiness, rebuild, runs
from aggregates.chunks import Chunk
from aggregates.definitions import Definition, Rollup
from aggregates.drift import NOTHING, Comparison
from aggregates.models import Run
from aggregates.rebuild import Options
from aggregates.reported import Bucket, Reported

BUCKETS_A_STATEMENT = 500
REPORT = "a report"


@dataclass(frozen=True)
class Step:
    """What one step of a repair did. ``settled`` are reported buckets that do not drift, or no longer."""

    definition: Definition
    comparison: Comparison
    run: Run
    corrected: int = 0
    settled: Sequence[Bucket] = field(default=())


def mend(reported: Reported, *, dry_run: bool, using: str, clock: runs.Clock) -> Iterator[Step]:
    """Compare and correct the buckets of a report, one totals model after the other; yield what was done.

    The first step of each model does nothing: its run is planned. Safe beside writers and other
    rebuilds, and to break off. No rollup is ready for it. Raises NotRepaired.
    """
    for definition in dict.fromkeys(definition for definition, _rollup in reported.counts):
        yield from _mend(definition, reported, Options(dry_run=dry_run), using, clock)


def _mend(
    definition: Definition, reported: Reported, options: Options, using: str, clock: runs.Clock
) -> Iterator[Step]:
    planned = sum(
        -(-count // BUCKETS_A_STATEMENT) for (of, _rollup), count in reported.counts.items() if of is definition
    )
    asked = {**options.asked, runs.SCOPE: REPORT}
    with runs.recorded(definition, Run.Kind.REBUILD, using=using, clock=clock, chunks=planned, options=asked) as run:
        yield Step(definition, NOTHING, run)
        clean = readiness.Clean(definition, using=using)  # which nobody will ask: most of the buckets are not seen
        for buckets in _batches(bucket for bucket in reported.buckets() if bucket.definition is definition):
            open_ = {bucket.values: bucket for bucket in buckets}
            chunk = of_buckets(definition, buckets[0].rollup, list(open_))
            looked_at = Comparison({buckets[0].rollup: len(open_)}, [])
            runs.count(run, definition, looked_at)
            for found, corrected in rebuild.mended(definition, chunk, options, using=using, clean=clean):
                for finding in found.drift:
                    open_.pop(finding.values, None)
                runs.progress(run, definition, found, corrected=corrected, at=clock())
                yield Step(definition, found, run, corrected)
            runs.chunk_done(run, at=clock())
            yield Step(definition, looked_at, run, settled=tuple(open_.values()))


def _batches(buckets: Iterable[Bucket]) -> Iterator[list[Bucket]]:
    """Yield the buckets of one rollup at a time, so many as one statement compares."""
    held: dict[Rollup, list[Bucket]] = {}
    for bucket in buckets:
        batch = held.setdefault(bucket.rollup, [])
        batch.append(bucket)
        if len(batch) == BUCKETS_A_STATEMENT:
            yield held.pop(bucket.rollup)
    yield from held.values()


def of_buckets(definition: Definition, rollup: Rollup, buckets: Sequence[deltas.Values]) -> Chunk:
    """Return the chunk of these buckets of a rollup.

    Its statement looks at every bucket that can be made of their values, for a list of values a
    dimension is found by an index or a table of hashes, and a list of combinations by neither.
    """
    source, stored = Q(), Q(rollup=rollup.name)
    for position, name in enumerate(rollup.dimensions):
        values = list(dict.fromkeys(bucket[position] for bucket in buckets))
        source &= _one_of(chunks.alias(definition, name), values) & _in_period(definition, name, values)
        stored &= _one_of(name, values)
    return Chunk((rollup,), source=source, stored=stored, only=frozenset(buckets))


def _one_of(name: str, values: Sequence[Any]) -> Q:
    condition = Q((f"{name}__in", [value for value in values if value is not None]))
    return condition | Q((f"{name}__isnull", True)) if None in values else condition


def _in_period(definition: Definition, dimension: str, values: Sequence[Any]) -> Q:
    """Return that the column of which a dimension is a period lies among the periods, as an index can tell."""
    dated, kind = chunks.dated(definition, dimension), periods.of(definition, dimension)
    if dated is None or kind == "day" or None in values:
        return Q()
    days: Sequence[dt.date] = values
    end = periods.following(max(days), kind)
    return Q((f"{dated[0]}__gte", min(days))) & (Q((f"{dated[0]}__lt", end)) if end else Q())
