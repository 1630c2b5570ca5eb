"""What the dashboard shows: its figures and when they were right, or what stands in their way."""

from __future__ import annotations

import datetime as dt
from collections.abc import Hashable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from django.db import router

from aggregates import reads, runs
from aggregates.exceptions import TotalsNotReady
from aggregates.reads import Ready
from expenses import months, reports
from expenses.access import only_reads
from expenses.dashboard import charts, figures, periods
from expenses.dashboard.charts import Bar, Chart
from expenses.dashboard.figures import MOST_CATEGORIES, REST, Cell, Figures, OfCurrency, Series
from expenses.dashboard.filters import Filters
from expenses.dashboard.links import Links
from expenses.dashboard.periods import Span
from expenses.models import ExpenseTotals

LABELS = 13
"""How many labels an axis has room for; of more periods every other one has none, or every third."""


@dataclass(frozen=True)
class Page:
    """What a template is given, and the status of the answer."""

    context: dict[str, Any]
    status: int = 200


@dataclass(frozen=True)
class Freshness:
    """When the figures were right."""

    as_of: dt.datetime
    """The database's time; everything committed before it is in them."""
    verified_at: dt.datetime | None
    """Start of the last complete comparison of all totals with all expenses that found no difference."""
    drifted: int | None
    """How many totals the last comparison found to differ."""


@dataclass(frozen=True)
class Drawn:
    """What is shown of one currency: the figures, and the chart of them."""

    of: OfCurrency
    chart: Chart
    series: Sequence[tuple[Series, int]]
    """Each with the number of its colour."""
    bars: Sequence[tuple[Bar, Cell, int, str]]
    """Each with its cell, the number of its colour, and whose it is in which period."""
    labels: Sequence[tuple[str, str]]
    rows: Sequence[tuple[str, bool, Sequence[Cell], Cell]]
    """By period: its name, whether it is closed, the categories' cells, and the cell of all."""


def dashboard(query: Any, user: Any, today: dt.date, *, in_admin: bool) -> Page:
    """Return the dashboard of a user. ``query`` holds the filters, ``today`` is a day in the service's time zone."""
    using = router.db_for_read(ExpenseTotals)
    filters = Filters(query, user)
    context = {"filters": filters, "in_admin": in_admin, "may_add": not only_reads(user), "staff": user.is_staff}
    ready = reads.ready(ExpenseTotals, using=using)
    valid = filters.is_valid()
    try:
        # Read before the sums, so that whatever was committed before that time is in them.
        fresh = freshness(user, using)
        codes = figures.currencies(filters.owners, ready=ready, using=using)
        filters.offer(codes)
        context |= {"fresh": fresh, "owners": filters.owners_offered(), "is_empty": not codes}
        if not valid:
            return Page(context | {"is_empty": False}, 400)
        return Page(context | _figures(filters, today, ready, using, in_admin=in_admin))
    except TotalsNotReady as error:
        return Page(context | {"not_ready": str(error)}, 503)


def freshness(user: Any, using: str) -> Freshness:
    """Return when what is read from now on is right."""
    return Freshness(
        reports.database_time(user.pk, using),
        runs.verified_at(ExpenseTotals, using=using),
        runs.drifted(ExpenseTotals, using=using),
    )


def _figures(filters: Filters, today: dt.date, ready: Ready, using: str, *, in_admin: bool) -> dict[str, Any]:
    selection = filters.selection
    span = periods.span(selection.date_from, selection.date_to, today)
    found = figures.read(selection, span, ready=ready, using=using)
    closed = frozenset(months.closed(span.low, span.high, using))
    before = periods.months_later(span.month, -1)
    return {
        "found": found,
        "links": Links(in_admin, filters.owner_name),
        "span": span,
        "last_day": span.high - dt.timedelta(days=1),
        "month": periods.named("month", span.month),
        "month_before": periods.named("month", before),
        "is_present": span.month == today.replace(day=1),
        "drawn": [_drawn(*pair, span, closed) for pair in zip(found.currencies, _colours(found), strict=True)],
    }


def _colours(found: Figures) -> list[dict[Hashable, int]]:
    """Return the number of each series' colour, by currency; what other categories came to has the last one."""
    keys = [[series.key for series in one.series if series.key != REST] for one in found.currencies]
    return [{**chosen, REST: MOST_CATEGORIES} for chosen in charts.colours(keys, MOST_CATEGORIES)]


def _drawn(one: OfCurrency, colours: Mapping[Hashable, int], span: Span, closed: frozenset[dt.date]) -> Drawn:
    chart = charts.stacked([[cell.amount for cell in series.cells] for series in one.series])
    period = span.period
    names = [periods.named(period, start) for start in one.starts]
    series = [(each, colours[each.key]) for each in one.series]
    bars = []
    for bar in chart.bars:
        each, colour = series[bar.series]
        bars.append((bar, each.cells[bar.period], colour, f"{each.name}, {names[bar.period]}"))
    rows = [
        (names[index], period == "month" and start in closed, [series.cells[index] for series in one.series], whole)
        for index, (start, whole) in enumerate(zip(one.starts, one.periods, strict=True))
    ]
    return Drawn(one, chart, series, bars, list(_labels(period, one.starts)), rows)


def _labels(period: str, starts: Sequence[dt.date]) -> Iterator[tuple[str, str]]:
    """Yield the label of each period, and under it the year where that is another than before.

    The year of the first is left out where the next label has another, for there is no room for both.
    """
    every = -(-len(starts) // LABELS)
    shown = starts[::every]
    years = [start.year for start in shown]
    for index, start in enumerate(starts):
        number, rest = divmod(index, every)
        if rest:
            yield ("", "")
            continue
        changes = years[number] != (years[number - 1] if number else 0)
        crowded = number == 0 and years[:2] != years[:1] * 2 and len(years) > 1
        yield (periods.short(period, start), str(start.year) if changes and not crowded and period != "year" else "")
