"""The one-statement comparison of totals with their source. A report is data.

Both sides are read in one statement, hence in one snapshot, in which a writer's row and its total
are either both there or both not: whatever differs is drift, however many writers run.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

from django.db import connections, models
from django.db.models import Count, F, Sum

from aggregates import deltas, images
from aggregates.definitions import Definition, Rollup


@dataclass(frozen=True)
class Chunk:
    """One rollup and a half-open range of its ``chunk_by`` dimension; None is an open end.

    The first chunk of a rollup, open below, also holds the buckets where the dimension is NULL.
    """

    rollup: Rollup
    low: Any = None
    high: Any = None


@dataclass(frozen=True)
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
    """What one chunk's statement found: how many buckets there are, and which differ."""

    buckets: int
    drift: list[Finding]


def whole(rollup: Rollup) -> Chunk:
    """Return the chunk that is the whole rollup."""
    return Chunk(rollup)


def plan(definition: Definition, *, using: str, batch_size: int) -> list[Chunk]:
    """Return chunks that cover every rollup, of about ``batch_size`` source rows or fewer each.

    A single value of the chunk's dimension is never split, so a chunk may be larger.
    """
    if images.source_rows(definition, using).count() <= batch_size:
        return [whole(rollup) for rollup in definition.rollups]
    bounds: dict[str, list[Any]] = {}
    chunks = []
    for rollup in definition.rollups:
        if rollup.chunk_by not in bounds:
            bounds[rollup.chunk_by] = list(_bounds(definition, rollup.chunk_by, using, batch_size))
        edges = [None, *bounds[rollup.chunk_by], None]
        chunks += [Chunk(rollup, low, high) for low, high in pairwise(edges)]
    return chunks


def _bounds(definition: Definition, dimension: str, using: str, batch_size: int) -> Iterator[Any]:
    """Return the values at which a new chunk begins, ascending."""
    alias = _alias(definition, dimension)
    rows = images.counted(definition, images.source_rows(definition, using)).filter(**{f"{alias}__isnull": False})
    held = 0
    for value, count in rows.values_list(alias).annotate(rows=Count("pk")).order_by(alias).iterator():
        if held and held + count > batch_size:
            yield value
            held = 0
        held += count


def compare(definition: Definition, chunk: Chunk, *, using: str) -> Comparison:
    """Compare the stored totals of a chunk with its source rows, in one statement."""
    sql, params = _statement(definition, chunk, using)
    with connections[using].cursor() as cursor:
        cursor.execute(sql, params)
        rows = cursor.fetchall()
    return _read(definition, chunk, using, rows)


def _expected(definition: Definition, chunk: Chunk, using: str) -> models.QuerySet[Any, Any]:
    dims = [_alias(definition, name) for name in chunk.rollup.dimensions]
    sums = {f"measure_{i}": Sum(expression) for i, expression in enumerate(definition.measures.values())}
    rows = images.counted(definition, images.source_rows(definition, using))
    rows = rows.filter(_range(_alias(definition, chunk.rollup.chunk_by), chunk))
    grouped: models.QuerySet[Any, Any] = rows.values(*dims).annotate(**sums).values_list(*dims, *sums)
    return grouped


def _stored(definition: Definition, chunk: Chunk, using: str) -> models.QuerySet[Any, Any]:
    rows = stored_rows(definition, chunk, using).order_by()
    dims = {_alias(definition, name): F(name) for name in chunk.rollup.dimensions}
    amounts = {f"measure_{i}": F(name) for i, name in enumerate(definition.measures)}
    renamed: models.QuerySet[Any, Any] = rows.annotate(**dims, **amounts).values_list(*dims, *amounts, "generation")
    return renamed


def stored_rows(definition: Definition, chunk: Chunk, using: str) -> models.QuerySet[Any, Any]:
    """Return the totals rows of a chunk, by key."""
    rows: models.QuerySet[Any, Any] = models.QuerySet(definition.totals, using=using)
    return rows.filter(_range(chunk.rollup.chunk_by, chunk), rollup=chunk.rollup.name).order_by("pk")


def _range(name: str, chunk: Chunk) -> models.Q:
    condition = models.Q()
    if chunk.low is not None:
        condition &= models.Q((f"{name}__gte", chunk.low))
    if chunk.high is not None:
        condition &= models.Q((f"{name}__lt", chunk.high))
        if chunk.low is None:
            condition |= models.Q((f"{name}__isnull", True))
    return condition


def _alias(definition: Definition, dimension: str) -> str:
    return f"dim_{list(definition.dimensions).index(dimension)}"


def _statement(definition: Definition, chunk: Chunk, using: str) -> tuple[str, list[Any]]:
    expected, expected_params = _compiled(_expected(definition, chunk, using))
    stored, stored_params = _compiled(_stored(definition, chunk, using))
    dims = [_alias(definition, name) for name in chunk.rollup.dimensions]
    measures, e, s = (_numbered(definition, kind) for kind in ("measure", "expected", "stored"))
    zeros = ["0"] * len(measures)
    sums = [f"SUM({column}) AS {column}" for column in (*e, *s)]
    nothing = ["NULL"] * (len(dims) + len(e) + len(s) + 1)
    # Grouping by the dimensions themselves, not by keys: GROUP BY takes NULLs for equal, and what
    # readers see is the dimensions. The last row counts the buckets.
    sql = f"""
        WITH sides AS (
            SELECT {_list(dims, _as(measures, e), _as(zeros, s), ["0 AS generation"])} FROM ({expected}) expected_rows
            UNION ALL
            SELECT {_list(dims, zeros, measures, ["generation"])} FROM ({stored}) stored_rows
        ), buckets AS (
            SELECT {_list(dims, sums, ["MAX(generation) AS generation"])} FROM sides GROUP BY {_list(dims)}
        )
        SELECT {_list(dims, e, s, ["generation"])}, 0 AS buckets FROM buckets
        WHERE {" OR ".join(f"{a} <> {b}" for a, b in zip(e, s, strict=True))}
        UNION ALL
        SELECT {_list(nothing)}, COUNT(*) FROM buckets WHERE {" OR ".join(f"{c} <> 0" for c in (*e, *s))}
    """  # noqa: S608 - names of ours, and SQL that Django compiled
    return sql, [*expected_params, *stored_params]


def _compiled(queryset: models.QuerySet[Any, Any]) -> tuple[str, tuple[Any, ...]]:
    sql, params = queryset.query.get_compiler(using=queryset.db).as_sql()
    return sql, tuple(params)


def _numbered(definition: Definition, kind: str) -> list[str]:
    return [f"{kind}_{i}" for i in range(len(definition.measures))]


def _list(*parts: list[str]) -> str:
    return ", ".join(column for part in parts for column in part)


def _as(values: list[str], names: list[str]) -> list[str]:
    return [f"{value} AS {name}" for value, name in zip(values, names, strict=True)]


def _read(definition: Definition, chunk: Chunk, using: str, rows: list[Any]) -> Comparison:
    """Turn the statement's rows into findings, with values of the totals columns' Python types."""
    meta = definition.totals._meta
    fields: list[Any] = [
        meta.get_field(n) for n in (*chunk.rollup.dimensions, *definition.measures, *definition.measures)
    ]
    compiler = models.sql.Query(definition.totals).get_compiler(using=using)
    converters = compiler.get_converters([field.get_col(meta.db_table) for field in fields])
    *differing, counted = rows
    width, measures = len(chunk.rollup.dimensions), len(definition.measures)
    findings = []
    for row in compiler.apply_converters([list(row) for row in differing], converters):
        amounts = tuple(
            int(amount) if isinstance(field, models.IntegerField) else amount
            for field, amount in zip(fields[width:], row[width:], strict=False)
        )
        findings.append(
            Finding(
                rollup=chunk.rollup,
                values=tuple(row[:width]),
                expected=amounts[:measures],
                stored=amounts[measures:],
                generation=int(row[-2]),
            )
        )
    return Comparison(buckets=counted[-1], drift=findings)
