"""totals_status and fold_totals: what they tell, what they leave alone, how they exit."""

from __future__ import annotations

import json
import signal
from typing import Any

import pytest
from django.db import connection, transaction
from django.utils import timezone

from aggregates import folding, registry
from aggregates.keys import bucket_key
from aggregates.models import RollupState, Run
from tests.concurrency.threads import Gate, together
from tests.integration.aggregates.conftest import Warehouse
from tests.integration.aggregates.exactness import assert_exact
from tests.processes import called
from tests.testapp.models import MovementTotals, Ticket, TicketTotals

pytestmark = pytest.mark.django_db


def told(label: str) -> dict[str, Any]:
    out, _code = called("totals_status", "--format", "json")
    [found] = [one for one in json.loads(out)["totals"] if one["totals"] == label]
    return dict(found)


@pytest.fixture
def moved(warehouse: Warehouse) -> Warehouse:
    warehouse.moved()
    warehouse.moved(kind="out")
    return warehouse


def spread() -> int:
    """Move the overview of movements to other slots, behind the engine's back; return how many rows that were."""
    rows = list(MovementTotals.objects.filter(rollup="overview"))  # in slots already where writers take them
    with connection.cursor() as cursor:
        for row in rows:
            key = MovementTotals._meta.pk.get_db_prep_value
            other = bucket_key("overview", [row.item_id, row.kind], 3)
            cursor.execute(
                f"UPDATE {MovementTotals._meta.db_table} SET id = %s, slot = 3 WHERE id = %s",
                [key(other, connection), key(row.pk, connection)],
            )
    return len(rows)


def test_a_verified_table_is_well(moved: Warehouse) -> None:
    called("verify_totals")
    out, code = called("totals_status")
    assert code == 0
    assert "testapp.MovementTotals: verified " in out
    overview = MovementTotals.objects.filter(rollup="overview")
    used = overview.values("slot").distinct().count()
    assert f"overview: ready, {overview.count()} rows, slots {used} of 4, 2 buckets when last found clean" in out
    assert "last verify: " in out
    assert "last rebuild: none" in out
    found = told("testapp.MovementTotals")
    assert found["needs_attention"] is False
    assert found["verified_at"] == found["last"]["verify"]["started_at"]
    assert {rollup["rollup"]: rollup["rows"] for rollup in found["rollups"]} == {
        name: MovementTotals.objects.filter(rollup=name).count()
        for name in registry.definition(MovementTotals).fingerprints
    }


def test_what_was_never_compared_says_so_and_exits_with_1(moved: Warehouse) -> None:
    RollupState.objects.all().delete()
    out, code = called("totals_status")
    assert code == 1
    assert "testapp.MovementTotals: never verified" in out
    assert "overview: NOT READY: run rebuild_totals" in out
    assert "last verify: none" in out
    assert told("testapp.MovementTotals")["last"] == {"verify": None, "rebuild": None}


def test_drift_that_was_found_is_told_until_it_is_mended(moved: Warehouse) -> None:
    Ticket.objects.create(gate="a", price="12.50")
    with connection.cursor() as cursor:
        cursor.execute("UPDATE testapp_tickettotals SET count = count + 1")
    called("rebuild_totals", "--dry-run")
    called("verify_totals")
    out, code = called("totals_status")
    assert code == 1
    assert "1 of 1 buckets drifted" in out
    assert told("testapp.TicketTotals")["needs_attention"] is True
    called("rebuild_totals")
    assert ", 1 corrected" in called("totals_status")[0]
    called("verify_totals")
    assert called("totals_status")[1] == 0


def test_a_run_that_failed_tells_why(moved: Warehouse) -> None:
    called("verify_totals")
    now = timezone.now()
    times = {"started_at": now, "heartbeat_at": now}
    Run.objects.create(totals="testapp.TicketTotals", kind="verify", state="failed", error="disk full", **times)
    assert "failed: disk full" in called("totals_status")[0]


def test_rows_of_rollups_that_are_gone_are_counted() -> None:
    Ticket.objects.create(gate="a", price="12.50")
    with connection.cursor() as cursor:
        cursor.execute("UPDATE testapp_tickettotals SET rollup = 'gone'")
    assert "1 rows of rollups that are not declared: run rebuild_totals" in called("totals_status")[0]
    assert told("testapp.TicketTotals")["undeclared_rows"] == 1


@pytest.mark.parametrize("command", ["totals_status", "fold_totals"])
def test_an_unknown_database_exits_with_2(command: str) -> None:
    out, code = called(command, "--database", "nowhere")
    assert (code, "nowhere" in out) == (2, True)


def test_folding_brings_slots_home_and_changes_no_sum(moved: Warehouse) -> None:
    number = spread()
    assert number
    rollup = {one["rollup"]: one for one in told("testapp.MovementTotals")["rollups"]}["overview"]
    assert (rollup["rows"], rollup["spread"], rollup["slots"], rollup["slots_used"]) == (number, number, 4, 1)
    assert f"{number} rows, {number} of them in slots" in called("totals_status")[0]
    out, code = called("fold_totals")
    assert code == 0
    assert f"testapp.MovementTotals: {number} rows folded" in out
    assert set(MovementTotals.objects.values_list("slot", flat=True)) == {0}
    assert_exact()
    again, _ = called("fold_totals", "--format", "json")
    assert json.loads(again)["folded"]["testapp.MovementTotals"] == 0


def test_folding_that_is_broken_off_says_how_to_go_on(moved: Warehouse, monkeypatch: pytest.MonkeyPatch) -> None:
    spread()
    fold = folding.fold

    def interrupted(*args: Any, **kwargs: Any) -> int:
        signal.raise_signal(signal.SIGINT)
        return fold(*args, **kwargs)

    monkeypatch.setattr(folding, "fold", interrupted)
    out, code = called("fold_totals")
    assert code == 3
    assert "run fold_totals again" in out
    assert_exact()


@pytest.mark.row_locks
@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("wait", [False, True])
def test_rows_that_a_writer_holds_are_left_unless_it_shall_wait(moved: Warehouse, wait: bool) -> None:
    number, gate = spread(), Gate()
    held: Any = MovementTotals.objects.filter(rollup="overview").order_by("pk")

    def writer() -> None:
        with transaction.atomic():
            list(held.select_for_update()[:1])
            gate.wait_here()

    def folder() -> None:
        gate.wait_until_reached()
        if wait:
            gate.open_when_somebody_waits_for_a_lock()
        called("fold_totals", *(["--wait"] if wait else []))
        gate.open()

    together(writer, folder)
    assert MovementTotals.objects.filter(slot__gt=0).count() == (0 if wait else 1)
    assert number > 1
    assert TicketTotals.objects.count() == 0
    assert_exact()
