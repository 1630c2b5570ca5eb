"""The questions that totals answer, before any database is asked."""

from __future__ import annotations

import datetime as dt
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from expenses.reports import Question, Selection, average, behind, dimensions, following

JANUARY, FEBRUARY = dt.date(2026, 1, 1), dt.date(2026, 2, 1)


@given(units=st.integers(-(10**18), 10**18), count=st.integers(1, 10**9))
def test_an_average_is_the_nearest_of_its_currency_and_even_where_two_are(units: int, count: int) -> None:
    total = Decimal(units).scaleb(-2)
    cents = int(average(total, count, "EUR").scaleb(2))
    twice = abs(2 * (units - cents * count))
    assert twice < count or (twice == count and cents % 2 == 0)


@pytest.mark.parametrize(
    ("period", "first", "next_first"),
    [
        ("day", dt.date(2024, 2, 28), dt.date(2024, 2, 29)),
        ("month", dt.date(2025, 12, 1), dt.date(2026, 1, 1)),
        ("quarter", dt.date(2025, 10, 1), dt.date(2026, 1, 1)),
        ("year", dt.date(2099, 1, 1), dt.date(2100, 1, 1)),
    ],
)
def test_a_period_ends_where_the_next_begins(period: str, first: dt.date, next_first: dt.date) -> None:
    assert following(period, first) == next_first


@pytest.mark.parametrize(
    ("question", "choices"),
    [
        (Question(), [{"currency"}]),
        (Question(group_by=("category",)), [{"currency", "category"}]),
        (Question(owners=frozenset({1})), [{"currency", "owner"}]),
        (Question(group_by=("year",)), [{"currency", "month"}, {"currency", "day"}]),
        (Question(date_from=JANUARY), [{"currency", "month"}, {"currency", "day"}]),
        (Question(date_from=JANUARY, date_to=dt.date(2026, 1, 2)), [{"currency", "day"}]),
        (Question(group_by=("day", "month")), [{"currency", "day"}]),
    ],
)
def test_days_are_wanted_only_where_months_do_not_do(question: Question, choices: list[set[str]]) -> None:
    assert dimensions(question) == choices


def test_the_expenses_behind_a_row_lie_in_its_period_and_in_the_range() -> None:
    question = Question(group_by=("quarter",), date_from=FEBRUARY, date_to=dt.date(2026, 8, 15))
    first = behind(question, {"quarter": JANUARY, "currency": "EUR"})
    last = behind(question, {"quarter": dt.date(2026, 7, 1), "currency": "EUR"})
    assert (first.date_from, first.date_to) == (FEBRUARY, dt.date(2026, 4, 1))
    assert (last.date_from, last.date_to) == (dt.date(2026, 7, 1), dt.date(2026, 8, 15))


def test_no_draft_is_behind_a_row() -> None:
    row = {"currency": "EUR"}
    assert behind(Question(), row).statuses == {"submitted", "approved", "rejected", "reimbursed"}
    assert behind(Question(statuses=frozenset({"draft", "approved"})), row).statuses == {"approved"}


@pytest.mark.parametrize("group_by", [("week",), ("month", "month")])
def test_a_question_groups_by_known_keys_once_each(group_by: tuple[str, ...]) -> None:
    with pytest.raises(ValueError, match="group_by"):
        Question(group_by=group_by)


def test_a_range_must_not_be_empty() -> None:
    with pytest.raises(ValueError, match="empty"):
        Selection(date_from=FEBRUARY, date_to=FEBRUARY)
