"""Conflicts, stalls, bounds and receivers that raise: tried again as a whole, or refused as a whole."""

from __future__ import annotations

import datetime as dt
import os
import random
import time
from collections.abc import Iterator
from contextlib import contextmanager
from threading import Event
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from django.db import IntegrityError, connection, connections, models, transaction
from django.db.models.signals import ModelSignal, post_delete, post_save, pre_delete, pre_save
from django.utils import timezone

from aggregates import registry, transactions
from aggregates.exceptions import ConcurrentInsert
from aggregates.fields import MAX_VALUE
from aggregates.models import Run
from aggregates.rebuild import Options, rebuild
from aggregates.signals import transaction_retried
from expenses.models import Expense, ExpenseTotals
from tests.concurrency.threads import somebody_waits_for_a_lock, together, wait_until
from tests.exactness import assert_totals_match
from tests.faults.books import NEW, REQUESTS, Books, Call, cases, key, seen
from tests.integration.aggregates.conftest import Receive
from tests.integration.aggregates.conftest import receive as receive  # noqa: PLC0414 - a fixture
from tests.integration.api.conftest import EXPENSES, assert_problem
from tests.processes import called, running
from tests.testapp.models import WAREHOUSE_TIME, Movement, MovementTotals

pytestmark = [
    pytest.mark.django_db(transaction=True),
    pytest.mark.skipif(connection.vendor == "mysql", reason="shown on PostgreSQL and SQLite"),
]


@pytest.fixture
def books(transactional_db: None) -> Books:
    books = Books()
    books.begin()
    return books


@contextmanager
def another_session() -> Iterator[Any]:
    """Yield a function that runs a statement in a transaction of another session; its locks go at the end."""
    other = connections.create_connection("default")
    try:
        other.set_autocommit(False)
        with other.cursor() as cursor:
            yield cursor.execute
    finally:
        other.close()


@pytest.fixture
def retried() -> Iterator[list[BaseException]]:
    """Return the errors after which a transaction was tried again."""
    errors: list[BaseException] = []

    def note(error: BaseException, **_signal: Any) -> None:
        errors.append(error)

    transaction_retried.connect(note)
    yield errors
    transaction_retried.disconnect(note)


def states(errors: list[BaseException]) -> list[str]:
    return [str(getattr(error.__cause__, "sqlstate", None)) for error in errors]


# Deadlock, serialization failure


@pytest.mark.row_locks
def test_a_request_that_is_the_victim_of_a_deadlock_is_tried_again(books: Books, retried: list[BaseException]) -> None:
    path, responses = f"{EXPENSES}{key(1)}/", []

    def request() -> None:
        responses.append(books.client.patch(path, {"amount": "7.00"}))

    def opposite() -> None:
        with another_session() as execute:
            execute("SET deadlock_timeout = '1min'")  # so that the request finds it out first
            execute("SELECT 1 FROM expenses_expensetotals FOR UPDATE")
            locked.set()
            wait_until(somebody_waits_for_a_lock, "the request has its expense, and waits for a total")
            execute("SELECT 1 FROM expenses_expense FOR UPDATE")

    locked = Event()

    def after() -> None:
        assert locked.wait(30)
        request()

    together(opposite, after)
    assert [response.status_code for response in responses] == [200]
    assert states(retried) == ["40P01"]
    assert Expense.objects.get(pk=key(1)).amount == 7
    assert_totals_match()


@pytest.mark.row_locks
def test_a_serialization_failure_in_a_savepoint_is_tried_again_from_the_start(
    books: Books, retried: list[BaseException]
) -> None:
    runs: list[int] = []

    def operation() -> None:
        runs.append(len(runs))
        with connection.cursor() as cursor:
            cursor.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ")
        books.expense(9).save()  # the transaction sees the database as it is now
        if len(runs) == 1:
            together(lambda: Expense.objects.filter(pk=key(1)).update(amount=5))
        with transaction.atomic():
            Expense.objects.filter(pk=key(1)).update(category=2)

    transactions.run(operation)
    assert (len(runs), states(retried)) == (2, ["40001"])
    assert Expense.objects.filter(pk=key(9)).count() == 1
    assert Expense.objects.values_list("amount", "category").get(pk=key(1)) == (5, 2)
    assert_totals_match()


def test_pauses_between_tries_are_drawn_at_random_and_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    pauses: list[float] = []
    monkeypatch.setattr(time, "sleep", pauses.append)

    def never() -> None:
        raise ConcurrentInsert

    with pytest.raises(ConcurrentInsert):
        transactions.run(never)
    assert len(pauses) == 8
    assert all(
        0 <= pause <= min(transactions.LONGEST_PAUSE, transactions.FIRST_PAUSE * 2**n) for n, pause in enumerate(pauses)
    )
    assert len(set(pauses)) == len(pauses)


# Lock stall


@pytest.mark.row_locks
@pytest.mark.parametrize("write", cases(REQUESTS))
def test_a_request_that_meets_a_lock_for_too_long_is_tried_a_bounded_number_of_times_and_503(
    books: Books, write: Call, settings: Any, retried: list[BaseException]
) -> None:
    settings.AGGREGATES = {"RETRIES": 2}
    before = seen()
    with connection.cursor() as cursor:
        cursor.execute("SET lock_timeout = '20ms'")
    try:
        with another_session() as execute:
            execute("SELECT 1 FROM expenses_expensetotals FOR UPDATE")
            response = write.act(books)
            assert_problem(response, 503, "unavailable")
            assert int(response["Retry-After"]) > 0
        assert states(retried) == ["55P03"] * 2
        assert seen() == before
        assert_totals_match()
        assert write.act(books).status_code < 300
    finally:
        connection.close()
    assert_totals_match()


# Rebuild killed, or started twice


@pytest.mark.long
@pytest.mark.in_full  # tests/concurrency has one of each
def test_of_two_rebuilds_at_once_one_is_killed_at_random_and_the_next_leaves_no_drift(books: Books, seed: int) -> None:
    Expense.objects.bulk_create(
        books.expense(n, spent_on=dt.date(2026, n % 12 + 1, n % 28 + 1), currency=("EUR", "JPY")[n % 2])
        for n in range(10, 310)
    )
    models.QuerySet(ExpenseTotals)._raw_delete("default")
    chunks = random.Random(seed).randrange(1, 40)
    arguments = ("manage.py", "rebuild_totals", "--batch-size", "1")
    with running(*arguments) as first, running(*arguments) as second:
        wait_until(
            lambda: Run.objects.filter(chunks_done__gte=chunks).exists() or first.poll() is not None,
            f"{chunks} chunks are done",
        )
        first.kill()
        first.wait()
        second.communicate()
    assert called("rebuild_totals")[1] == 0
    assert_totals_match()


# A total near its bound

TOO_MUCH = [
    *(call for call in REQUESTS if call.name not in {"PATCH", "DELETE", "merge", "DELETE_category", "import"}),
    Call("PATCH", lambda b: b.client.patch(f"{EXPENSES}{key(1)}/", {"category": None})),
]


@pytest.mark.parametrize("write", cases(TOO_MUCH))
def test_a_request_that_takes_a_total_out_of_its_range_is_409_and_leaves_nothing(books: Books, write: Call) -> None:
    # 1 and 4 are in the bucket already: with this the total is what a column can hold, to the last digit.
    books.expense(7, amount=MAX_VALUE - 5).save()
    before = seen()
    assert_problem(write.act(books), 409, "total-out-of-range")
    assert seen() == before
    assert_totals_match()
    Expense.objects.filter(pk=key(7)).delete()
    assert write.act(books).status_code < 300
    assert_totals_match()


# Receivers that raise


class Refusal(Exception):
    """Raised by a receiver of the host."""


WRITES = {
    "POST": (201, lambda b: b.client.post(EXPENSES, NEW)),
    "PUT": (200, lambda b: b.client.put(f"{EXPENSES}{key(1)}/", NEW)),
    "PATCH": (200, lambda b: b.client.patch(f"{EXPENSES}{key(1)}/", {"amount": "7.00"})),
    "DELETE": (204, lambda b: b.client.delete(f"{EXPENSES}{key(1)}/")),
}
RAISED = [
    pytest.param((Refusal("secret"), 500, "internal-error"), id="its_own_error"),
    pytest.param((IntegrityError("secret"), 409, "conflict"), id="an_error_of_the_database", marks=pytest.mark.in_full),
]
SIGNALS: list[tuple[ModelSignal, str]] = [(s, m) for s in (pre_save, post_save) for m in ("POST", "PUT", "PATCH")]
SIGNALS += [(s, "DELETE") for s in (pre_delete, post_delete)]


@pytest.mark.parametrize("raised", RAISED)
@pytest.mark.parametrize(("signal", "method"), SIGNALS)
def test_a_request_whose_receiver_raises_is_a_problem_and_leaves_nothing(
    books: Books, receive: Receive, signal: ModelSignal, method: str, raised: tuple[Exception, int, str]
) -> None:
    error, status, slug = raised
    before = seen()
    failures = [error, error]  # an IntegrityError is tried again once

    def fail(_instance: Any) -> None:
        raise failures.pop()

    receive(signal, Expense, fail)
    if status == 409:
        receive(signal, Expense, fail)
    expected, write = WRITES[method]
    response = write(books)
    assert "secret" not in str(assert_problem(response, status, slug))
    assert seen() == before
    assert_totals_match()
    assert write(books).status_code == expected
    assert_totals_match()


# Clock and time zone

ZONES = ["Pacific/Kiritimati", "Etc/GMT+12", "America/St_Johns"]
EDGES = [
    dt.datetime(*edge, tzinfo=zone) + dt.timedelta(microseconds=offset)
    for edge in [(2026, 1, 1), (2026, 2, 1), (2024, 2, 29), (2024, 3, 1), (2026, 3, 8, 2, 30)]
    for zone in [WAREHOUSE_TIME, *map(ZoneInfo, ZONES[:2])]
    for offset in (-1, 0)
]


@contextmanager
def living_in(zone: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Move this process to another time zone; its sessions of the database are kept in UTC by Django."""
    with monkeypatch.context() as patch, timezone.override(zone):
        patch.setitem(os.environ, "TZ", zone)
        time.tzset()
        connection.close()
        yield
    time.tzset()
    connection.close()


def buckets() -> list[Any]:
    """Return every stored total that is not zero."""
    expenses = ExpenseTotals.objects.exclude(count=0).values_list("rollup", "owner", "category", "day", "month")
    movements = MovementTotals.objects.exclude(count=0).values_list("rollup", "day", "instant", "quantity", "count")
    return sorted(map(repr, [*expenses, *movements]))


def written_at_the_edges(books: Books) -> None:
    Movement.objects.bulk_create(books.movement(10 + n, moved_at=edge) for n, edge in enumerate(EDGES))
    days = {edge.date() for edge in EDGES}
    Expense.objects.bulk_create(books.expense(10 + n, spent_on=day) for n, day in enumerate(sorted(days)))


@pytest.mark.parametrize("zone", ZONES)
def test_edges_of_months_fall_into_the_same_buckets_in_every_time_zone(
    books: Books, zone: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    written_at_the_edges(books)
    expected = buckets()
    assert called("verify_totals")[1] == 0
    with living_in(zone, monkeypatch):
        assert_totals_match()
        Movement.objects.filter(quantity__gt=10).delete()
        Expense.objects.filter(pk__gte=key(10)).delete()
        written_at_the_edges(books)
        assert buckets() == expected
        assert_totals_match()
    assert buckets() == expected
    assert_totals_match()


@pytest.mark.parametrize("step", [-dt.timedelta(days=400), dt.timedelta(days=400)], ids=["back", "ahead"])
def test_a_rebuild_whose_clock_jumps_leaves_no_drift(books: Books, step: dt.timedelta) -> None:
    models.QuerySet(ExpenseTotals)._raw_delete("default")
    now = timezone.now()

    def clock() -> dt.datetime:
        nonlocal now
        now += step
        return now

    definition = registry.definition(ExpenseTotals)
    for _step in rebuild(definition, Options(batch_size=1), using="default", clock=clock):
        pass
    assert_totals_match()
