"""A total by category and month: how it grows with expenses, and what hot buckets do to it."""

from __future__ import annotations

import statistics
from functools import partial

from django.db import DEFAULT_DB_ALIAS

from benchmarks import data, repairs
from benchmarks.bench import Bench
from benchmarks.crew import crew
from benchmarks.questions import computed_seconds, require_equal, total_seconds
from expenses.models import Expense

TIMES = 5  # for a point of the plot


def measure(bench: Bench) -> None:
    """Measure the read at the size of the data, and that it does not grow with them."""
    require_equal()
    bench.compare("read_1m", total_seconds, computed_seconds)
    grow(bench)


def grow(bench: Bench) -> None:
    """Compare with few expenses in the same buckets, for the ratio and the plot."""
    if not bench.postgresql:
        return
    few = data.Shape(bench.sizes.small, bench.shape.day_buckets)
    data.create("small")
    data.people(bench.shape, "small")
    data.fill(Expense, few, "small")
    repairs.ready("small")
    require_equal("small")
    bench.compare("read_growth", partial(total_seconds, "small"), total_seconds)
    point(bench, bench.sizes.small, "small")
    point(bench, bench.sizes.rows)


def point(bench: Bench, rows: int, using: str = DEFAULT_DB_ALIAS) -> None:
    """Keep the milliseconds of both reads for the plot."""
    bench.point("read: from totals", rows, statistics.median(total_seconds(using) for _ in range(TIMES)) * 1000)
    bench.point("read: computed", rows, statistics.median(computed_seconds(using) for _ in range(TIMES)) * 1000)


def heat(bench: Bench) -> None:
    """Measure the read after every coarse bucket was striped by 16 writers, before and after a fold."""
    data.copy("heated")
    with crew() as team:
        team.all("stripe", using="heated")
    data.settle("heated")
    bench.compare("read_striped", total_seconds, partial(total_seconds, "heated"), times=0.5)
    repairs.compared("heated")
    bench.compare("read_after_heat", total_seconds, partial(total_seconds, "heated"))
    require_equal("heated")


def double(bench: Bench) -> None:
    """Measure the read at twice the expenses: the same again, so that each total doubles."""
    data.fill(Expense, bench.shape, first=2 * bench.shape.rows)
    repairs.ready()
    require_equal()
    bench.compare("read_2m", total_seconds, computed_seconds)
    point(bench, 2 * bench.sizes.rows)
