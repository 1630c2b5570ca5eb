"""A total by category and month: from the totals, and computed from every expense."""

from __future__ import annotations

import statistics
from functools import partial
from typing import Any

from django.db import DEFAULT_DB_ALIAS
from django.db.models import Count, Sum
from django.db.models.functions import TruncMonth

from aggregates import reads
from benchmarks import data
from benchmarks.bench import Bench
from benchmarks.crew import crew
from benchmarks.pairs import timed
from benchmarks.scenarios import repair
from expenses.models import Expense, ExpenseTotals, Status


def from_totals(using: str = DEFAULT_DB_ALIAS) -> list[Any]:
    """Return category, month, sum and count of every group, from the smallest ready rollup."""
    rollup, _choice = reads.smallest(ExpenseTotals, {"category", "month"}, using=using)
    rows: Any = reads.rows(ExpenseTotals, rollup, using=using)
    return list(rows.values_list("category_id", "month").annotate(Sum("amount"), Sum("count")))


def computed(using: str = DEFAULT_DB_ALIAS) -> list[Any]:
    """Return the same, from the expenses."""
    rows: Any = Expense.objects.using(using).exclude(status=Status.DRAFT).order_by()
    grouped = rows.values_list("category_id", TruncMonth("spent_on"))
    return list(grouped.annotate(Sum("amount"), Count("pk")))


def total_seconds(using: str = DEFAULT_DB_ALIAS, times: int = 20) -> float:
    """Return the seconds that a read from the totals takes, on average of several."""
    return timed(lambda: [from_totals(using) for _ in range(times)]) / times


def computed_seconds(using: str = DEFAULT_DB_ALIAS) -> float:
    """Return the seconds that it takes to compute the same."""
    return timed(lambda: computed(using))


def require_equal(using: str = DEFAULT_DB_ALIAS) -> None:
    """Refuse to compare the speed of two answers that differ."""
    if sorted(from_totals(using), key=str) != sorted(computed(using), key=str):
        raise AssertionError(f"The totals of {using} are not what its expenses add up to.")


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
    repair.ready("small")
    require_equal("small")
    bench.compare("read_growth", partial(total_seconds, "small"), total_seconds)
    for using, rows in (("small", bench.sizes.small), (DEFAULT_DB_ALIAS, bench.sizes.rows)):
        bench.point("read: from totals", rows, statistics.median(total_seconds(using) for _ in range(5)) * 1000)
        bench.point("read: computed", rows, statistics.median(computed_seconds(using) for _ in range(5)) * 1000)


def heat(bench: Bench) -> None:
    """Measure the read after every coarse bucket was striped by 16 writers, before and after a fold."""
    data.copy("heated")
    with crew() as team:
        team.all("stripe", using="heated")
    data.settle("heated")
    bench.compare("read_striped", total_seconds, partial(total_seconds, "heated"), patience=0.5)
    repair.compared("heated")
    bench.compare("read_after_heat", total_seconds, partial(total_seconds, "heated"))
    require_equal("heated")


def double(bench: Bench) -> None:
    """Measure the read at twice the expenses: the same again, so that each total doubles."""
    data.fill(Expense, bench.shape, first=2 * bench.shape.rows)
    repair.ready()
    require_equal()
    bench.compare("read_2m", total_seconds, computed_seconds)
    bench.point("read: from totals", 2 * bench.sizes.rows, statistics.median(total_seconds() for _ in range(5)) * 1000)
    bench.point("read: computed", 2 * bench.sizes.rows, statistics.median(computed_seconds() for _ in range(5)) * 1000)
