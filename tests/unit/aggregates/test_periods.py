"""Where periods begin."""

from __future__ import annotations

import datetime as dt

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aggregates import periods

DAYS = st.dates(dt.date(1, 1, 1), dt.date(9998, 12, 31))


@given(DAYS, st.sampled_from(periods.KINDS))
def test_a_day_lies_in_the_period_that_begins_on_it_or_before_it(day: dt.date, kind: str) -> None:
    begins = periods.floor(day, kind)
    following = periods.following(begins, kind)
    assert following is not None
    assert begins <= day < following
    assert periods.floor(begins, kind) == begins
    assert periods.floor(following, kind) == following
    assert periods.floor(following - dt.timedelta(days=1), kind) == begins


@given(DAYS, st.sampled_from(periods.KINDS))
def test_the_first_period_from_a_day_on_begins_on_it_or_after_the_one_it_lies_in(day: dt.date, kind: str) -> None:
    begins = periods.floor(day, kind)
    assert periods.ceiling(day, kind) == (day if begins == day else periods.following(begins, kind))


@pytest.mark.parametrize("kind", [kind for kind in periods.KINDS if kind != "day"])
def test_no_period_begins_after_the_last_one(kind: str) -> None:
    assert periods.following(periods.floor(dt.date.max, kind), kind) is None
    assert periods.ceiling(dt.date.max, kind) is None


@pytest.mark.parametrize(
    ("kind", "begins"),
    [
        ("day", dt.date(2026, 5, 15)),
        ("week", dt.date(2026, 5, 11)),
        ("month", dt.date(2026, 5, 1)),
        ("quarter", dt.date(2026, 4, 1)),
        ("year", dt.date(2026, 1, 1)),
    ],
)
def test_periods_begin_where_the_database_lets_them_begin(kind: str, begins: dt.date) -> None:
    assert periods.floor(dt.date(2026, 5, 15), kind) == begins
