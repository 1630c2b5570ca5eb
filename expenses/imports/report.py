"""What became of an import: data, for a command or a page to show."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

from expenses import currencies
from expenses.imports.entries import Entry, Rejection
from expenses.imports.storing import Outcome

MAX_KEPT = 50
"""Rejections that a report keeps; the others are counted, and told to whoever listens."""


@dataclass
class Sum:
    """How many expenses, and their amount in major units of their currency."""

    count: int = 0
    amount: Decimal = Decimal(0)


@dataclass
class Report:
    """Counts and sums so far. Every row read is added, unchanged or rejected, or was not reached.

    ``unchanged`` are rows whose expense was there with the same content. ``rejections`` are the
    first ones, in the order of the file.
    """

    source: str
    rows: int = 0
    rejected: int = 0
    owners_created: int = 0
    categories_created: int = 0
    added: dict[str, Sum] = field(default_factory=lambda: defaultdict(Sum))
    unchanged: dict[str, Sum] = field(default_factory=lambda: defaultdict(Sum))
    rejections: list[Rejection] = field(default_factory=list)

    @property
    def added_count(self) -> int:
        """Expenses that went in."""
        return sum(total.count for total in self.added.values())

    @property
    def unchanged_count(self) -> int:
        """Rows whose expense was in already."""
        return sum(total.count for total in self.unchanged.values())

    def add(self, rows: int, outcome: Outcome) -> None:
        """Add a batch of so many rows, whose rejections are reported one by one."""
        self.rows += rows
        _count(self.added, outcome.added)
        _count(self.unchanged, outcome.unchanged)
        self.owners_created += outcome.new_owners
        self.categories_created += outcome.new_categories

    def reject(self, rejection: Rejection) -> None:
        """Count a rejection and keep it if it is one of the first."""
        self.rejected += 1
        if len(self.rejections) < MAX_KEPT:
            self.rejections.append(Rejection(rejection.line, rejection.reason, ()))

    def as_dict(self) -> dict[str, Any]:
        """Return the report for JSON: amounts as strings with the currency's digits."""
        return {
            "source": self.source,
            "rows": self.rows,
            "added": self.added_count,
            "unchanged": self.unchanged_count,
            "rejected": self.rejected,
            "owners_created": self.owners_created,
            "categories_created": self.categories_created,
            "sums": {"added": _plain(self.added), "unchanged": _plain(self.unchanged)},
            "rejections": [{"line": r.line, "reason": r.reason} for r in self.rejections],
            "rejections_left_out": self.rejected - len(self.rejections),
        }


def _count(sums: dict[str, Sum], entries: Iterable[Entry]) -> None:
    for entry in entries:
        total = sums[entry.currency]
        total.count += 1
        total.amount += entry.amount


def _plain(sums: dict[str, Sum]) -> dict[str, dict[str, Any]]:
    return {
        currency: {"count": total.count, "sum": currencies.plain(total.amount, currency)}
        for currency, total in sorted(sums.items())
    }
