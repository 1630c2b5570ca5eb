"""verify_totals and rebuild_totals: what they print, and how they exit."""

from __future__ import annotations

import csv
import io
import json
import signal
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from django.core.management import CommandError, call_command
from django.db import OperationalError, connection
from django.db.backends.sqlite3._functions import register

from aggregates import chunks, drift, interrupts, readiness, registry
from aggregates.definitions import Definition
from aggregates.exceptions import DeclarationError
from aggregates.management.failures import could_not_run
from aggregates.models import RollupState, Run
from tests.concurrency.threads import together
from tests.integration.aggregates.conftest import Warehouse
from tests.integration.aggregates.exactness import assert_exact
from tests.testapp.models import MovementTotals, Ticket, TicketTotals

pytestmark = pytest.mark.django_db


def run(*arguments: str) -> tuple[str, int]:
    """Return what a command prints on standard output, and its exit code."""
    out = io.StringIO()
    try:
        call_command(*arguments, stdout=out)
    except SystemExit as error:
        return out.getvalue(), int(error.code or 0)
    except CommandError as error:
        return out.getvalue(), error.returncode
    return out.getvalue(), 0


@pytest.fixture
def drifted() -> None:
    """Two tickets, the total of one of them spoilt behind the engine's back."""
    Ticket.objects.create(gate="a", price="12.50")
    Ticket.objects.create(gate="b", price="-1")
    with connection.cursor() as cursor:
        cursor.execute("UPDATE testapp_tickettotals SET price = price + 5000, count = 3 WHERE gate = 'a'")


def test_verify_of_sound_totals_is_clean() -> None:
    Ticket.objects.create(gate="a", price=1)
    out, code = run("verify_totals")
    assert (out, code) == ("Clean: 1 buckets compared, none drifted.\n", 0)


def test_verify_names_the_drift_in_text(drifted: None) -> None:
    out, code = run("verify_totals")
    assert code == 1
    assert out.splitlines() == [
        "drift in testapp.TicketTotals gate: gate=a: "
        "price: stored 13.0000, expected 12.5000, difference -0.5000; count: stored 3, expected 1, difference -2",
        "Drift: 1 of 2 buckets. Run rebuild_totals to repair them.",
    ]


def test_verify_reports_json(drifted: None) -> None:
    out, code = run("verify_totals", "--format", "json")
    report = json.loads(out)
    assert code == 1
    assert report.pop("checked_at")
    assert report == {
        "clean": False,
        "buckets": 2,
        "drift": [
            {
                "totals": "testapp.TicketTotals",
                "rollup": "gate",
                "bucket": {"gate": "a"},
                "stored": {"price": "13.0000", "count": 3},
                "expected": {"price": "12.5000", "count": 1},
                "difference": {"price": "-0.5000", "count": -2},
            }
        ],
    }


def test_a_clean_json_report_is_json_too() -> None:
    report = json.loads(run("verify_totals", "--format", "json")[0])
    assert (report["clean"], report["buckets"], report["drift"]) == (True, 0, [])


def test_several_findings_are_one_json_array(drifted: None) -> None:
    with connection.cursor() as cursor:
        cursor.execute("DELETE FROM testapp_tickettotals")
    report = json.loads(run("rebuild_totals", "--format", "json")[0])
    assert sorted(finding["bucket"]["gate"] for finding in report["drift"]) == ["a", "b"]
    assert report["corrected"] == 2


def test_verify_reports_csv_by_measure(drifted: None) -> None:
    out, code = run("verify_totals", "--format", "csv")
    rows = list(csv.DictReader(io.StringIO(out)))
    assert code == 1
    assert [(row["measure"], row["stored"], row["expected"], row["difference"]) for row in rows] == [
        ("price", "13.0000", "12.5000", "-0.5000"),
        ("count", "3", "1", "-2"),
    ]
    assert json.loads(rows[0]["bucket"]) == {"gate": "a"}


def test_a_dry_run_reports_and_corrects_nothing(drifted: None) -> None:
    before = list(TicketTotals.objects.order_by("pk").values())
    out, code = run("rebuild_totals", "--dry-run")
    assert code == 1
    assert "Drift: 1 of 2 buckets" in out
    assert list(TicketTotals.objects.order_by("pk").values()) == before


@pytest.mark.parametrize("how", [[], ["--from-scratch"], ["--batch-size", "1"]], ids=str)
def test_a_rebuild_repairs_and_says_so(drifted: None, how: list[str]) -> None:
    out, code = run("rebuild_totals", *how)
    assert code == 0
    assert out.splitlines()[-1] == "Repaired: 1 of 2 buckets had drifted, 1 corrections."
    assert_exact()
    assert run("verify_totals")[1] == 0


def test_each_run_is_recorded_with_what_it_found(drifted: None) -> None:
    run("verify_totals")
    run("rebuild_totals")
    runs = Run.objects.filter(totals="testapp.TicketTotals").order_by("started_at")
    assert [(r.kind, r.state, r.buckets, r.drifted, r.corrected, r.chunks_done == r.chunks) for r in runs] == [
        ("verify", "complete", 2, 1, 0, True),
        ("rebuild", "complete", 2, 1, 1, True),
    ]
    assert runs[0].findings[0]["bucket"] == {"gate": "a"}


@pytest.mark.parametrize("size", ["0", "-1", "many"])
def test_a_batch_size_that_makes_no_sense_is_refused(size: str) -> None:
    with pytest.raises(CommandError, match="positive whole number"):
        call_command("rebuild_totals", "--batch-size", size)


@pytest.mark.parametrize("command", ["verify_totals", "rebuild_totals"])
def test_an_unknown_database_is_exit_code_two_and_prints_nothing(command: str) -> None:
    assert run(command, "--database", "nowhere", "--format", "json") == ("", 2)


def test_a_declaration_that_cannot_work_is_exit_code_two(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(registry, "_broken", {"testapp.Broken": DeclarationError("it cannot work")})
    assert run("verify_totals") == ("", 2)


def test_drift_that_comes_back_is_exit_code_two(drifted: None, monkeypatch: pytest.MonkeyPatch) -> None:
    """As where a trigger rewrites what the engine writes."""
    parts = drift.parts
    tickets = registry.definition(TicketTotals)
    spoilt = [*parts(tickets, chunks.whole(*tickets.rollups), using="default")]
    monkeypatch.setattr(
        drift,
        "parts",
        lambda definition, chunk, using: spoilt if definition is tickets else parts(definition, chunk, using=using),
    )
    assert run("rebuild_totals")[1] == 2
    assert Run.objects.filter(totals="testapp.TicketTotals").get().state == Run.State.FAILED


def test_an_interrupted_rebuild_is_exit_code_three_and_can_be_run_again(
    drifted: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupted(*_arguments: Any, **_options: Any) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(drift, "parts", interrupted)
        assert run("rebuild_totals")[1] == 3
    assert set(Run.objects.values_list("state", flat=True)) == {Run.State.INTERRUPTED}
    assert run("rebuild_totals")[1] == 0
    assert_exact()


def test_an_interrupt_that_ends_as_a_database_error_is_still_one() -> None:
    with pytest.raises(KeyboardInterrupt), could_not_run():
        try:
            raise KeyboardInterrupt
        except KeyboardInterrupt:
            raise OperationalError("the connection is closed") from None


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_is_an_interrupt_within_the_block_alone(number: signal.Signals) -> None:
    before = signal.getsignal(number)
    with pytest.raises(KeyboardInterrupt), could_not_run():
        signal.raise_signal(number)
    assert signal.getsignal(number) == before
    assert not interrupts.caused(OperationalError("of later"))


def test_an_interrupt_that_is_ignored_stays_ignored() -> None:
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        with could_not_run():
            signal.raise_signal(signal.SIGINT)
    finally:
        signal.signal(signal.SIGINT, before)


class InDestructor:
    """Python reports what is raised here, and drops it."""

    def __del__(self) -> None:
        signal.raise_signal(signal.SIGTERM)


def in_callback() -> None:
    """Sqlite3 says of what is raised here only that something was."""
    connection.connection.create_function(
        "django_datetime_cast_date", 3, lambda *_: signal.raise_signal(signal.SIGTERM)
    )


ON_SQLITE = pytest.mark.skipif(connection.vendor != "sqlite", reason="SQLite calls back into Python")


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
@pytest.mark.parametrize("unseen", [InDestructor, pytest.param(in_callback, marks=ON_SQLITE)])
@pytest.mark.parametrize(
    ("command", "status", "said"),
    [("rebuild_totals", 3, "Interrupted. What"), ("verify_totals", 2, "Interrupted. Not everything")],
)
def test_an_interrupt_that_nobody_sees_ends_the_run(
    warehouse: Warehouse,
    monkeypatch: pytest.MonkeyPatch,
    unseen: Callable[[], object],
    command: str,
    status: int,
    said: str,
) -> None:
    warehouse.moved()
    parts = drift.parts

    def interrupted(definition: Definition, *arguments: Any, **options: Any) -> Iterator[drift.Comparison]:
        if definition.totals is MovementTotals:
            unseen()
        return parts(definition, *arguments, **options)

    monkeypatch.setattr(drift, "parts", interrupted)
    try:
        with pytest.raises(CommandError, match=said) as ended:
            call_command(command, stdout=io.StringIO())
    finally:
        if connection.vendor == "sqlite":
            register(connection.connection)
    assert ended.value.returncode == status
    assert Run.objects.latest("started_at").state == Run.State.INTERRUPTED


@pytest.mark.django_db(transaction=True)
def test_a_rebuild_runs_in_any_thread(drifted: None) -> None:
    """Where no signal can be taken: as where a scheduler of the host's calls it."""
    printed: list[tuple[str, int]] = []
    together(lambda: printed.append(run("rebuild_totals")))
    ((out, code),) = printed
    assert (out.splitlines()[-1], code) == ("Repaired: 1 of 2 buckets had drifted, 1 corrections.", 0)
    assert_exact()


def test_a_rollup_is_ready_once_a_run_has_found_it_clean(drifted: None) -> None:
    definition = registry.definition(TicketTotals)
    RollupState.objects.all().delete()
    run("verify_totals")
    assert readiness.ready(definition) == {}
    run("rebuild_totals")
    assert readiness.ready(definition) == {"gate": 2}
