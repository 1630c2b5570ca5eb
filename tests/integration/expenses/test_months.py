"""Closed months: no write touches their expenses, old place or new, whichever way it comes in."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable
from contextlib import suppress
from decimal import Decimal
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.core.management import call_command
from django.db import connection, transaction
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from expenses import months
from expenses.models import Category, Expense, ExpenseWrite, Month
from expenses.months import MonthClosed
from tests.concurrency.threads import (
    Gate,
    sessions_that_wait_for_a_lock,
    somebody_waits_for_a_lock,
    stopping_before,
    together,
    wait_until,
)
from tests.exactness import assert_totals_match
from tests.integration.expenses.conftest import HEADER, run

# A refusal rolls back, also the transaction of a test.
pytestmark = pytest.mark.django_db(transaction=True)
JANUARY, FEBRUARY = dt.date(2026, 1, 1), dt.date(2026, 2, 1)


@pytest.fixture
def owner() -> User:
    return User.objects.create_user("olga")


@pytest.fixture
def spend(owner: User) -> Callable[..., Expense]:
    def store(amount: str = "10.00", **values: Any) -> Expense:
        return Expense.objects.create(**{**content(owner, amount), **values})

    return store


def content(owner: User, amount: str = "1.00") -> dict[str, Any]:
    return {"owner": owner, "amount": Decimal(amount), "currency": "EUR", "spent_on": dt.date(2026, 1, 31)}


def close(first_day: dt.date = JANUARY) -> None:
    months.close(first_day, None, timezone.now())


def everything() -> list[Any]:
    return [*Expense.objects.order_by("pk").values(), ExpenseWrite.objects.count()]


def refused(write: Callable[[], object], *first_days: dt.date) -> None:
    """Check that a write raises, naming the months, and changes nothing."""
    before = everything()
    with pytest.raises(MonthClosed) as error:
        write()
    assert error.value.months == [*first_days]
    assert everything() == before
    assert_totals_match()


def changed(expense: Expense, **values: Any) -> Expense:
    copy: Expense = Expense.objects.get(pk=expense.pk)
    for name, value in values.items():
        setattr(copy, name, value)
    return copy


def test_no_write_touches_a_closed_month(spend: Callable[..., Expense], owner: User, tmp_path: Any) -> None:
    travel = Category.objects.create(name="Travel")
    closed, open_ = spend(category=travel), spend(spent_on=dt.date(2026, 2, 1))
    draft = spend(status="draft")
    close()
    mine = Expense.objects.filter(owner=owner)
    path = tmp_path / "rows.json"
    with path.open("w") as file:
        call_command("dumpdata", "expenses.expense", stdout=file)
    writes: dict[str, Callable[[], object]] = {
        "insert": spend,
        "a draft": lambda: spend(status="draft"),
        "change": changed(closed, amount=Decimal(1)).save,
        "note": lambda: changed(closed, description="x").save(update_fields=["description"]),
        "nothing": changed(closed).save,
        "a draft's": changed(draft, description="x").save,
        "away": changed(closed, spent_on=FEBRUARY).save,
        "into": changed(open_, spent_on=JANUARY).save,
        "as text": changed(open_, spent_on="2026-01-05").save,
        "delete": changed(closed).delete,
        "bulk_create": lambda: Expense.objects.bulk_create([Expense(**content(owner))]),
        "ignoring": lambda: Expense.objects.bulk_create([Expense(**content(owner))], ignore_conflicts=True),
        "update": lambda: mine.update(description="x"),
        "move in": lambda: Expense.objects.filter(pk=open_.pk).update(spent_on=JANUARY),
        "move out": lambda: Expense.objects.filter(pk=closed.pk).update(spent_on=FEBRUARY),
        "bulk_update": lambda: Expense.objects.bulk_update([changed(closed, amount=Decimal(3))], ["amount"]),
        "delete all": mine.delete,
        "its category": travel.delete,
        "clear": travel.expenses.clear,
        "fixture": lambda: call_command("loaddata", str(path), verbosity=0),
    }
    for write in writes.values():
        refused(write, JANUARY)
    assert Category.objects.filter(pk=travel.pk).exists()


def test_all_closed_months_are_named(spend: Callable[..., Expense]) -> None:
    spend()
    spend(spent_on=FEBRUARY)
    spend(spent_on=dt.date(2026, 3, 1))
    close(FEBRUARY)
    close()
    refused(lambda: Expense.objects.update(description="x"), JANUARY, FEBRUARY)
    with pytest.raises(MonthClosed, match=r"2026-01 and 2026-02 are closed: .* until"):
        Expense.objects.update(description="x")


def test_the_edges_of_a_month(spend: Callable[..., Expense]) -> None:
    close()
    for day in (dt.date(2026, 1, 1), dt.date(2026, 1, 31)):
        refused(lambda day=day: spend(spent_on=day), JANUARY)  # type: ignore[misc]
    for day in (dt.date(2025, 12, 31), dt.date(2026, 2, 1)):
        spend(spent_on=day)


def test_a_refusal_that_is_caught_does_not_let_the_write_be_committed(spend: Callable[..., Expense]) -> None:
    close()
    with suppress(transaction.TransactionManagementError), transaction.atomic(), suppress(MonthClosed):
        spend()
    assert not Expense.objects.exists()
    assert_totals_match()


def test_a_month_is_opened_again(spend: Callable[..., Expense]) -> None:
    close()
    assert months.reopen(JANUARY)[1]
    spend()
    assert not months.reopen(JANUARY)[1]


def test_closing_again_keeps_who_closed_it_and_when(owner: User) -> None:
    first, _ = months.close(JANUARY, owner, timezone.now())
    again, new = months.close(JANUARY, None, timezone.now())
    assert (new, again.closed_at, again.closed_by) == (False, first.closed_at, owner)


def test_an_import_rejects_the_lines_of_a_closed_month_and_takes_the_others(tmp_path: Any) -> None:
    close()
    path = tmp_path / "rows.csv"
    path.write_text(f"{HEADER}\n1,anna,New,2026-01-15,1.00\n2,anna,Food,2026-02-15,2.00\n3,bob,New,2026-01-16,4.00\n")
    ended = run(path)
    assert ended.code == 1
    assert "2026-01 is closed" in ended.err
    assert [expense.amount for expense in Expense.objects.all()] == [2]
    # Nothing is created for lines that did not go in.
    assert [*Category.objects.values_list("name", flat=True)] == ["Food"]
    assert not User.objects.filter(username="bob").exists()
    assert run(path, "--strict").code == 1
    assert Expense.objects.count() == 1
    months.reopen(JANUARY)
    assert run(path).code == 0
    close()
    assert run(path).code == 0  # nothing to write
    assert_totals_match()


def test_a_closed_range(owner: User) -> None:
    for first_day in (JANUARY, FEBRUARY):
        close(first_day)
    day = dt.date
    for date_from, date_to, found in (
        (None, None, [JANUARY, FEBRUARY]),
        (day(2026, 1, 31), None, [JANUARY, FEBRUARY]),
        (day(2026, 2, 28), day(2026, 3, 1), [FEBRUARY]),
        (None, day(2026, 2, 1), [JANUARY]),
        (None, day(2026, 2, 2), [JANUARY, FEBRUARY]),
        (day(2026, 3, 1), None, []),
    ):
        assert months.closed(date_from, date_to) == found


@pytest.mark.row_locks
@pytest.mark.parametrize("known", [True, False])
def test_closing_waits_for_writers_and_later_writers_find_it_closed(spend: Callable[..., Expense], known: bool) -> None:
    """Whether or not the month has a row already."""
    if known:
        spend().delete()
    gate = Gate()
    outcome: dict[str, Any] = {}

    def write() -> None:
        with transaction.atomic():
            spend("1.00")
            gate.wait_here()
        outcome["first"] = timezone.now()

    def closing() -> None:
        gate.wait_until_reached()
        gate.open_when_somebody_waits_for_a_lock()
        outcome["closed"] = months.close(JANUARY, None, timezone.now())[1]
        try:
            spend("2.00")
        except MonthClosed:
            outcome["second"] = "refused"

    together(write, closing)
    assert (outcome["closed"], outcome["second"]) == (True, "refused")
    assert [expense.amount for expense in Expense.objects.all()] == [1]
    assert_totals_match()


@pytest.mark.row_locks
def test_a_writer_that_came_before_the_closing_was_committed_is_refused(spend: Callable[..., Expense]) -> None:
    Month.objects.create(first_day=JANUARY)
    gate = Gate()

    def closing() -> None:
        with stopping_before("UPDATE", gate):
            close()

    def write() -> None:
        gate.wait_until_reached()
        gate.open_when_somebody_waits_for_a_lock()
        with pytest.raises(MonthClosed):
            spend()

    together(closing, write)
    assert not Expense.objects.exists()


@pytest.mark.row_locks
def test_writers_of_one_month_do_not_wait_for_each_other(spend: Callable[..., Expense]) -> None:
    spend(spent_on=FEBRUARY)
    gate = Gate()

    def first() -> None:
        with transaction.atomic():
            spend(spent_on=FEBRUARY, currency="USD")
            gate.wait_here()

    def second() -> None:
        gate.wait_until_reached()
        spend(spent_on=FEBRUARY, currency="CHF")
        assert not sessions_that_wait_for_a_lock()
        gate.open()

    together(first, second)
    assert Expense.objects.count() == 3


@pytest.mark.row_locks
def test_a_writer_that_waits_for_a_row_keeps_writers_of_other_rows_waiting_for_nothing(
    spend: Callable[..., Expense],
) -> None:
    """Not even for a counter of the trail, which MariaDB gives to one statement that copies rows at a time."""
    busy, other = spend(), spend(currency="CHF")
    gate = Gate()

    def first() -> None:
        with transaction.atomic():
            Expense.objects.filter(pk=busy.pk).update(description="first")
            gate.wait_here()

    def second() -> None:
        gate.wait_until_reached()
        Expense.objects.filter(pk=busy.pk).update(description="second")

    def third() -> None:
        gate.wait_until_reached()
        try:
            wait_until(somebody_waits_for_a_lock, "the second writer waits")
            Expense.objects.filter(pk=other.pk).update(description="third")
        finally:
            gate.open()

    together(first, second, third)
    assert dict(Expense.objects.values_list("pk", "description")) == {busy.pk: "second", other.pk: "third"}


def test_a_write_asks_for_its_months_once(spend: Callable[..., Expense], owner: User) -> None:
    spend()
    rows = [Expense(**{**content(owner), "spent_on": dt.date(2026, 1 + i % 12, 1)}) for i in range(48)]
    Expense.objects.bulk_create(rows)
    with CaptureQueriesContext(connection) as queries:
        Expense.objects.update(description="x")
    asked = [query["sql"] for query in queries if "expenses_month" in query["sql"].split("FROM", 1)[-1]]
    assert len(asked) == 1
