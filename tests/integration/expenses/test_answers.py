"""Any question, answered from totals, against the expenses added up in Python."""

from __future__ import annotations

import datetime as dt
import random
from collections import defaultdict
from decimal import Decimal
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.db import transaction
from hypothesis import given, settings
from hypothesis import strategies as st

from aggregates import registry
from aggregates.exceptions import TotalsNotReady
from aggregates.models import RollupState
from expenses.models import FIRST_DAY, LAST_DAY, Category, Expense, ExpenseTotals, Status
from expenses.reports import KEYS, PERIODS, Question, answer

EXPENSES = 400
DAY = dt.timedelta(days=1)
# Where months, years and the calendar itself begin and end, leap days among them.
DAYS = [
    FIRST_DAY, dt.date(1900, 2, 28), dt.date(1900, 3, 1), dt.date(1999, 12, 31), dt.date(2000, 2, 29),
    dt.date(2023, 12, 31), dt.date(2024, 1, 1), dt.date(2024, 1, 31), dt.date(2024, 2, 1), dt.date(2024, 2, 28),
    dt.date(2024, 2, 29), dt.date(2024, 3, 1), dt.date(2024, 3, 31), dt.date(2024, 4, 1), dt.date(2024, 6, 30),
    dt.date(2024, 7, 15), dt.date(2024, 12, 31), dt.date(2025, 1, 1), dt.date(2025, 2, 28), LAST_DAY,
]  # fmt: skip
EDGES = [None, *sorted({edge for day in DAYS for edge in (day, day + DAY)})]
CURRENCIES = ["EUR", "JPY", "KWD"]


@pytest.fixture
def owners(db: None) -> list[User]:
    return [User.objects.create_user(name) for name in ("ada", "ben")]


@pytest.fixture
def categories(db: None) -> list[Category]:
    return [Category.objects.create(name=name) for name in ("Travel", "Food")]


@pytest.fixture
def expenses(owners: list[User], categories: list[Category]) -> list[Expense]:
    """Store expenses of every kind, none of them alike anywhere else, and return them."""
    rng = random.Random()
    Expense.objects.bulk_create(
        Expense(
            owner=rng.choice(owners),
            category=rng.choice([*categories, None]),
            amount=Decimal(rng.randint(-(10**9), 10**9)).scaleb(-4),
            currency=rng.choice(CURRENCIES),
            spent_on=rng.choice(DAYS),
            status=rng.choice(Status.values),
        )
        for _ in range(EXPENSES)
    )
    return list(Expense.objects.all())


def some(values: list[Any]) -> st.SearchStrategy[frozenset[Any] | None]:
    return st.none() | st.frozensets(st.sampled_from(values), min_size=1)


def questions(owners: list[User], categories: list[Category]) -> st.SearchStrategy[Question]:
    ranges = st.tuples(*[st.sampled_from(EDGES) | st.dates(dt.date(2023, 11, 1), dt.date(2025, 4, 1))] * 2)
    return st.builds(
        lambda low_high, **rest: Question(date_from=low_high[0], date_to=low_high[1], **rest),
        ranges.filter(lambda edges: None in edges or edges[0] < edges[1]),
        owners=some([owner.pk for owner in owners]),
        categories=some([*(category.pk for category in categories), None]),
        currencies=some(CURRENCIES),
        statuses=some(Status.values),
        group_by=st.lists(st.sampled_from(KEYS), unique=True).map(tuple),
    )


def first_day(period: str, day: dt.date) -> dt.date:
    month = {"day": day.month, "month": day.month, "quarter": (day.month - 1) // 3 * 3 + 1, "year": 1}[period]
    return dt.date(day.year, month, day.day if period == "day" else 1)


def key(expense: Expense, column: str) -> Any:
    if column in PERIODS:
        return first_day(column, expense.spent_on)
    return getattr(expense, {"owner": "owner_id", "category": "category_id"}.get(column, column))


def is_meant(expense: Expense, question: Question) -> bool:
    allowed = {
        "owner": question.owners,
        "category": question.categories,
        "currency": question.currencies,
        "status": question.statuses,
    }
    return (
        expense.status != Status.DRAFT
        and all(values is None or key(expense, column) in values for column, values in allowed.items())
        and (question.date_from or FIRST_DAY) <= expense.spent_on < (question.date_to or LAST_DAY + DAY)
    )


def added_up(expenses: list[Expense], question: Question) -> dict[tuple[Any, ...], tuple[Decimal, int]]:
    found: dict[tuple[Any, ...], tuple[Decimal, int]] = defaultdict(lambda: (Decimal(0), 0))
    for expense in expenses:
        if is_meant(expense, question):
            bucket = tuple(key(expense, column) for column in question.keys)
            total, count = found[bucket]
            found[bucket] = total + expense.amount, count + 1
    return dict(found)


def answered(question: Question) -> dict[tuple[Any, ...], tuple[Decimal, int]]:
    rows = list(answer(question).stream())
    found = {tuple(row[column] for column in question.keys): (row["sum"], row["count"]) for row in rows}
    assert len(found) == len(rows)
    return found


@pytest.mark.long
def test_any_question_is_answered_as_the_expenses_add_up(
    owners: list[User], categories: list[Category], expenses: list[Expense]
) -> None:
    @settings(max_examples=200)
    @given(questions(owners, categories))
    def check(question: Question) -> None:
        assert answered(question) == added_up(expenses, question)

    check()


@pytest.mark.long
def test_whichever_rollups_are_ready_and_however_large_an_answer_is_exact_or_refused(
    owners: list[User], categories: list[Category], expenses: list[Expense]
) -> None:
    names = [rollup.name for rollup in registry.definition(ExpenseTotals).rollups]
    sizes = st.dictionaries(st.sampled_from(names), st.integers(0, 3))

    @settings(max_examples=200)
    @given(questions(owners, categories), sizes)
    def check(question: Question, sizes: dict[str, int]) -> None:
        with transaction.atomic():
            states = RollupState.objects.filter(totals="expenses.ExpenseTotals")
            states.exclude(rollup__in=sizes).delete()
            for rollup, buckets in sizes.items():
                states.filter(rollup=rollup).update(buckets=buckets)
            try:
                assert answered(question) == added_up(expenses, question)
            except TotalsNotReady:
                assert "day" not in sizes  # which can answer anything
            transaction.set_rollback(True)

    check()
