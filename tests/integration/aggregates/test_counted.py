"""What the engine tells those who count: transactions that wrote totals, tries, refusals, and drift."""

from __future__ import annotations

import io
import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Any

import pytest
from django.core.management import call_command
from django.db import connection, transaction
from django.utils import timezone

import aggregates
from aggregates import ledger, registry, steps, transactions
from aggregates.exceptions import ConcurrentInsert, TotalOutOfRange
from aggregates.fields import MAX_VALUE
from aggregates.models import Run
from aggregates.rebuild import Options
from aggregates.signals import totals_applied, totals_refused, transaction_retried
from tests.integration.aggregates.exactness import assert_exact
from tests.testapp.models import Ticket, TicketTotals

pytestmark = pytest.mark.django_db(transaction=True)


@contextmanager
def told_by(signal: Any) -> Iterator[list[dict[str, Any]]]:
    """Yield the list of what a receiver of a signal is told."""
    calls: list[dict[str, Any]] = []

    def receiver(signal: Any, **given: Any) -> None:
        calls.append(given)

    signal.connect(receiver)
    try:
        yield calls
    finally:
        signal.disconnect(receiver)


WRITES: list[tuple[str, Callable[[], Any]]] = [
    ("a save", lambda: Ticket.objects.create(gate="b", price=1)),
    ("a change", lambda: Ticket(pk=Ticket.objects.get().pk, gate="b", price=1).save(force_update=True)),
    ("a delete", lambda: Ticket.objects.get().delete()),
    ("an update", lambda: Ticket.objects.update(gate="b")),
    ("a delete of many", lambda: Ticket.objects.all().delete()),
    ("an insert of many", lambda: Ticket.objects.bulk_create([Ticket(gate=gate, price=1) for gate in "ab"])),
    ("a batch", lambda: batched("a", "b")),
]


def batched(*gates: str) -> None:
    with aggregates.batch():
        for gate in gates:
            Ticket.objects.create(gate=gate, price=1)


@pytest.mark.parametrize("write", [write for _name, write in WRITES], ids=[name for name, _write in WRITES])
def test_a_transaction_that_wrote_totals_is_told_once(write: Callable[[], Any]) -> None:
    Ticket.objects.create(gate="a", price=1)
    with told_by(totals_applied) as told:
        write()
    assert told == [{"sender": TicketTotals, "using": "default"}]


def test_several_writes_of_a_transaction_are_told_as_one_after_its_commit() -> None:
    with told_by(totals_applied) as told, transaction.atomic():
        Ticket.objects.create(gate="a", price=1)
        Ticket.objects.create(gate="b", price=1)
        assert told == []
    assert len(told) == 1


def test_what_was_rolled_back_or_met_no_row_is_not_told() -> None:
    gone = Ticket.objects.create(gate="a", price=1)
    Ticket.objects.all().delete()
    with told_by(totals_applied) as told:
        gone.delete()
        with transaction.atomic():
            Ticket.objects.create(gate="a", price=1)
            transaction.set_rollback(True)
        Ticket.objects.filter(gate="z").update(price=2)
        Ticket.objects.filter(gate="z").delete()
        Ticket.objects.none().update(price=2)
    assert told == []


def test_where_nobody_listens_nothing_is_kept_until_the_commit(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(totals_applied, "receivers", [])
    totals_applied.sender_receivers_cache.clear()
    try:
        with transaction.atomic():
            Ticket.objects.create(gate="a", price=1)
            assert not ledger.of("default").applier._changed
    finally:
        totals_applied.sender_receivers_cache.clear()
    assert_exact()


def test_each_further_try_is_told_with_its_cause() -> None:
    errors = [ConcurrentInsert("1"), ConcurrentInsert("2")]

    def operation() -> None:
        if errors:
            raise errors.pop()

    causes = errors[::-1]
    with told_by(transaction_retried) as told:
        transactions.run(operation)
    assert [(call["using"], call["error"], call["attempt"]) for call in told] == [
        ("default", causes[0], 1),
        ("default", causes[1], 2),
    ]


def test_what_is_not_tried_again_is_not_told(settings: Any) -> None:
    def failing() -> None:
        raise ConcurrentInsert

    settings.AGGREGATES = {"RETRIES": 0}
    with told_by(transaction_retried) as told, pytest.raises(ConcurrentInsert):
        transactions.run(failing)
    assert told == []


def too_much_in_a_batch() -> None:
    with aggregates.batch():
        Ticket.objects.create(gate="a", price=MAX_VALUE)


def too_much_within_transactions() -> None:
    with transaction.atomic():
        transactions.run(lambda: Ticket.objects.create(gate="a", price=MAX_VALUE))


REFUSALS: list[tuple[str, Callable[[], Any]]] = [
    ("a save", lambda: Ticket.objects.create(gate="a", price=MAX_VALUE)),
    ("an update", lambda: Ticket.objects.update(price=MAX_VALUE)),
    ("an insert of many", lambda: Ticket.objects.bulk_create([Ticket(gate="a", price=MAX_VALUE)])),
    ("a batch", too_much_in_a_batch),
    ("a save within others", too_much_within_transactions),
]


@pytest.mark.parametrize("write", [write for _name, write in REFUSALS], ids=[name for name, _write in REFUSALS])
def test_a_refused_write_is_told_once(write: Callable[[], Any]) -> None:
    Ticket.objects.create(gate="a", price=1)
    Ticket.objects.create(gate="a", price=1)
    with told_by(totals_refused) as told, pytest.raises(TotalOutOfRange) as refused:
        write()
    assert [(call["using"], call["error"]) for call in told] == [("default", refused.value)]
    assert_exact()


@pytest.mark.parametrize("signal", [totals_applied, totals_refused, transaction_retried])
def test_a_receiver_that_raises_disturbs_no_writer(signal: Any) -> None:
    def failing(**_signal: Any) -> None:
        raise ZeroDivisionError

    conflicts = [ConcurrentInsert()]

    def operation() -> None:
        Ticket.objects.create(gate="a", price=1)
        if conflicts:
            raise conflicts.pop()

    signal.connect(failing)
    try:
        transactions.run(operation)
        with suppress(TotalOutOfRange):
            Ticket.objects.create(gate="a", price=MAX_VALUE)
    finally:
        signal.disconnect(failing)
    assert Ticket.objects.get().price == 1
    assert_exact()


def drift_by_hand() -> None:
    Ticket.objects.create(gate="a", price=1)
    with connection.cursor() as cursor:
        cursor.execute("UPDATE testapp_tickettotals SET count = 5")


def verify_by_command() -> None:
    with suppress(SystemExit):
        call_command("verify_totals", stdout=io.StringIO())


def verify_in_steps() -> None:
    definition = registry.definition(TicketTotals)
    run = steps.begin(definition, Run.Kind.VERIFY, Options(), using="default", at=timezone.now())
    while run.state == Run.State.RUNNING:
        run = steps.step(run, clock=timezone.now, seconds=0)


@pytest.mark.parametrize("verify", [verify_by_command, verify_in_steps])
def test_a_verify_that_finds_drift_logs_one_error(caplog: pytest.LogCaptureFixture, verify: Callable[[], None]) -> None:
    drift_by_hand()
    caplog.clear()
    verify()
    (record,) = [record for record in caplog.records if record.name.startswith("aggregates")]
    run = Run.objects.filter(totals="testapp.TicketTotals").get()
    assert (record.levelno, record.getMessage()) == (logging.ERROR, "totals_drifted")
    told = vars(record)
    assert (told["totals"], told["drifted"], told["buckets"]) == ("testapp.TicketTotals", 1, 1)
    assert told["run"] == str(run.pk)


@pytest.mark.parametrize("verify", [verify_by_command, verify_in_steps])
def test_a_verify_that_finds_none_logs_nothing(caplog: pytest.LogCaptureFixture, verify: Callable[[], None]) -> None:
    Ticket.objects.create(gate="a", price=1)
    verify()
    assert not [record for record in caplog.records if record.name.startswith("aggregates")]
