"""What verify and rebuild look at in one statement, and that every bucket is looked at."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator
from typing import Any

import pytest
from django.db import connection, models
from django.db.models import Count
from django.db.models.functions import TruncMonth, TruncQuarter, TruncWeek, TruncYear
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from aggregates import chunks, drift, registry
from aggregates.declarations import define
from aggregates.definitions import Definition, Rollup
from aggregates.drift import FINDINGS_HELD
from aggregates.models import Run, Totals, Tracked
from aggregates.rebuild import Options, rebuild
from aggregates.verify import verify
from tests.integration.aggregates.conftest import Warehouse, tables_of
from tests.testapp.models import MovementTotals, Ticket, TicketTotals

DAYS = [
    None,
    dt.date(2023, 12, 31),
    dt.date(2024, 1, 1),
    dt.date(2024, 1, 31),
    dt.date(2024, 2, 1),
    dt.date(2024, 2, 29),
    dt.date(2024, 3, 31),
    dt.date(2024, 4, 1),
    dt.date(2024, 12, 30),
    dt.date(2025, 1, 1),
    dt.date(2025, 7, 1),
]


def visited() -> Definition:
    """Return a definition over visits, with their days, weeks, months, quarters and years; within ``isolate_apps``."""

    class Visit(Tracked):
        place = models.IntegerField()
        day = models.DateField(null=True)

        class Meta:
            app_label = "testapp"

    class VisitTotals(Totals):
        place = models.IntegerField(null=True)
        day = models.DateField(null=True)
        week = models.DateField(null=True)
        month = models.DateField(null=True)
        quarter = models.DateField(null=True)
        year = models.DateField(null=True)
        visits = models.BigIntegerField(default=0)

        class Meta:
            app_label = "testapp"

        class Aggregate:
            source = Visit
            dimensions = {
                "week": TruncWeek("day"),
                "month": TruncMonth("day"),
                "quarter": TruncQuarter("day"),
                "year": TruncYear("day"),
            }
            measures = {"visits": Count("*")}
            rollups = (
                Rollup("place", "month", name="month"),
                Rollup("place", "day", name="day"),
                Rollup("week"),
                Rollup("quarter"),
                Rollup("year"),
                Rollup("day", "place", name="place"),
            )

    return define(VisitTotals)


@pytest.fixture
def visits(transactional_db: None) -> Iterator[Definition]:
    """Visits on the first and last days of periods, each as often as its place in DAYS, and no totals."""
    with tables_of(visited) as definition:
        source: Any = definition.source
        source.objects.bulk_create(
            source(place=place, day=day) for place in (1, 2) for often, day in enumerate(DAYS, 1) for _ in range(often)
        )
        yield definition


def run(command: Any, *arguments: Any, **options: Any) -> Run:
    """Run a verify or rebuild to its end and return its record."""
    *_, (record, _found) = command(*arguments, using="default", clock=timezone.now, **options)
    return record


def names(chunk: chunks.Chunk) -> tuple[str, ...]:
    return tuple(rollup.name for rollup in chunk.rollups)


def test_a_small_source_is_one_chunk_of_all_rollups(visits: Definition) -> None:
    assert chunks.plan(visits, using="default", batch_size=1000) == [chunks.whole(*visits.rollups)]


def test_rollups_by_periods_of_one_date_share_chunks_that_begin_with_the_longest(visits: Definition) -> None:
    planned = chunks.plan(visits, using="default", batch_size=1)
    assert {names(chunk) for chunk in planned} == {("month", "day", "quarter", "year"), ("week",), ("place",)}
    shared = [chunk for chunk in planned if "year" in names(chunk)]
    assert [(chunk.of, chunk.low) for chunk in shared] == [
        ("day", None),
        ("day", dt.date(2024, 1, 1)),
        ("day", dt.date(2025, 1, 1)),
    ]


def test_a_chunk_holds_as_many_whole_periods_as_fit(visits: Definition) -> None:
    rows = [2 + 2, 2 * sum(range(3, 10)), 2 * (10 + 11)]  # of 2023, of 2024, and of 2025
    lows = [
        [chunk.low for chunk in chunks.plan(visits, using="default", batch_size=size) if "year" in names(chunk)]
        for size in (rows[0] + rows[1], rows[0] + rows[1] - 1, rows[1] + rows[2])
    ]
    new_year = dt.date(2025, 1, 1)
    assert lows == [[None, new_year], [None, dt.date(2024, 1, 1), new_year], [None, new_year]]


@pytest.mark.parametrize("batch_size", [1, 30, 100, 1000])
def test_every_bucket_of_every_period_is_rebuilt_and_compared_once(visits: Definition, batch_size: int) -> None:
    made = run(rebuild, visits, Options(batch_size=batch_size))
    buckets = {
        "month": 2 * (1 + 8),
        "day": 2 * len(DAYS),
        "week": 1 + 8,
        "quarter": 1 + 6,
        "year": 1 + 3,
        "place": 2 * len(DAYS),
    }
    totals: Any = visits.totals
    assert {name: totals.objects.filter(rollup=name).count() for name in buckets} == buckets
    assert (made.drifted, made.corrected) == (sum(buckets.values()),) * 2
    found = run(verify, visits, batch_size=batch_size)
    assert (found.buckets, found.drifted) == (sum(buckets.values()), 0)
    assert list(totals.objects.filter(rollup="year").order_by("visits").values_list("year", "visits")) == [
        (None, 2),
        (dt.date(2023, 1, 1), 4),
        (dt.date(2025, 1, 1), 42),
        (dt.date(2024, 1, 1), 84),
    ]


@pytest.mark.parametrize("batch_size", [1, 1000])
def test_a_total_that_is_wrong_is_found_in_whichever_chunk_it_is(visits: Definition, batch_size: int) -> None:
    run(rebuild, visits, Options())
    table = connection.ops.quote_name(visits.totals._meta.db_table)
    with connection.cursor() as cursor:
        cursor.execute(f"UPDATE {table} SET visits = visits + 1")
        changed = cursor.rowcount
    assert run(verify, visits, batch_size=batch_size).drifted == changed
    assert run(rebuild, visits, Options(batch_size=batch_size)).corrected == changed
    assert run(verify, visits, batch_size=batch_size).drifted == 0


@pytest.mark.django_db
def test_the_source_is_read_once_for_all_rollups(warehouse: Warehouse) -> None:
    warehouse.moved()
    definition = registry.definition(MovementTotals)
    with CaptureQueriesContext(connection) as queries:
        drift.compare(definition, chunks.whole(*definition.rollups), using="default")
    source = connection.ops.quote_name(definition.source._meta.db_table)
    assert sum(query["sql"].count(f"FROM {source}") for query in queries) == 1


@pytest.mark.django_db
def test_findings_come_a_bounded_number_at_a_time() -> None:
    definition = registry.definition(TicketTotals)
    count = FINDINGS_HELD + 1
    Ticket.objects.bulk_create(Ticket(gate=str(number), price=1) for number in range(count))
    with connection.cursor() as cursor:
        cursor.execute(f"UPDATE {connection.ops.quote_name(TicketTotals._meta.db_table)} SET price = 0")
    parts = list(drift.parts(definition, chunks.whole(*definition.rollups), using="default"))
    assert [len(part.drift) for part in parts] == [FINDINGS_HELD, 1, 0]
    assert [part.buckets for part in parts] == [0, 0, count]
    assert run(rebuild, definition, Options()).corrected == count
    assert not drift.compare(definition, chunks.whole(*definition.rollups), using="default").drift


@pytest.mark.django_db(transaction=True)
@pytest.mark.skipif(connection.vendor != "postgresql", reason="PostgreSQL alone has memory for maintenance")
def test_a_comparison_groups_in_the_memory_for_maintenance_and_gives_it_back() -> None:
    shown: list[tuple[str, str]] = []

    def memory() -> str:
        with connection.connection.cursor() as cursor:
            return str(cursor.execute("SHOW work_mem").fetchone()[0])

    def note(execute: Any, sql: str, params: Any, many: bool, context: Any) -> Any:
        shown.append((sql, memory()))
        return execute(sql, params, many, context)

    definition = registry.definition(TicketTotals)
    with connection.execute_wrapper(note):
        drift.compare(definition, chunks.whole(*definition.rollups), using="default")
    assert [held for sql, held in shown if "WITH fine" in sql] == ["64MB"]
    assert memory() == "4MB"
