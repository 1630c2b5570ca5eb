"""What the totals have to be, worked out from the expenses in plain Python."""

from __future__ import annotations

from collections import Counter, defaultdict
from decimal import Decimal
from typing import Any

from expenses.models import Expense, ExpenseTotals

DIMENSIONS = {
    "day": ("owner_id", "category_id", "currency", "status", "spent_on"),
    "month": ("owner_id", "category_id", "currency", "status", "month"),
    "overview": ("category_id", "currency", "status", "month"),
}


def expected() -> dict[tuple[Any, ...], tuple[int, Decimal]]:
    counts: Counter[tuple[Any, ...]] = Counter()
    sums: defaultdict[tuple[Any, ...], Decimal] = defaultdict(Decimal)
    for row in Expense.objects.exclude(status="draft").values():
        row["month"] = row["spent_on"].replace(day=1)
        for rollup, names in DIMENSIONS.items():
            key = (rollup, *(row[name] for name in names))
            counts[key] += 1
            sums[key] += row["amount"]
    return {key: (count, sums[key]) for key, count in counts.items()}


def stored() -> dict[tuple[Any, ...], tuple[int, Decimal]]:
    totals: dict[tuple[Any, ...], tuple[int, Decimal]] = {}
    for row in ExpenseTotals.objects.values():
        row["spent_on"] = row["day"]
        key = (row["rollup"], *(row[name] for name in DIMENSIONS[row["rollup"]]))
        count, amount = totals.get(key, (0, Decimal(0)))
        totals[key] = (count + row["count"], amount + row["amount"])
    return {key: total for key, total in totals.items() if total != (0, 0)}


def assert_totals_are_live() -> None:
    """Every bucket of the whole table, to the last digit, and no other."""
    assert stored() == expected()
