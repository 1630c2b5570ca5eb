"""Whatever a fault could do to the expenses of these tests or to their totals, the judgement finds it."""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal

import pytest
from django.contrib.auth.models import User
from django.db import connection

from expenses.models import Expense
from tests.faults.crew import assert_kept
from tests.faults.journal import Journal, Values, Write
from tests.grouped import assert_grouped

pytestmark = pytest.mark.django_db(transaction=True)

KEPT: dict[str, Values] = {
    "first": ("1.50", "2026-01-31", "submitted", None),
    "second": ("-2.25", "2026-02-01", "approved", None),
}
REFUSED, HALF, OTHER_HALF = "refused", "half", "other half"
SOME = ("3.00", "2026-02-01", "submitted", None)


def stored(label: str, values: Values = SOME) -> None:
    amount, day, status, category = values
    owner, _made = User.objects.get_or_create(username="olga")
    Expense.objects.create(
        owner=owner, description=label, amount=Decimal(amount), currency="EUR", spent_on=day, status=status,
        category_id=category,
    )  # fmt: skip


@pytest.fixture
def journal() -> Journal:
    journal = Journal()
    for label, values in KEPT.items():
        stored(label, values)
        journal.acknowledged(Write({}, {label: values}))
    journal.refused(Write({}, {REFUSED: SOME}))
    journal.left_in_doubt(Write({}, {HALF: SOME, OTHER_HALF: SOME}))
    return journal


def run(statement: str) -> None:
    with connection.cursor() as cursor:
        cursor.execute(statement)


@pytest.mark.parametrize("made", [(), (HALF, OTHER_HALF)], ids=["absent", "whole"])
def test_what_was_kept_passes_and_so_does_what_is_in_doubt(journal: Journal, made: tuple[str, ...]) -> None:
    for label in made:
        stored(label)
    assert_kept(journal)


@pytest.mark.parametrize(
    "fault",
    [
        pytest.param(lambda: Expense.objects.get(description="first").delete(), id="one is lost"),
        pytest.param(lambda: stored("first", KEPT["first"]), id="one is there twice"),
        pytest.param(lambda: Expense.objects.filter(description="first").update(amount=9), id="one is another"),
        pytest.param(lambda: stored(REFUSED), id="a refused one is there"),
        pytest.param(lambda: stored(HALF), id="half of a write is there"),
        pytest.param(lambda: stored("nobody's"), id="one is there that nobody wrote"),
    ],
)
def test_an_expense_that_should_not_be_as_it_is_is_found(journal: Journal, fault: Callable[[], None]) -> None:
    fault()
    with pytest.raises(AssertionError):
        journal.assert_kept()


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE expenses_expensetotals SET amount = amount + 1 WHERE rollup = 'day'",
        "UPDATE expenses_expensetotals SET count = count + 1 WHERE rollup = 'month'",
        "DELETE FROM expenses_expensetotals WHERE rollup = 'overview'",
        "UPDATE expenses_expense SET status = 'draft'",
    ],
)
def test_a_total_that_is_not_the_sum_of_its_expenses_is_found(journal: Journal, statement: str) -> None:
    assert_grouped()
    run(statement)
    with pytest.raises(AssertionError):
        assert_grouped()
