"""Sums to the last digit: many small amounts, amounts at the bounds, currencies of 0 to 4 decimals."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable
from decimal import Decimal
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.db import DataError, connection, transaction
from django.db.models import Sum

from aggregates.exceptions import TotalOutOfRange
from aggregates.fields import MAX_VALUE, MIN_VALUE
from expenses.models import Expense, ExpenseTotals
from tests.exactness import assert_totals_match

pytestmark = pytest.mark.django_db

DAY = dt.date(2026, 2, 28)


def expense(owner: User, amount: Any, currency: str = "EUR", **given: Any) -> Expense:
    return replaced(Expense(owner=owner, amount=amount, currency=currency, spent_on=DAY), **given)


def total(currency: str = "EUR") -> Decimal:
    return ExpenseTotals.objects.filter(rollup="day", currency=currency).aggregate(Sum("amount"))["amount__sum"]


@pytest.fixture
def owner() -> User:
    return User.objects.create(username="owner")


def test_many_small_amounts_add_up_to_the_last_digit(owner: User) -> None:
    row = Expense.objects.bulk_create([expense(owner, Decimal("0.1")) for _ in range(10_000)])
    assert total() == Decimal(1000)
    assert Expense.objects.aggregate(Sum("amount"))["amount__sum"] == Decimal(1000)
    for one in row[:50]:
        one.amount = Decimal("0.0001")
        one.save()
    assert total() == Decimal(1000) - 50 * Decimal("0.0999")
    assert_totals_match()


@pytest.mark.parametrize(
    ("currency", "amount"),
    [("JPY", "1"), ("EUR", "0.01"), ("KWD", "0.001"), ("CLF", "0.0001"), ("EUR", "99999999999.99")],
)
def test_each_currency_keeps_its_smallest_and_its_large_amounts(owner: User, currency: str, amount: str) -> None:
    Expense.objects.bulk_create([expense(owner, Decimal(amount), currency) for _ in range(7)])
    expense(owner, -Decimal(amount), currency).save()
    assert total(currency) == 6 * Decimal(amount)
    assert_totals_match()


BEYOND = 2**63
BEYOND_ITS_COLUMN: dict[str, Callable[[Expense], Any]] = {
    "insert": lambda row: expense(row.owner, Decimal(1), owner_id=BEYOND).save(),
    "save": lambda row: replaced(row, owner_id=BEYOND).save(),
    "update": lambda _row: Expense.objects.update(owner_id=BEYOND),
    "bulk_create": lambda row: Expense.objects.bulk_create(
        [expense(row.owner, 1), expense(row.owner, 1, owner_id=BEYOND)]
    ),
}


def replaced(row: Expense, **values: Any) -> Expense:
    for name, value in values.items():
        setattr(row, name, value)
    return row


@pytest.mark.skipif(connection.vendor != "postgresql", reason="others refuse the key that is not there")
@pytest.mark.parametrize("write", BEYOND_ITS_COLUMN.values(), ids=BEYOND_ITS_COLUMN)
def test_a_value_out_of_the_range_of_its_own_column_is_no_fault_of_a_total(
    owner: User, write: Callable[[Expense], Any]
) -> None:
    row = expense(owner, Decimal(1))
    row.save()
    with pytest.raises(DataError), transaction.atomic():
        write(row)
    assert_totals_match()


def test_currencies_are_never_added_together(owner: User) -> None:
    for currency in ("EUR", "JPY", "KWD"):
        expense(owner, Decimal(5), currency).save()
    assert [total(currency) for currency in ("EUR", "JPY", "KWD")] == [Decimal(5)] * 3


@pytest.mark.parametrize("bound", [MAX_VALUE, MIN_VALUE])
def test_a_total_at_its_bound_is_exact_and_refuses_what_would_pass_it(owner: User, bound: Decimal) -> None:
    expense(owner, bound).save()
    assert total() == bound
    step = Decimal("0.0002") if bound > 0 else Decimal("-0.0002")  # two: a BIGINT reaches one further down than up
    with pytest.raises(TotalOutOfRange, match="ExpenseTotals"), transaction.atomic():
        expense(owner, step).save()
    with pytest.raises(TotalOutOfRange), transaction.atomic():
        Expense.objects.bulk_create([expense(owner, step), expense(owner, step)])
    assert (total(), Expense.objects.count()) == (bound, 1)
    expense(owner, -bound).save()
    assert total() == 0
    assert_totals_match()


@pytest.mark.parametrize("amount", ["0.00001", MAX_VALUE + 1, "NaN", "Infinity", "1e400", "ten", True])
def test_an_amount_that_cannot_be_stored_exactly_is_refused_by_name(owner: User, amount: Any) -> None:
    with pytest.raises(ValueError, match="amount: "), transaction.atomic():
        expense(owner, amount).save()
    assert not Expense.objects.exists()
    assert_totals_match()
