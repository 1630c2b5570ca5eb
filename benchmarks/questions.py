"""A total by category and month: from the totals, and computed from every expense."""

from __future__ import annotations

from typing import Any

from django.db import DEFAULT_DB_ALIAS
from django.db.models import Count, Sum
from django.db.models.functions import TruncMonth

from aggregates import reads
from benchmarks.pairs import timed
from expenses.models import Expense, ExpenseTotals, Status


def from_totals(using: str = DEFAULT_DB_ALIAS) -> list[Any]:
    """Return category, month, sum and count of every group, from the smallest ready rollup."""
    return reads.sums(ExpenseTotals, "category", "month", using=using)


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
