"""The text of the comparison: what source rows add up to, and what is stored of it, side by side.

The source is read once for all rollups. It is grouped by all their dimensions, and each rollup groups
those groups, which are fewer.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

from django.db import connections, models
from django.db.models import Case, F, Sum, Value, When

from aggregates import references
from aggregates.chunks import Chunk, alias, determined
from aggregates.definitions import Definition


def statement(definition: Definition, chunk: Chunk, names: list[str], using: str) -> tuple[str, list[Any]]:
    """Return the text and the parameters of the comparison; ``names`` are the dimensions of its rollups.

    Its rows have the rollup's place in the chunk, the dimensions, what is expected and what is stored of
    the measures, the generation, and last a number of buckets: where it is NULL, the row is a finding,
    else it says how many the rollup has.
    """
    grouped = [name for name in names if not _follows(definition, name, names)]
    fine, fine_params = _compiled(_fine(definition, chunk, names, grouped, using))
    stored, stored_params = _compiled(_stored(definition, chunk, names, using))
    once = "" if connections[using].vendor == "mysql" else "MATERIALIZED"
    bucket = ["rollup_place", *(alias(definition, name) for name in names)]
    measures, e, s = (_numbered(definition, kind) for kind in ("measure", "expected", "stored"))
    sums = [f"SUM({column}) AS {column}" for column in (*e, *s)]
    nothing = ["NULL"] * (len(bucket) + len(e) + len(s))
    # The stored side first: its columns give their types to the NULLs of rollups that do not have them.
    # Grouping by the dimensions themselves, not by keys: GROUP BY takes NULLs for equal, and what
    # readers see is the dimensions.
    sql = f"""
        WITH fine AS {once} ({fine}), sides AS (
            SELECT {_list(bucket, _as(["0"] * len(e), e), _as(measures, s), ["generation"])}
            FROM ({stored}) stored_rows
            UNION ALL {" UNION ALL ".join(_expected(definition, chunk, names, grouped))}
        ), buckets AS (
            SELECT {_list(bucket, sums, ["MAX(generation) AS generation"])} FROM sides GROUP BY {_list(bucket)}
        )
        SELECT {_list(bucket, e, s, ["generation"])}, NULL AS buckets FROM buckets
        WHERE {" OR ".join(f"{a} <> {b}" for a, b in zip(e, s, strict=True))}
        UNION ALL
        SELECT rollup_place, {_list(nothing)}, COUNT(*) FROM buckets
        WHERE {" OR ".join(f"{c} <> 0" for c in (*e, *s))} GROUP BY rollup_place
    """  # noqa: S608 - names of ours, and SQL that Django compiled
    return sql, [*fine_params, *stored_params]


def _follows(definition: Definition, name: str, names: list[str]) -> bool:
    """Return whether a dimension is computed from others alone, so that it need not be grouped by."""
    expressions: list[Any] = [definition.dimensions[other] for other in names]
    plain = {references.name_of(expression) for expression in expressions if isinstance(expression, F)}
    expression: Any = definition.dimensions[name]
    read = {references.name_of(part) for part in references.parts(expression) if isinstance(part, F)}
    return not isinstance(expression, F) and bool(read) and read <= plain


def _fine(
    definition: Definition, chunk: Chunk, names: list[str], grouped: list[str], using: str
) -> models.QuerySet[Any, Any]:
    """Return what the source rows add up to, by all dimensions."""
    sums = {f"measure_{i}": Sum(expression) for i, expression in enumerate(definition.measures.values())}
    follow = {alias(definition, name): determined(definition, name) for name in names if name not in grouped}
    groups: Any = chunk.source_rows(definition, using).values(*(alias(definition, name) for name in grouped))
    found: models.QuerySet[Any, Any] = groups.annotate(**sums).annotate(**follow)
    return found.values_list(*(alias(definition, name) for name in names), *sums)


def _expected(definition: Definition, chunk: Chunk, names: list[str], grouped: list[str]) -> Iterator[str]:
    """Yield what each rollup should hold, as a SELECT from the groups of all."""
    measures = _numbered(definition, "measure")
    nothing = ["0"] * (len(measures) + 1)
    for place, rollup in enumerate(chunk.rollups):
        own = [alias(definition, name) if name in rollup.dimensions else "NULL" for name in names]
        if set(grouped) <= set(rollup.dimensions):
            yield f"SELECT {_list([str(place)], own, measures, nothing)} FROM fine"  # noqa: S608 - names of ours
            continue
        sums = [f"SUM({column})" for column in measures]
        by = [column for column in own if column != "NULL"]
        yield f"SELECT {_list([str(place)], own, sums, nothing)} FROM fine GROUP BY {_list(by)}"  # noqa: S608 - likewise


def _stored(definition: Definition, chunk: Chunk, names: list[str], using: str) -> models.QuerySet[Any, Any]:
    """Return the totals rows; a dimension that their rollup does not have is NULL, whatever is stored."""
    place = Case(*(When(rollup=rollup.name, then=Value(i)) for i, rollup in enumerate(chunk.rollups)))
    dims: dict[str, Any] = {}
    for name in names:
        those = [rollup.name for rollup in chunk.rollups if name in rollup.dimensions]
        everywhere = len(those) == len(chunk.rollups)
        dims[alias(definition, name)] = F(name) if everywhere else Case(When(rollup__in=those, then=F(name)))
    amounts = {f"measure_{i}": F(name) for i, name in enumerate(definition.measures)}
    rows: Any = chunk.stored_rows(definition, using).order_by().annotate(rollup_place=place, **dims, **amounts)
    found: models.QuerySet[Any, Any] = rows.values_list("rollup_place", *dims, *amounts, "generation")
    return found


def _compiled(queryset: models.QuerySet[Any, Any]) -> tuple[str, tuple[Any, ...]]:
    sql, params = queryset.query.get_compiler(using=queryset.db).as_sql()
    return sql, tuple(params)


def _numbered(definition: Definition, kind: str) -> list[str]:
    return [f"{kind}_{i}" for i in range(len(definition.measures))]


def _list(*parts: Iterable[str]) -> str:
    return ", ".join(column for part in parts for column in part)


def _as(values: list[str], names: list[str]) -> list[str]:
    return [f"{value} AS {name}" for value, name in zip(values, names, strict=True)]
