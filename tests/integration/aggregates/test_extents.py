"""A part of the totals: what is compared of it, what is skipped, and that no more is touched."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from django.db import connection, models
from django.db.models import Count, F
from django.utils import timezone

from aggregates import extents, periods, readiness, registry
from aggregates.declarations import define
from aggregates.definitions import Definition, Rollup
from aggregates.extents import Extent, ExtentRefused
from aggregates.models import RollupState, Run, Totals, Tracked
from aggregates.rebuild import Options, rebuild
from aggregates.verify import verify
from tests.integration.aggregates.conftest import NOON, Warehouse, quoted, tables_of
from tests.integration.aggregates.test_chunks import visited
from tests.testapp.models import CarrierTotals, MovementTotals, Ticket, TicketTotals

SECOND_OF_JANUARY = dt.date(2024, 1, 2)
ALL_DAYS = [dt.date(2023, 12, 1) + dt.timedelta(days=n) for n in range(0, 430, 3)]


def execute(statement: str) -> int:
    with connection.cursor() as cursor:
        cursor.execute(statement)
        return int(cursor.rowcount)


@pytest.fixture
def visits(transactional_db: None) -> Iterator[Definition]:
    """Visits of two places over more than a year, and sound totals."""
    with tables_of(visited) as definition:
        source: Any = definition.source
        source.objects.bulk_create(source(place=place, day=day) for place in (1, 2) for day in [None, *ALL_DAYS])
        run(rebuild, definition, Options())
        yield definition


def run(command: Any, *arguments: Any, **options: Any) -> Run:
    *_, (record, _found) = command(*arguments, using="default", clock=timezone.now, **options)
    return Run.objects.get(pk=record.pk)


def drifted(definition: Definition, extent: Extent, **options: Any) -> set[tuple[Any, ...]]:
    """Return the buckets that a verify of a part finds to drift, with their rollups."""
    selection = extents.select(extent, [definition], using="default")
    steps = verify(definition, using="default", clock=timezone.now, within=selection.within[definition], **options)
    return {(f.rollup.name, *f.values) for _run, comparison in steps for f in comparison.drift}


def skipped(definition: Definition, extent: Extent) -> list[str]:
    return [str(one) for one in extents.select(extent, [definition], using="default").skipped]


def of(definition: Definition, **columns: Any) -> set[tuple[Any, ...]]:
    """Return the stored buckets that a filter finds, with their rollups."""
    totals: Any = definition.totals
    return {
        (row.rollup, *(getattr(row, name) for name in definition.rollup(row.rollup).dimensions))
        for row in totals.objects.filter(**columns)
    }


def spoilt(definition: Definition) -> None:
    execute(f"UPDATE {quoted(definition.totals)} SET visits = visits + 1000")


def meant(definition: Definition, first: dt.date | None, end: dt.date | None) -> set[tuple[Any, ...]]:
    """Return the stored buckets whose whole period lies in a range, worked out day by day."""
    found = set()
    for rollup in definition.rollups:
        name = next(name for name in rollup.dimensions if name != "place")
        for bucket in of(definition, rollup=rollup.name):
            begins = bucket[1 + rollup.dimensions.index(name)]
            if begins is not None:
                last = periods.following(begins, name)
                assert last is not None
                if (first is None or first <= begins) and (end is None or last <= end):
                    found.add(bucket)
    return found


RANGES = [
    (dt.date(2024, 1, 1), None),
    (None, dt.date(2024, 1, 1)),
    (dt.date(2024, 1, 1), dt.date(2025, 1, 1)),
    (SECOND_OF_JANUARY, None),
    (SECOND_OF_JANUARY, dt.date(2024, 12, 31)),
    (dt.date(2024, 1, 15), dt.date(2024, 3, 10)),
    (dt.date(2024, 2, 1), dt.date(2024, 2, 2)),
    (None, dt.date(2024, 2, 15)),
]


@pytest.mark.parametrize("batch_size", [1, 40, 1000])
@pytest.mark.parametrize(("first", "end"), RANGES, ids=str)
def test_exactly_the_buckets_in_a_range_are_compared(
    visits: Definition, first: dt.date | None, end: dt.date | None, batch_size: int
) -> None:
    spoilt(visits)
    found = drifted(visits, Extent(first=first, end=end), batch_size=batch_size)
    assert found == meant(visits, first, end)


def test_the_periods_that_a_range_cuts_are_named(visits: Definition) -> None:
    left_out = skipped(visits, Extent(first=dt.date(2024, 1, 15), end=dt.date(2024, 8, 1)))
    label = visits.label
    assert left_out == [
        f"{label} month: the range cuts the month of 2024-01-01",
        f"{label} week: the range cuts the week of 2024-07-29",
        f"{label} quarter: the range cuts the quarter of 2024-01-01 and the one of 2024-07-01",
        f"{label} year: no whole year lies in the range",
    ]


def test_a_range_at_the_end_of_time_holds_what_is_whole(visits: Definition) -> None:
    left_out = skipped(visits, Extent(first=dt.date(9999, 12, 30)))
    assert [line.partition(": ")[2] for line in left_out] == [
        f"no whole {kind} lies in the range" for kind in ("month", "week", "quarter", "year")
    ]


@pytest.mark.parametrize("batch_size", [1, 1000])
def test_exactly_the_buckets_with_a_value_are_compared(visits: Definition, batch_size: int) -> None:
    spoilt(visits)
    assert drifted(visits, Extent((("place", "2"),)), batch_size=batch_size) == of(visits, place=2)
    assert skipped(visits, Extent((("place", "2"),))) == [
        f"{visits.label} {name}: it has no dimension place" for name in ("week", "quarter", "year")
    ]


def test_a_value_and_a_range_go_together(visits: Definition) -> None:
    spoilt(visits)
    first, end = dt.date(2024, 1, 1), dt.date(2024, 7, 1)
    found = drifted(visits, Extent((("place", "2"),), first, end))
    assert found == meant(visits, first, end) & of(visits, place=2)


def test_none_stands_for_no_value(visits: Definition) -> None:
    spoilt(visits)
    assert drifted(visits, Extent((("week", "none"),))) == {("week", None)}


def test_none_may_be_a_text_as_well(db: None) -> None:
    for gate in ("none", "a"):
        Ticket.objects.create(gate=gate, price=1)
    execute("UPDATE testapp_tickettotals SET count = 7")
    assert drifted(registry.definition(TicketTotals), Extent((("gate", "none"),))) == {("gate", "none")}


@pytest.mark.parametrize("options", [{}, {"from_scratch": True}, {"batch_size": 1}], ids=str)
def test_a_rebuild_of_a_part_repairs_that_and_touches_nothing_else(visits: Definition, options: dict[str, Any]) -> None:
    totals: Any = visits.totals
    sound = {row.pk: row.visits for row in totals.objects.all()}
    spoilt(visits)
    extent = Extent((("place", "1"),), first=dt.date(2024, 1, 1))
    inside = meant(visits, extent.first, None) & of(visits, place=1)
    [within] = extents.select(extent, [visits], using="default").within.values()
    made = run(rebuild, visits, Options(within=within, **options))
    assert (made.drifted, made.corrected) == (len(inside), len(inside))
    for row in totals.objects.all():
        bucket = (row.rollup, *(getattr(row, name) for name in visits.rollup(row.rollup).dimensions))
        assert row.visits == sound[row.pk] + (0 if bucket in inside else 1000)


def test_a_bucket_under_whose_key_another_part_is_named_is_repaired(visits: Definition) -> None:
    """Somebody changed a dimension behind the engine's back, of a bucket that was corrected before."""
    execute(f"UPDATE {quoted(visits.totals)} SET visits = visits + 1 WHERE rollup = 'month'")
    run(rebuild, visits, Options())
    execute(f"UPDATE {quoted(visits.totals)} SET place = 3 WHERE rollup = 'month' AND place = 1")
    extent = Extent((("place", "1"),))
    [within] = extents.select(extent, [visits], using="default").within.values()
    run(rebuild, visits, Options(within=within))
    assert drifted(visits, extent) == set()
    assert run(verify, visits).drifted == len(of(visits, place=3)) > 0


@pytest.mark.parametrize("year", [2020, 2031])
def test_so_is_one_that_lies_in_another_chunk(visits: Definition, year: int) -> None:
    execute(f"UPDATE {quoted(visits.totals)} SET visits = visits + 1 WHERE rollup = 'year'")
    run(rebuild, visits, Options())
    execute(f"UPDATE {quoted(visits.totals)} SET year = '{year}-01-01' WHERE rollup = 'year' AND year = '2024-01-01'")
    run(rebuild, visits, Options(batch_size=1))
    assert run(verify, visits).drifted == 0


def test_a_part_makes_no_rollup_ready_and_is_no_verify_of_everything(warehouse: Warehouse) -> None:
    warehouse.moved()
    definition = registry.definition(CarrierTotals)
    RollupState.objects.all().delete()
    [within] = extents.select(
        Extent((("carrier", str(warehouse.rail.pk)),)), [definition], using="default"
    ).within.values()
    seen = run(verify, definition, within=within)
    run(rebuild, definition, Options(within=within))
    assert (seen.state, seen.buckets, seen.options) == (
        Run.State.COMPLETE, 1, {"scope": f"carrier={warehouse.rail.pk}"},
    )  # fmt: skip
    assert readiness.ready(definition) == {}


def test_days_of_datetimes_are_days_of_the_declared_time_zone(warehouse: Warehouse) -> None:
    warehouse.moved()
    warehouse.moved(moved_at=NOON + dt.timedelta(days=1))
    definition = registry.definition(MovementTotals)
    execute("UPDATE testapp_movementtotals SET quantity = 0")
    found = drifted(definition, Extent(first=dt.date(2026, 3, 8)))
    assert {(name, values[-1]) for name, *values in found} == {("stock", dt.date(2026, 3, 8))}
    assert skipped(definition, Extent(first=dt.date(2026, 3, 8))) == [
        "testapp.MovementTotals transport: it has no dimension of dates",
        "testapp.MovementTotals overview: it has no dimension of dates",
    ]


def lent() -> Definition:
    """Return a definition over loans, which have two dates; within ``isolate_apps``."""

    class Loan(Tracked):
        lent_on = models.DateField()
        due_on = models.DateField()

        class Meta:
            app_label = "testapp"

    class LoanTotals(Totals):
        lent_on = models.DateField(null=True)
        due = models.DateField(null=True)
        loans = models.BigIntegerField(default=0)

        class Meta:
            app_label = "testapp"

        class Aggregate:
            source = Loan
            dimensions = {"due": F("due_on")}
            measures = {"loans": Count("*")}
            rollups = (Rollup("lent_on", "due", name="both"), Rollup("lent_on"), Rollup("due"))

    return define(LoanTotals)


def gated() -> Definition:
    """Return a definition over what has a gate with a number; within ``isolate_apps``."""

    class Gated(Tracked):
        gate = models.IntegerField()

        class Meta:
            app_label = "testapp"

    class GatedTotals(Totals):
        gate = models.IntegerField(null=True)
        count = models.BigIntegerField(default=0)

        class Meta:
            app_label = "testapp"

        class Aggregate:
            source = Gated
            measures = {"count": Count("*")}
            rollups = (Rollup("gate"),)

    return define(GatedTotals)


def test_rollups_by_two_dates_are_skipped_and_others_go_by_their_own(transactional_db: None) -> None:
    with tables_of(lent) as definition:
        source: Any = definition.source
        source.objects.create(lent_on=dt.date(2024, 1, 1), due_on=dt.date(2024, 3, 1))
        extent = Extent(first=dt.date(2024, 2, 1))
        assert drifted(definition, extent) == {("due", dt.date(2024, 3, 1))}
        assert skipped(definition, extent) == [f"{definition.label} both: it has several dimensions of dates"]


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("ask", "says"),
    [
        (lambda: Extent(first=SECOND_OF_JANUARY, end=SECOND_OF_JANUARY), "--from has to be before --to"),
        (lambda: Extent((("gate", "a"), ("gate", "b"))), "'gate' is given twice"),
        (lambda: Extent((("colour", "red"),)), "No totals are kept by 'colour'. They are by: "),
        (lambda: Extent((("gate", "nowhere"),)), "gate=nowhere is in no total and in no row"),
        (lambda: Extent((("gate", "\0"),)), "is no text that a database can hold"),
        (
            lambda: Extent((("site", "north"),)),
            "testapp.MovementTotals: it cannot have site=north: “north” value must be an integer.",
        ),
        (lambda: Extent((("site", str(2**70)),)), "is beyond the range of its column"),
        (lambda: Extent((("gate", "a"), ("site", "none"))), "Nothing is left to compare"),
    ],
)
def test_what_cannot_be_is_refused(ask: Callable[[], Extent], says: str) -> None:
    Ticket.objects.create(gate="a", price=1)
    with pytest.raises(ExtentRefused) as refused:
        extents.select(ask(), registry.working(), using="default")
    assert says in str(refused.value)


def test_a_value_is_known_that_only_a_row_a_foreign_key_leads_to_has(warehouse: Warehouse) -> None:
    definition = registry.definition(MovementTotals)
    assert drifted(definition, Extent((("site", str(warehouse.south.pk)),))) == set()


def test_totals_that_cannot_have_a_value_which_others_have_are_skipped(transactional_db: None) -> None:
    """Of two totals by a dimension of one name, whose types differ."""
    definition = registry.definition(TicketTotals)
    Ticket.objects.create(gate="a", price=1)
    with tables_of(gated) as numbered:
        selection = extents.select(Extent((("gate", "a"),)), [numbered, definition], using="default")
        assert list(selection.within) == [definition]
        assert [str(one) for one in selection.skipped] == [
            "testapp.GatedTotals gate: it cannot have gate=a: “a” value must be an integer"
        ]


def test_a_part_is_told_in_words_and_as_data() -> None:
    extent = Extent((("owner", "3"),), SECOND_OF_JANUARY, None)
    assert (str(extent), bool(extent), bool(Extent())) == ("owner=3, from 2024-01-02", True, False)
    assert extent.as_json() == {"where": {"owner": "3"}, "from": "2024-01-02", "to": None}
