"""Which days a page is about, and into which periods its charts cut them. Pure: today is an argument."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass

from expenses.models import FIRST_DAY, LAST_DAY
from expenses.reports import following

END = LAST_DAY + dt.timedelta(days=1)
MONTHS = 12
"""How many months are shown where no range is asked for."""
MOST_BARS = 36
TRUNCATED = {"month": 1, "quarter": 3, "year": 12}


@dataclass(frozen=True)
class Span:
    """A range of days, ``low`` inclusive and ``high`` exclusive, and the month of it that is looked at closely."""

    low: dt.date
    high: dt.date
    month: dt.date
    """The first day of the last month of the range, though not after the present one if the range has any other."""

    @property
    def period(self) -> str:
        """Return what a bar stands for: a month, where those are too many a quarter, else a year."""
        for period in ("month", "quarter"):
            if len(self.starts(period)) <= MOST_BARS:
                return period
        return "year"

    def starts(self, period: str) -> list[dt.date]:
        """Return the first days of the periods that the range has days of."""
        start, found = truncated(period, self.low), []
        while start < self.high:
            found.append(start)
            start = following(period, start)
        return found


def span(low: dt.date | None, high: dt.date | None, today: dt.date) -> Span:
    """Return the range from ``low`` to ``high``; an end that is not given follows from the other one, or from today.

    Without both it is the twelve months of which the present one is the last.
    """
    present = today.replace(day=1)
    if high is None:
        high = max(following("month", present), months_later(low, MONTHS)) if low and low > today else None
        high = min(high or following("month", present), END)
    if low is None:
        last = (high - dt.timedelta(days=1)).replace(day=1)
        low = max(months_later(last, 1 - MONTHS), FIRST_DAY)
    last = (high - dt.timedelta(days=1)).replace(day=1)
    looked_at = present if low.replace(day=1) <= present <= last else last
    return Span(low, high, max(looked_at, following("month", FIRST_DAY)))  # a month before it can be compared


def months_later(day: dt.date, months: int) -> dt.date:
    """Return the first day of the month so many months after a day's, within the years that dates have."""
    year, month = divmod(day.year * 12 + day.month - 1 + months, 12)
    return dt.date(min(max(year, dt.MINYEAR), dt.MAXYEAR), month + 1, 1)


def truncated(period: str, day: dt.date) -> dt.date:
    """Return the first day of a day's month, quarter or year."""
    length = TRUNCATED[period]
    return dt.date(day.year, (day.month - 1) // length * length + 1, 1)


def named(period: str, start: dt.date) -> str:
    """Return a period as people write it: March 2026, Q1 2026, 2026."""
    if period == "month":
        return f"{start:%B} {start.year}"
    return f"Q{(start.month + 2) // 3} {start.year}" if period == "quarter" else str(start.year)


def short(period: str, start: dt.date) -> str:
    """Return a period as short as an axis wants it: Mar, with the year in January; Q1; 2026."""
    if period == "month":
        return f"{start:%b}"
    return f"Q{(start.month + 2) // 3}" if period == "quarter" else str(start.year)
