"""The one-statement comparison of totals with their source. A report is data.

Both sides are read in one statement, hence in one snapshot, in which a writer's row and its total
are either both there or both not: whatever differs is drift, however many writers run.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from django.db import connections, models, transaction
from django.db.backends.base.base import BaseDatabaseWrapper

from aggregates import chunks, deltas, prepared, sides
from aggregates.batches import batched
from aggregates.chunks import Chunk
from aggregates.definitions import Definition, Rollup

FINDINGS_HELD = 10_000
STATEMENTS_KEPT = 256  # more than a project has rollups; the declarations of its tests are many
MAINTENANCE = """
    SELECT SET_CONFIG('work_mem', GREATEST(PG_SIZE_BYTES(CURRENT_SETTING('work_mem')),
                                           PG_SIZE_BYTES(CURRENT_SETTING('maintenance_work_mem'))) / 1024 || 'kB', true)
"""


@dataclass(frozen=True, slots=True)
class Finding:
    """A bucket whose stored total differs from its source rows."""

    rollup: Rollup
    values: deltas.Values
    stored: deltas.Amounts
    expected: deltas.Amounts
    generation: int
    """The bucket's generation when it was compared: how often it had been corrected."""

    @property
    def difference(self) -> deltas.Amounts:
        """Return expected less stored: what must be added to mend it."""
        return deltas.difference(self.expected, self.stored)

    @property
    def bucket(self) -> dict[str, Any]:
        """Return the dimension values by name."""
        return dict(zip(self.rollup.dimensions, self.values, strict=True))


@dataclass(frozen=True)
class Comparison:
    """What a chunk's statement found, or a part of it: how many buckets there are, and which differ."""

    counts: Mapping[Rollup, int]
    drift: list[Finding]

    @property
    def buckets(self) -> int:
        """Return the number of buckets of all rollups."""
        return sum(self.counts.values())


NOTHING = Comparison({}, [])


def compare(definition: Definition, chunk: Chunk, *, using: str) -> Comparison:
    """Compare the stored totals of a chunk with its source rows, and return all that was found."""
    *others, last = parts(definition, chunk, using=using)
    return Comparison(last.counts, [finding for part in others for finding in part.drift])


def parts(definition: Definition, chunk: Chunk, *, using: str) -> Iterator[Comparison]:
    """Compare the stored totals of a chunk with its source rows, in one statement.

    Findings come a bounded number at a time, for there may be one for each source row. The last
    comparison has none, but the numbers of buckets.
    """
    statement = _statement(definition, chunk, using)
    counts: dict[Rollup, int] = {}
    for rows in _fetched(connections[using], statement.sql, statement.params):
        if findings := [*statement.findings([row for row in rows if row[-1] is None])]:
            yield Comparison({}, findings)
        counts |= {chunk.rollups[number]: count for number, *_nothing, count in rows if count is not None}
    yield Comparison(counts, [])


@dataclass(frozen=True)
class _Statement:
    """A comparison, compiled: its text, its parameters, and what reads its rows."""

    sql: str
    params: list[Any]
    findings: Callable[[Sequence[tuple[Any, ...]]], Iterator[Finding]]


def _statement(definition: Definition, chunk: Chunk, using: str) -> _Statement:
    """Return the comparison of a chunk; that of whole rollups is kept.

    Assertions ask for those again and again, and to compile one takes many times as long as to run it
    on the few rows of a test.
    """
    compiled = _kept if chunk == chunks.whole(*chunk.rollups) else _compiled
    return compiled(definition, chunk, using)


def _compiled(definition: Definition, chunk: Chunk, using: str) -> _Statement:
    names = [name for name in definition.dimensions if any(name in rollup.dimensions for rollup in chunk.rollups)]
    sql, params = sides.statement(definition, chunk, names, using)
    return _Statement(sql, params, _reader(definition, chunk, names, using))


_kept = lru_cache(STATEMENTS_KEPT)(_compiled)


def _fetched(connection: BaseDatabaseWrapper, sql: str, params: list[Any]) -> Iterator[list[tuple[Any, ...]]]:
    with connection.cursor() as cursor:
        with _room(connection):
            cursor.execute(sql, params)
        if connection.vendor == "sqlite":  # which reads on while the caller writes, and would see it
            yield from batched(cursor.fetchall(), FINDINGS_HELD)
        else:
            while rows := cursor.fetchmany(FINDINGS_HELD):
                yield list(rows)


@contextmanager
def _room(connection: BaseDatabaseWrapper) -> Iterator[None]:
    """Let PostgreSQL take the memory for groups that it has for maintenance, which this is, in the block."""
    if connection.vendor != "postgresql":
        yield
        return
    with transaction.atomic(using=connection.alias), connection.cursor() as cursor:
        cursor.execute(MAINTENANCE)
        yield


def _reader(
    definition: Definition, chunk: Chunk, names: list[str], using: str
) -> Callable[[Sequence[tuple[Any, ...]]], Iterator[Finding]]:
    """Return what turns the statement's rows into findings, with values of the totals columns' Python types."""
    meta = definition.totals._meta
    fields: list[Any] = [meta.get_field(name) for name in (*names, *definition.measures, *definition.measures)]
    compiler = models.sql.Query(definition.totals).get_compiler(using=using)
    converters = prepared.converters_of(compiler, [None, *(field.get_col(meta.db_table) for field in fields)])
    first, measures = 1 + len(names), len(definition.measures)
    # Sums of whole numbers come in a wider type.
    whole = [first + i for i, field in enumerate(fields[len(names) :]) if isinstance(field, models.IntegerField)]
    converters += tuple((position, (_whole,), None) for position in (*whole, first + 2 * measures))
    own = [(rollup, [1 + names.index(name) for name in rollup.dimensions]) for rollup in chunk.rollups]

    def findings(rows: Sequence[tuple[Any, ...]]) -> Iterator[Finding]:
        for row in prepared.converted(rows, converters, connections[using]):
            rollup, positions = own[row[0]]
            yield Finding(
                rollup=rollup,
                values=tuple([row[position] for position in positions]),
                expected=row[first : first + measures],
                stored=row[first + measures : first + 2 * measures],
                generation=row[-2],
            )

    return findings


def _whole(value: Any, _expression: Any, _connection: Any) -> int:
    return int(value)
