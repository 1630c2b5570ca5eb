"""The expenses of one writer, to which nobody else writes: what it may do next, chosen by a seed."""

from __future__ import annotations

import datetime as dt
import random
from collections.abc import Iterable, Sequence

from tests.faults.journal import Rows, Values, Write

FIRST_DAY = dt.date(2026, 1, 25)  # a few days on both sides of a month's end: few buckets, which all writers share
DAYS = 12
STATUSES = ("draft", "submitted", "approved")


class Book:
    """Expenses by label as the writer knows them, and writes of some of them."""

    def __init__(self, name: str, seed: int, categories: Sequence[int]) -> None:
        self.pick = random.Random(f"{name} {seed}")
        self.rows: dict[str, Values] = {}
        self._name, self._categories, self._made = f"{name}-{seed}", categories, 0

    def new(self, number: int = 1) -> Write:
        """Return a write of new expenses."""
        labels = [f"{self._name}-{self._made + n}" for n in range(number)]
        self._made += number
        return Write({}, {label: self._values() for label in labels})

    def changed(self, number: int = 1, *, only: str = "") -> Write:
        """Return a write that gives some expenses other values, or another ``only`` of them."""
        before = self._some(number)
        if only == "status":
            status = self.pick.choice(STATUSES)
            return Write(before, {label: (v[0], v[1], status, v[3]) for label, v in before.items()})
        if only == "amount":
            amount = self._amount()
            return Write(before, {label: (amount, *v[1:]) for label, v in before.items()})
        return Write(before, {label: self._values() for label in before})

    def gone(self, number: int = 1) -> Write:
        """Return a write that deletes some expenses."""
        return Write(self._some(number), {})

    def carried_out(self, write: Write) -> None:
        """Take in that a write is stored."""
        self.forget(write.labels)
        self.rows.update(write.after)

    def forget(self, labels: Iterable[str]) -> None:
        """Write no more to some expenses."""
        for label in labels:
            self.rows.pop(label, None)

    def _some(self, number: int) -> Rows:
        labels = self.pick.sample(sorted(self.rows), min(number, len(self.rows)))
        return {label: self.rows[label] for label in labels}

    def _values(self) -> Values:
        day = FIRST_DAY + dt.timedelta(days=self.pick.randrange(DAYS))
        category = self.pick.choice([*self._categories, None])
        return self._amount(), day.isoformat(), self.pick.choice(STATUSES), category

    def _amount(self) -> str:
        cents = self.pick.randrange(-50_000, 50_000)
        return f"{'-' if cents < 0 else ''}{abs(cents) // 100}.{abs(cents) % 100:02}"
