"""What verify finds, and rebuild repairs, after writes behind the engine's back."""

from __future__ import annotations

import uuid
from collections.abc import Callable
from typing import Any

import pytest
from django.db import connection
from django.utils import timezone

from aggregates import chunks, drift, readiness, reads, registry, sides
from aggregates.drift import Finding
from aggregates.exceptions import TotalsNotReady
from aggregates.models import Run
from aggregates.rebuild import Options, _correct, rebuild
from aggregates.verify import verify
from tests.integration.aggregates.conftest import NOON, Warehouse
from tests.integration.aggregates.exactness import assert_exact, expected, stored
from tests.testapp.models import Movement, MovementTotals, Reading, ReadingTotals, Ticket, TicketTotals

pytestmark = pytest.mark.django_db

TOTALS, SOURCE = "testapp_tickettotals", "testapp_ticket"


def sql(statement: str, *params: Any) -> None:
    with connection.cursor() as cursor:
        cursor.execute(statement, params)
        assert cursor.rowcount


def found(totals: Any, *, batch_size: int | None = None) -> list[Finding]:
    steps = verify(registry.definition(totals), using="default", clock=timezone.now, batch_size=batch_size)
    return [finding for _run, comparison in steps for finding in comparison.drift]


def repair(totals: Any, **options: Any) -> Run:
    *_, (run, _comparison) = rebuild(
        registry.definition(totals), Options(**options), using="default", clock=timezone.now
    )
    return run


@pytest.fixture
def tickets(db: None) -> None:
    for gate, price in [("a", 1), ("a", 2), ("b", -5), ("c", 0)]:
        Ticket.objects.create(gate=gate, price=price)


def _a_copy_under_another_key(kind: str) -> None:
    columns = "rollup, slot, generation, gate, price, count"
    key = uuid.uuid4()
    value = key.hex if connection.vendor == "sqlite" else key
    gate = "'bogus'" if kind == "bogus" else "gate"
    sql(
        f"INSERT INTO {TOTALS} (id, {columns}) SELECT %s, rollup, slot, generation, {gate}, price, count "
        f"FROM {TOTALS} WHERE gate = 'a'",
        value,
    )


CORRUPTIONS: dict[str, tuple[Callable[[], None], set[str]]] = {
    "an amount": (lambda: sql(f"UPDATE {TOTALS} SET price = price + 1 WHERE gate = 'a'"), {"a"}),
    "a count": (lambda: sql(f"UPDATE {TOTALS} SET count = 7 WHERE gate = 'b'"), {"b"}),
    "several rows": (lambda: sql(f"UPDATE {TOTALS} SET price = 0, count = 0"), {"a", "b", "c"}),
    "a row deleted": (lambda: sql(f"DELETE FROM {TOTALS} WHERE gate = 'a'"), {"a"}),
    "all rows deleted": (lambda: sql(f"DELETE FROM {TOTALS}"), {"a", "b", "c"}),
    "a bogus row": (lambda: _a_copy_under_another_key("bogus"), {"bogus"}),
    "a bucket twice": (lambda: _a_copy_under_another_key("twice"), {"a"}),
    "another dimension": (lambda: sql(f"UPDATE {TOTALS} SET gate = 'b' WHERE gate = 'a'"), {"a", "b"}),
    "a dimension emptied": (lambda: sql(f"UPDATE {TOTALS} SET gate = NULL WHERE gate = 'a'"), {"a", None}),  # type: ignore[arg-type]
    "another rollup": (lambda: sql(f"UPDATE {TOTALS} SET rollup = 'other' WHERE gate = 'a'"), {"a"}),
    "another slot": (lambda: sql(f"UPDATE {TOTALS} SET slot = 3 WHERE gate = 'a'"), set()),
    "an impossible slot": (lambda: sql(f"UPDATE {TOTALS} SET slot = 300 WHERE gate = 'a'"), set()),
    "a generation": (lambda: sql(f"UPDATE {TOTALS} SET generation = 9, price = 0 WHERE gate = 'a'"), {"a"}),
    "the largest amount": (lambda: sql(f"UPDATE {TOTALS} SET price = {2**63 - 1} WHERE gate = 'b'"), {"b"}),
    "the smallest amount": (lambda: sql(f"UPDATE {TOTALS} SET price = {-(2**63)} WHERE gate = 'a'"), {"a"}),
    "a source row changed": (lambda: sql(f"UPDATE {SOURCE} SET price = 99 WHERE gate = 'b'"), {"b"}),
    "a source row moved": (lambda: sql(f"UPDATE {SOURCE} SET gate = 'd' WHERE gate = 'b'"), {"b", "d"}),
    "a source row deleted": (lambda: sql(f"DELETE FROM {SOURCE} WHERE gate = 'c'"), {"c"}),
}


@pytest.mark.guarantee("raw SQL that writes the source", "found by verify", case="a source row changed")
@pytest.mark.guarantee("raw SQL that writes the source", "found by verify", case="a source row moved")
@pytest.mark.guarantee("raw SQL that writes the source", "found by verify", case="a source row deleted")
@pytest.mark.guarantee("raw SQL that writes the totals", "found by verify", case="an amount")
@pytest.mark.guarantee("raw SQL that writes the totals", "found by verify", case="a row deleted")
@pytest.mark.guarantee("raw SQL that writes the totals", "found by verify", case="a bogus row")
@pytest.mark.parametrize(("corrupt", "buckets"), CORRUPTIONS.values(), ids=CORRUPTIONS)
def test_verify_names_exactly_the_buckets_that_drifted(
    tickets: None, corrupt: Callable[[], None], buckets: set[str]
) -> None:
    corrupt()
    findings = found(TicketTotals)
    assert {finding.bucket["gate"] for finding in findings} == buckets
    rows, totals = expected(TicketTotals, ["gate"]), stored(TicketTotals, "gate")
    for finding in findings:
        assert finding.expected == rows.get(finding.values, (0, 0))
        assert finding.stored == totals.get(finding.values, (0, 0))


@pytest.mark.parametrize("from_scratch", [False, True], ids=["rebuild", "from scratch"])
@pytest.mark.parametrize(("corrupt", "buckets"), CORRUPTIONS.values(), ids=CORRUPTIONS)
def test_rebuild_repairs_what_drifted(
    tickets: None, corrupt: Callable[[], None], buckets: set[str], *, from_scratch: bool
) -> None:
    corrupt()
    repair(TicketTotals, from_scratch=from_scratch)
    assert not found(TicketTotals)
    if buckets or from_scratch:
        assert_exact()
    Ticket.objects.create(gate="a", price=3)
    Ticket.objects.filter(gate="b").update(gate="a")
    assert not found(TicketTotals)


def test_from_scratch_empties_dimensions_that_a_rollup_does_not_have(warehouse: Warehouse) -> None:
    warehouse.moved()
    sql("UPDATE testapp_movementtotals SET day = '2020-01-01', urgent = %s WHERE rollup = 'overview'", True)
    repair(MovementTotals, from_scratch=True)
    assert_exact()


@pytest.mark.parametrize("batch_size", [1, 2, 3, 100])
@pytest.mark.parametrize("from_scratch", [False, True], ids=["rebuild", "from scratch"])
def test_chunks_of_any_size_cover_every_bucket_once(
    warehouse: Warehouse, batch_size: int, *, from_scratch: bool
) -> None:
    for n in range(6):
        warehouse.moved(
            quantity=n,
            kind=["in", None, "out"][n % 3],
            item=[None, warehouse.bolt][n % 2],
            carrier=[warehouse.rail, warehouse.road][n % 2],
            moved_at=NOON.replace(day=n + 1),
        )
    buckets = {rollup: len(stored(MovementTotals, rollup)) for rollup in ("stock", "transport", "overview")}
    assert not found(MovementTotals, batch_size=batch_size)
    assert Run.objects.latest().buckets == sum(buckets.values())
    sql("UPDATE testapp_movementtotals SET quantity = quantity + 1")
    assert len(found(MovementTotals, batch_size=batch_size)) == sum(buckets.values())
    assert repair(MovementTotals, batch_size=batch_size, from_scratch=from_scratch).drifted == sum(buckets.values())
    assert_exact()


def test_buckets_of_hours_and_of_no_hour_are_compared() -> None:
    for hour in (1, 2):
        Reading.objects.create(machine="a", level=hour, read_at=NOON.replace(hour=hour, minute=59, microsecond=7))
    Reading.objects.create(machine="a", level=4)
    assert not found(ReadingTotals, batch_size=1)
    sql("UPDATE testapp_readingtotals SET level = 0")
    assert len(found(ReadingTotals, batch_size=1)) == 4
    repair(ReadingTotals, batch_size=1)
    assert_exact()


def test_a_dry_run_writes_no_total(tickets: None) -> None:
    sql(f"UPDATE {TOTALS} SET price = 5, rollup = 'old' WHERE gate = 'a'")
    rows = sorted(TicketTotals.objects.values_list())
    run = repair(TicketTotals, dry_run=True)
    assert (run.drifted, run.corrected) == (1, 0)
    assert sorted(TicketTotals.objects.values_list()) == rows


@pytest.mark.parametrize(("corrupt", "buckets"), CORRUPTIONS.values(), ids=CORRUPTIONS)
def test_findings_applied_a_second_time_correct_nothing(
    tickets: None, corrupt: Callable[[], None], buckets: set[str]
) -> None:
    corrupt()
    definition = registry.definition(TicketTotals)
    chunk = chunks.whole(definition.rollup("gate"))
    stale = drift.compare(definition, chunk, using="default").drift
    repair(TicketTotals)
    assert _correct(definition, stale, "default") == 0
    assert not found(TicketTotals)


def test_a_correction_lands_late_beside_live_writes(tickets: None) -> None:
    sql(f"UPDATE {TOTALS} SET price = 0, count = 0 WHERE gate = 'a'")
    definition = registry.definition(TicketTotals)
    findings = drift.compare(definition, chunks.whole(definition.rollup("gate")), using="default").drift
    Ticket.objects.create(gate="a", price=10)
    Ticket.objects.filter(gate="b").update(gate="a")
    assert _correct(definition, findings, "default") == 1
    assert_exact()


def test_a_rebuild_broken_off_is_recorded_and_finished_by_the_next(warehouse: Warehouse) -> None:
    for n in range(5):
        warehouse.moved(moved_at=NOON.replace(day=n + 1))
    sql("UPDATE testapp_movementtotals SET quantity = 0")
    steps = rebuild(registry.definition(MovementTotals), Options(batch_size=1), using="default", clock=timezone.now)
    next(steps)
    steps.close()
    assert Run.objects.get().state == Run.State.INTERRUPTED
    assert found(MovementTotals)
    repair(MovementTotals)
    assert_exact()


def test_rows_of_a_rollup_no_longer_declared_are_dropped_by_a_rebuild(tickets: None) -> None:
    sql(f"UPDATE {TOTALS} SET rollup = 'gone' WHERE gate IN ('a', 'b')")
    repair(TicketTotals)
    assert not TicketTotals.objects.filter(rollup="gone").exists()
    assert_exact()


def test_slots_are_folded_without_changing_a_sum(warehouse: Warehouse) -> None:
    warehouse.moved()
    warehouse.moved(kind="out")
    sums = stored(MovementTotals, "overview")
    assert not found(MovementTotals)
    assert set(MovementTotals.objects.values_list("slot", flat=True)) == {0}
    assert stored(MovementTotals, "overview") == sums
    assert_exact()


def test_a_fold_drops_rows_of_zero_that_were_never_corrected(tickets: None) -> None:
    Ticket.objects.all().delete()
    assert TicketTotals.objects.exists()
    found(TicketTotals)
    assert not TicketTotals.objects.exists()


def test_a_rollup_is_read_once_a_run_found_it_clean(tickets: None) -> None:
    assert reads.smallest(TicketTotals, {"gate"})[0].name == "gate"
    sql("UPDATE aggregates_rollupstate SET fingerprint = 'another declaration'")
    with pytest.raises(TotalsNotReady, match="rebuild_totals"):
        reads.smallest(TicketTotals, {"gate"})
    found(TicketTotals)
    assert reads.smallest(TicketTotals, {"gate"})[0].name == "gate"


def test_a_rollup_that_drifts_is_not_made_ready_by_verify_but_by_rebuild(tickets: None) -> None:
    sql("UPDATE aggregates_rollupstate SET fingerprint = 'another declaration'")
    sql(f"UPDATE {TOTALS} SET price = 0")
    found(TicketTotals)
    assert not readiness.ready(registry.definition(TicketTotals))
    repair(TicketTotals, dry_run=True)
    assert not readiness.ready(registry.definition(TicketTotals))
    repair(TicketTotals)
    assert readiness.ready(registry.definition(TicketTotals)) == {"gate": 3}


def test_a_question_no_rollup_can_answer_is_refused() -> None:
    with pytest.raises(TotalsNotReady, match="nothing"):
        reads.smallest(TicketTotals, {"nothing"})


def test_the_ready_rollup_with_the_fewest_buckets_answers(warehouse: Warehouse) -> None:
    for n in range(4):
        warehouse.moved(moved_at=NOON.replace(day=n + 1))
    found(MovementTotals)
    assert reads.smallest(MovementTotals, {"item"})[0].name == "overview"
    assert reads.smallest(MovementTotals, {"item", "day"})[0].name == "stock"
    assert reads.smallest(MovementTotals, {"month"}, {"day"}) == (
        registry.definition(MovementTotals).rollup("stock"),
        {"day"},
    )


def test_a_source_without_rows_has_no_drift_and_no_buckets(db: None) -> None:
    assert not found(MovementTotals)
    assert not Movement.objects.exists()
    assert Run.objects.get().buckets == 0


def test_the_comparison_of_whole_rollups_is_compiled_once(tickets: None, monkeypatch: pytest.MonkeyPatch) -> None:
    definition, statement, compiled = registry.definition(TicketTotals), sides.statement, []

    def counted(definition: Any, chunk: Any, *others: Any) -> Any:
        compiled.append(chunk)
        return statement(definition, chunk, *others)

    monkeypatch.setattr(sides, "statement", counted)
    drift._kept.cache_clear()
    whole, part = chunks.whole(*definition.rollups), chunks.Chunk(definition.rollups, "gate", "a", "b")
    for chunk in (whole, part):
        assert not drift.compare(definition, chunk, using="default").drift
    sql(f"UPDATE {TOTALS} SET price = price + 1 WHERE gate = 'b'")
    for chunk, wrong in ((whole, ["b"]), (part, [])):
        assert [finding.values[0] for finding in drift.compare(definition, chunk, using="default").drift] == wrong
    assert compiled == [whole, part, part]
