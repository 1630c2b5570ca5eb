"""Which days the dashboard is about."""

from __future__ import annotations

import datetime as dt

import pytest
from hypothesis import given
from hypothesis import strategies as st

from expenses.dashboard import periods
from expenses.models import FIRST_DAY, LAST_DAY

day = dt.date.fromisoformat
days = st.dates(FIRST_DAY, LAST_DAY)


@pytest.mark.parametrize(
    ("low", "high", "today", "expected"),
    [
        (None, None, "2026-03-15", ("2025-04-01", "2026-04-01", "2026-03-01")),
        (None, None, "2026-12-31", ("2026-01-01", "2027-01-01", "2026-12-01")),
        ("2026-01-10", None, "2026-03-15", ("2026-01-10", "2026-04-01", "2026-03-01")),
        (None, "2025-07-01", "2026-03-15", ("2024-07-01", "2025-07-01", "2025-06-01")),
        ("2025-01-01", "2025-04-01", "2026-03-15", ("2025-01-01", "2025-04-01", "2025-03-01")),
        ("2025-01-01", "2027-01-01", "2026-03-15", ("2025-01-01", "2027-01-01", "2026-03-01")),
        ("2027-01-01", "2027-03-01", "2026-03-15", ("2027-01-01", "2027-03-01", "2027-02-01")),
        ("2027-01-05", None, "2026-03-15", ("2027-01-05", "2028-01-01", "2027-12-01")),
        (None, "1900-01-02", "2026-03-15", ("1900-01-01", "1900-01-02", "1900-02-01")),
        ("2099-12-31", None, "2026-03-15", ("2099-12-31", "2100-01-01", "2099-12-01")),
    ],
)
def test_an_end_that_is_not_given_follows_from_the_other_or_from_today(
    low: str | None, high: str | None, today: str, expected: tuple[str, ...]
) -> None:
    span = periods.span(low and day(low), high and day(high), day(today))
    assert (span.low, span.high, span.month) == tuple(map(day, expected))


@given(st.none() | days, st.none() | days, days)
def test_periods_cover_the_range_and_are_few(low: dt.date | None, high: dt.date | None, today: dt.date) -> None:
    if low and high and low >= high:
        low, high = high, low + dt.timedelta(days=1)
    if high == FIRST_DAY:
        high = None
    span = periods.span(low, high, today)
    assert FIRST_DAY <= span.low < span.high <= periods.END
    starts = span.starts(span.period)
    assert starts[0] <= span.low
    assert starts[-1] < span.high <= periods.following(span.period, starts[-1])
    assert [periods.following(span.period, start) for start in starts[:-1]] == starts[1:]
    assert len(starts) <= periods.MOST_BARS or span.period == "year"


@pytest.mark.parametrize(
    ("period", "start", "long", "short"),
    [
        ("month", "2026-03-01", "March 2026", "Mar"),
        ("quarter", "2026-04-01", "Q2 2026", "Q2"),
        ("year", "2026-01-01", "2026", "2026"),
    ],
)
def test_periods_are_written_as_people_do(period: str, start: str, long: str, short: str) -> None:
    assert (periods.named(period, day(start)), periods.short(period, day(start))) == (long, short)
