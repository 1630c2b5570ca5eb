"""The questions that totals answer, before any database is asked."""

from __future__ import annotations

import datetime as dt
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aggregates import registry
from aggregates.exceptions import TotalsNotReady
from aggregates.reads import Ready
from expenses.models import ExpenseTotals
from expenses.reports import Question, Selection, average, behind, following, parts

DAYS, MONTHS, OVERVIEW = registry.definition(ExpenseTotals).rollups
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


def ready(*without: str) -> Ready:
    """Return the service's rollups as ready, but for some."""
    sizes = zip((DAYS, MONTHS, OVERVIEW), (900, 90, 9), strict=True)
    return Ready("", {rollup: size for rollup, size in sizes if rollup.name not in without})


def ranged(low: str | None, high: str | None, group_by: str = "month", owner: int | None = None) -> Question:
    return Question(
        owners=None if owner is None else frozenset({owner}),
        date_from=dt.date.fromisoformat(low) if low else None,
        date_to=dt.date.fromisoformat(high) if high else None,
        group_by=tuple(filter(None, group_by.split(","))),
    )


def shown(question: Question, *without: str) -> list[str]:
    """Return each chosen part as text, such as ``month 2026-01-01 …`` or ``day … 2026-01-01``."""
    chosen = parts(question, ready(*without))
    return [" ".join([p.rollup.name, *(str(e or "…") for e in (p.low, p.high) if p.dimension)]) for p in chosen]


@pytest.mark.parametrize(
    ("question", "expected"),
    [
        (Question(), ["overview"]),
        (Question(group_by=("category", "status")), ["overview"]),
        (Question(owners=frozenset({1})), ["month"]),
        (Question(group_by=("owner",)), ["month"]),
        (Question(group_by=("year",)), ["overview … …"]),
        (Question(group_by=("quarter", "owner")), ["month … …"]),
        (Question(group_by=("day", "year")), ["day … …"]),
    ],
)
def test_without_a_range_the_smallest_rollup_that_has_the_keys_answers(question: Question, expected: list[str]) -> None:
    assert shown(question) == expected


@pytest.mark.parametrize("group_by", ["", "month", "quarter", "year", "category,year"])
@pytest.mark.parametrize(("owner", "coarse"), [(None, "overview"), (1, "month")])
@pytest.mark.parametrize(
    ("low", "high", "expected"),
    [
        # whole months
        ("2026-01-01", None, ["months 2026-01-01 …"]),
        (None, "2026-01-01", ["months … 2026-01-01"]),
        ("2026-01-01", "2026-02-01", ["months 2026-01-01 2026-02-01"]),
        ("2025-12-01", "2026-02-01", ["months 2025-12-01 2026-02-01"]),
        ("2025-01-01", "2026-01-01", ["months 2025-01-01 2026-01-01"]),
        # an edge within a month
        ("2026-01-02", None, ["months 2026-02-01 …", "day 2026-01-02 2026-02-01"]),
        ("2025-12-31", None, ["months 2026-01-01 …", "day 2025-12-31 2026-01-01"]),
        (None, "2026-01-02", ["months … 2026-01-01", "day 2026-01-01 2026-01-02"]),
        (None, "2024-02-29", ["months … 2024-02-01", "day 2024-02-01 2024-02-29"]),
        ("2026-01-01", "2026-02-02", ["months 2026-01-01 2026-02-01", "day 2026-02-01 2026-02-02"]),
        ("2025-12-31", "2026-02-01", ["months 2026-01-01 2026-02-01", "day 2025-12-31 2026-01-01"]),
        # both edges, years apart
        (
            "2023-11-15",
            "2026-02-15",
            ["months 2023-12-01 2026-02-01", "day 2023-11-15 2023-12-01", "day 2026-02-01 2026-02-15"],
        ),
        # no whole month
        ("2026-01-01", "2026-01-31", ["day 2026-01-01 2026-01-31"]),
        ("2026-01-02", "2026-02-01", ["day 2026-01-02 2026-02-01"]),
        ("2026-01-15", "2026-01-16", ["day 2026-01-15 2026-01-16"]),
        ("2025-12-31", "2026-01-02", ["day 2025-12-31 2026-01-02"]),
        ("2026-01-02", "2026-02-28", ["day 2026-01-02 2026-02-28"]),
        # the first and the last day there can be
        ("1900-01-01", "2100-01-01", ["months 1900-01-01 2100-01-01"]),
        ("2099-12-31", None, ["months 2100-01-01 …", "day 2099-12-31 2100-01-01"]),
    ],
)
def test_whole_months_come_from_months_and_the_rest_of_a_range_from_days(
    low: str | None, high: str | None, group_by: str, owner: int | None, coarse: str, expected: list[str]
) -> None:
    assert shown(ranged(low, high, group_by, owner)) == [part.replace("months", coarse) for part in expected]


@pytest.mark.parametrize(
    ("question", "without", "expected"),
    [
        (Question(), {"overview"}, ["month"]),
        (Question(), {"overview", "month"}, ["day"]),
        (ranged("2026-01-01", None), {"overview"}, ["month 2026-01-01 …"]),
        (ranged("2026-01-01", None), {"overview", "month"}, ["day 2026-01-01 …"]),
        (ranged("2026-01-02", None, owner=1), {"month"}, ["day 2026-01-02 …"]),
        (ranged(None, None, "quarter"), {"overview", "month"}, ["day … …"]),
        (ranged("2026-01-02", "2026-01-05"), {"overview", "month"}, ["day 2026-01-02 2026-01-05"]),
        (ranged("2026-01-01", "2026-03-01"), {"day"}, ["overview 2026-01-01 2026-03-01"]),
    ],
)
def test_what_is_not_ready_is_replaced_by_the_next_smallest(
    question: Question, without: set[str], expected: list[str]
) -> None:
    assert shown(question, *without) == expected


@pytest.mark.parametrize(
    ("question", "without"),
    [
        (Question(), {"overview", "month", "day"}),
        (ranged("2026-01-01", None), {"overview", "month", "day"}),
        (ranged("2026-01-01", None, "day"), {"day"}),
        (ranged("2026-01-02", "2026-01-05"), {"day"}),
        (ranged("2026-01-02", "2026-03-01"), {"day"}),
        (ranged("2026-01-01", "2026-03-01", owner=1), {"month", "day"}),
    ],
)
def test_where_a_part_cannot_be_answered_nothing_is(question: Question, without: set[str]) -> None:
    with pytest.raises(TotalsNotReady, match="rebuild_totals"):
        parts(question, ready(*without))


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
