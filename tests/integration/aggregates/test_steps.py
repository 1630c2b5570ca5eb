"""Runs that are worked off in steps: each bounded, one at a time, and together as good as one run."""

from __future__ import annotations

import datetime as dt
import io
import uuid
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from django.core.management import call_command
from django.db import IntegrityError, OperationalError, connection, transaction
from django.utils import timezone

import aggregates
from aggregates import chunks, drift, readiness, registry, steps
from aggregates.chunks import PlanOutdated
from aggregates.definitions import Definition
from aggregates.models import RollupState, Run
from aggregates.rebuild import NotRepaired, Options
from aggregates.runs import SILENCE
from tests.concurrency.threads import Gate, stopping_before, together
from tests.integration.aggregates.conftest import NOON, Warehouse
from tests.integration.aggregates.exactness import assert_exact
from tests.testapp.models import MovementTotals, Ticket, TicketTotals

pytestmark = pytest.mark.django_db

GATES = "cdef"
LATER = NOON + SILENCE + dt.timedelta(seconds=1)


def definition() -> Definition:
    return registry.definition(TicketTotals)


def begin(kind: Run.Kind = Run.Kind.REBUILD, *, at: dt.datetime = NOON, rows: int = 1, **options: Any) -> Run:
    """Begin a run of a chunk a gate, unless told otherwise."""
    return steps.begin(definition(), kind, Options(batch_size=rows, **options), using="default", at=at)


def step(run: Run, *, at: dt.datetime = NOON) -> Run:
    """Work off one chunk."""
    return steps.step(run, clock=lambda: at, seconds=0)


def ended(run: Run) -> Run:
    while run.state == Run.State.RUNNING:
        done = run.chunks_done
        run = step(run)
        assert run.chunks_done == done + 1
    return run


def sql(statement: str, *params: Any) -> None:
    with connection.cursor() as cursor:
        cursor.execute(statement, params)
        assert cursor.rowcount


def spoil(gate: str) -> None:
    sql("UPDATE testapp_tickettotals SET price = price + 5000 WHERE gate = %s", gate)


def sold_behind_the_engines_back(gate: str) -> None:
    key = uuid.uuid4()
    stored = key.hex if connection.vendor == "sqlite" else key
    sql("INSERT INTO testapp_ticket (id, gate, price) VALUES (%s, %s, 10000)", stored, gate)


@pytest.fixture
def tickets(db: None) -> None:
    """A ticket a gate, all totals right, and none ready."""
    for gate in GATES:
        Ticket.objects.create(gate=gate, price=1)
    RollupState.objects.all().delete()


def test_a_rebuild_in_steps_repairs_and_makes_ready_what_it_found_clean(tickets: None) -> None:
    spoil("c")
    spoil("f")
    run = ended(begin())
    assert (run.state, run.chunks, run.buckets, run.drifted, run.corrected) == ("complete", 4, 4, 2, 2)
    assert {finding["bucket"]["gate"] for finding in run.findings} == {"c", "f"}
    assert (run.finished_at, run.worker, run.error) == (NOON, None, "")
    assert readiness.ready(definition()) == {"gate": 4}
    assert_exact(TicketTotals)


def test_nothing_is_ready_before_the_last_step(tickets: None) -> None:
    run = begin()
    for _ in range(run.chunks - 1):
        assert step(run).state == Run.State.RUNNING
        assert readiness.ready(definition()) == {}
    assert step(run).state == Run.State.COMPLETE
    assert readiness.ready(definition()) == {"gate": 4}


@pytest.mark.parametrize("gate", GATES)
def test_a_verify_in_steps_makes_nothing_ready_where_one_chunk_drifts(tickets: None, gate: str) -> None:
    spoil(gate)
    run = ended(begin(Run.Kind.VERIFY))
    assert (run.state, run.buckets, run.drifted, run.corrected) == ("complete", 4, 1, 0)
    assert readiness.ready(definition()) == {}
    Ticket.objects.filter(gate=gate).delete()
    sql("DELETE FROM testapp_tickettotals WHERE gate = %s", gate)
    assert ended(begin(Run.Kind.VERIFY)).drifted == 0
    assert readiness.ready(definition()) == {"gate": 3}


def test_a_step_goes_on_until_its_time_is_up(tickets: None) -> None:
    times = iter(NOON + dt.timedelta(seconds=seconds) for seconds in range(100))
    run = steps.step(begin(), clock=lambda: next(times), seconds=1000)
    assert (run.state, run.chunks_done) == (Run.State.COMPLETE, 4)
    times = iter(NOON + dt.timedelta(seconds=seconds) for seconds in range(100))
    run = steps.step(begin(), clock=lambda: next(times), seconds=0)
    assert (run.state, run.chunks_done) == (Run.State.RUNNING, 1)


@pytest.mark.parametrize("gate", ["a", "cc", "z"])
def test_what_comes_between_two_steps_in_no_planned_chunk_is_looked_at(tickets: None, gate: str) -> None:
    """Below, between and above the planned bounds; drift there keeps the rollup from being ready."""
    run = begin(Run.Kind.VERIFY)
    sold_behind_the_engines_back(gate)
    assert ended(run).drifted == 1
    assert readiness.ready(definition()) == {}
    assert ended(begin()).corrected == 1
    assert_exact(TicketTotals)


def test_rows_written_between_two_steps_are_no_drift(tickets: None) -> None:
    run = step(begin())
    for gate in ("a", "c", "d", "z"):
        Ticket.objects.create(gate=gate, price=3)
    assert ended(run).drifted == 0
    assert_exact(TicketTotals)


def test_every_plan_is_read_back_as_it_was_written(warehouse: Warehouse) -> None:
    for day, kind in enumerate(["in", "out", "née", None]):
        warehouse.moved(moved_at=NOON + dt.timedelta(days=day), kind=kind, site=warehouse.south)
        warehouse.moved(moved_at=NOON - dt.timedelta(days=day), kind=kind, carrier=warehouse.road, item=None)
    movements = registry.definition(MovementTotals)
    for rows in (1, 3, 1000):
        planned = chunks.plan(movements, using="default", batch_size=rows)
        run = Run(plan=chunks.as_json(movements, planned), started_at=NOON, heartbeat_at=NOON)
        run.save()
        run.refresh_from_db()
        assert chunks.from_json(movements, run.plan) == planned
    assert len(chunks.from_json(movements, run.plan)) == 1


def test_a_plan_by_other_dimensions_is_refused(warehouse: Warehouse) -> None:
    warehouse.moved()
    warehouse.moved(kind="out", carrier=warehouse.road)
    movements = registry.definition(MovementTotals)
    plan = chunks.as_json(movements, chunks.plan(movements, using="default", batch_size=1))
    by = next(part for part in plan if part["rollups"] == {"overview": "kind"})
    by["rollups"] = {"overview": "item"}
    with pytest.raises(PlanOutdated, match=r"testapp\.MovementTotals is no longer declared"):
        chunks.from_json(movements, plan)
    with pytest.raises(PlanOutdated):
        chunks.from_json(movements, [part for part in plan if part is not by])


def test_a_second_rebuild_is_refused_and_names_the_first(tickets: None) -> None:
    first = begin()
    with pytest.raises(steps.RunUnderWay, match=str(first.pk)) as refused:
        begin()
    assert refused.value.run == first
    assert begin(Run.Kind.VERIFY).state == Run.State.RUNNING
    ended(first)
    assert begin().pk != first.pk


def test_a_rebuild_is_refused_beside_that_of_a_command(tickets: None) -> None:
    Run.objects.create(totals=definition().label, kind=Run.Kind.REBUILD, started_at=NOON, heartbeat_at=NOON)
    with pytest.raises(steps.RunUnderWay):
        begin()


def test_of_two_rebuilds_that_begin_in_the_same_moment_one_is_refused(
    tickets: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    plan, first = chunks.plan, []

    def meanwhile(*arguments: Any, **options: Any) -> list[chunks.Chunk]:
        if not first:
            first.append(None)
            first.append(begin())
        return plan(*arguments, **options)

    monkeypatch.setattr(chunks, "plan", meanwhile)
    with pytest.raises(steps.RunUnderWay) as refused:
        begin()
    assert refused.value.run == first[1]
    assert Run.objects.count() == 1


def test_what_else_the_database_refuses_is_not_called_a_second_rebuild(
    tickets: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_arguments: Any, **_options: Any) -> None:
        raise IntegrityError("a user who is gone")

    monkeypatch.setattr(Run, "save", fail)
    with pytest.raises(IntegrityError):
        begin()


def test_a_rebuild_that_is_dead_is_in_nobodys_way(tickets: None) -> None:
    dead = step(begin())
    assert begin(at=LATER).state == Run.State.RUNNING
    dead.refresh_from_db()
    assert dead.state == Run.State.INTERRUPTED
    with pytest.raises(steps.NotUnderWay, match="begin another"):
        step(dead, at=LATER)


def claimed(run: Run) -> Run:
    """Leave a run as a step does that was killed at work."""
    steps._claim(run, NOON)
    return run


def test_a_run_that_is_being_worked_on_is_left_alone(tickets: None) -> None:
    run = claimed(begin())
    with pytest.raises(steps.BeingWorkedOn, match=str(run.pk)):
        step(run)
    run.refresh_from_db()
    assert (run.state, run.chunks_done) == (Run.State.RUNNING, 0)


def test_a_run_whose_step_was_killed_is_taken_over(tickets: None) -> None:
    run = claimed(step(begin()))
    assert step(run, at=LATER).chunks_done == 2


@pytest.mark.django_db(transaction=True)
def test_of_two_steps_at_once_one_works(tickets: None) -> None:
    run = begin()
    gate = Gate()

    def first() -> None:
        with stopping_before("WITH fine", gate):
            step(run)

    def second() -> None:
        gate.wait_until_reached()
        try:
            with pytest.raises(steps.BeingWorkedOn):
                step(run)
        finally:
            gate.open()

    together(first, second)
    run.refresh_from_db()
    assert (run.chunks_done, run.buckets) == (1, 1)


@pytest.fixture
def amid(monkeypatch: pytest.MonkeyPatch) -> Callable[[Callable[[], Any]], None]:
    """``amid(do)`` does something in the next comparison of a chunk, before it is stored what that found."""
    parts = drift.parts

    def arrange(do: Callable[[], Any]) -> None:
        def interrupted(*arguments: Any, **options: Any) -> Iterator[drift.Comparison]:
            monkeypatch.setattr(drift, "parts", parts)
            yield from parts(*arguments, **options)
            do()

        monkeypatch.setattr(drift, "parts", interrupted)

    return arrange


def raising(error: BaseException) -> Callable[[], None]:
    def fail() -> None:
        raise error

    return fail


@pytest.mark.parametrize("error", [OperationalError("the connection is closed"), ValueError("a mistake")])
def test_a_step_in_a_transaction_that_is_lost_stores_nothing_more(tickets: None, amid: Any, error: Exception) -> None:
    run = begin(Run.Kind.VERIFY)

    def fail() -> None:
        transaction.set_rollback(True)
        raise error

    amid(fail)
    with pytest.raises(type(error)), transaction.atomic():
        step(run)
    run.refresh_from_db()
    assert (run.state, run.chunks_done, run.worker, run.error) == (Run.State.RUNNING, 0, None, "")


def test_a_chunk_that_was_broken_off_is_counted_once(tickets: None, amid: Any) -> None:
    spoil("c")
    run = begin(Run.Kind.VERIFY)
    amid(raising(OperationalError("the connection is closed")))
    with pytest.raises(OperationalError):
        step(run)
    run.refresh_from_db()
    assert (run.state, run.chunks_done, run.worker) == (Run.State.RUNNING, 0, None)
    assert run.error == "OperationalError: the connection is closed"
    run = ended(run)
    assert (run.state, run.error, run.buckets, run.drifted, len(run.findings)) == ("complete", "", 4, 1, 1)


@pytest.mark.parametrize("error", [KeyboardInterrupt(), SystemExit(1)], ids=repr)
def test_a_step_that_is_to_stop_leaves_the_rest_to_the_next(tickets: None, amid: Any, error: BaseException) -> None:
    run = begin()
    amid(raising(error))
    with pytest.raises(type(error)):
        step(run)
    assert ended(Run.objects.get()).state == Run.State.COMPLETE


def test_a_mistake_fails_the_run(tickets: None, amid: Any) -> None:
    run = begin()
    amid(raising(ZeroDivisionError("of a field of the host's")))
    with pytest.raises(ZeroDivisionError):
        step(run)
    run.refresh_from_db()
    assert (run.state, run.error) == (Run.State.FAILED, "ZeroDivisionError: of a field of the host's")


def test_drift_that_comes_back_fails_the_run(tickets: None, amid: Any) -> None:
    run = begin()
    amid(raising(NotRepaired("stop what writes behind the engine's back")))
    run = step(run)
    assert (run.state, run.error) == (Run.State.FAILED, "NotRepaired: stop what writes behind the engine's back")
    assert begin().state == Run.State.RUNNING


def test_a_declaration_that_changed_fails_the_run(tickets: None) -> None:
    run = step(begin())
    Run.objects.update(fingerprint="0" * 64)
    run = step(run)
    assert run.state == Run.State.FAILED
    assert "no longer declared as it was when this run began" in run.error
    assert "Begin another" in run.error
    assert readiness.ready(definition()) == {}


def test_a_run_is_cancelled_between_steps(tickets: None) -> None:
    run = step(begin())
    steps.cancel(run, at=LATER)
    steps.cancel(run, at=LATER)
    run.refresh_from_db()
    assert (run.state, run.finished_at, run.chunks_done) == (Run.State.INTERRUPTED, LATER, 1)
    with pytest.raises(steps.NotUnderWay, match="has ended, interrupted"):
        step(run)
    assert begin().state == Run.State.RUNNING


def test_a_run_that_is_cancelled_amid_its_last_step_makes_nothing_ready(tickets: None, amid: Any) -> None:
    run = begin(rows=1000)
    amid(lambda: steps.cancel(run, at=LATER))
    assert step(run).state == Run.State.INTERRUPTED
    assert readiness.ready(definition()) == {}


def test_a_run_that_is_cancelled_amid_a_step_keeps_what_was_stored(tickets: None, amid: Any) -> None:
    run = step(begin())
    amid(lambda: steps.cancel(run, at=LATER))
    run = step(run)
    assert (run.state, run.chunks_done) == (Run.State.INTERRUPTED, 1)


def test_a_step_whose_run_another_has_taken_over_stores_nothing(tickets: None, amid: Any) -> None:
    spoil("c")
    run = begin(Run.Kind.VERIFY)
    amid(lambda: step(run, at=LATER))
    run = step(run)
    assert (run.chunks_done, run.buckets, run.drifted, run.heartbeat_at) == (1, 1, 1, LATER)
    assert ended(run).buckets == 4


def test_a_complete_run_stays_as_it_is(tickets: None) -> None:
    run = ended(begin())
    assert step(run).finished_at == run.finished_at
    with pytest.raises(steps.NotUnderWay, match="has ended, complete"):
        steps.cancel(run, at=LATER)


@pytest.mark.parametrize("do", [step, lambda run: steps.cancel(run, at=NOON)], ids=["step", "cancel"])
def test_the_run_of_a_command_is_left_to_it(tickets: None, do: Callable[[Run], Any]) -> None:
    run = Run.objects.create(totals=definition().label, kind=Run.Kind.VERIFY, started_at=NOON, heartbeat_at=NOON)
    with pytest.raises(steps.NotUnderWay, match="interrupt"):
        do(run)


def test_totals_that_a_migration_takes_out_of_use_are_not_made_ready_by_a_run_that_had_begun(tickets: None) -> None:
    run = step(begin())
    with aggregates.untracked("testapp.Ticket"):
        sold_behind_the_engines_back("a")
    with pytest.raises(steps.NotUnderWay):
        step(run)
    assert readiness.ready(definition()) == {}
    assert ended(begin()).corrected == 1
    assert readiness.ready(definition()) == {"gate": 5}


@pytest.mark.parametrize("how", [{}, {"from_scratch": True}, {"dry_run": True}], ids=str)
def test_a_rebuild_is_asked_as_the_command_is(tickets: None, how: dict[str, bool]) -> None:
    spoil("d")
    key = uuid.uuid4()
    sql(
        "INSERT INTO testapp_tickettotals (id, rollup, slot, generation, gate, price, count) "
        "SELECT %s, 'gone', slot, generation, gate, price, count FROM testapp_tickettotals WHERE gate = 'c'",
        key.hex if connection.vendor == "sqlite" else key,
    )
    run = ended(begin(**how))
    assert run.options == {"from_scratch": False, "dry_run": False, **how}
    assert (run.drifted, run.corrected) == (1, 0 if how.get("dry_run") else 1)
    assert TicketTotals.objects.filter(rollup="gone").exists() == bool(how.get("dry_run"))
    assert bool(readiness.ready(definition())) != bool(how.get("dry_run"))


def test_the_commands_still_work_beside_a_run_in_steps(tickets: None) -> None:
    spoil("c")
    now = timezone.now()
    run = step(begin(Run.Kind.VERIFY, at=now), at=now)
    call_command("rebuild_totals", stdout=io.StringIO())
    assert ended(run).drifted == 1
    assert ended(begin(Run.Kind.VERIFY)).drifted == 0
