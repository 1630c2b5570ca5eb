"""What writers were told of their writes, and what must therefore be stored."""

from __future__ import annotations

import threading
from collections import Counter, defaultdict
from collections.abc import Mapping
from dataclasses import dataclass, field

from expenses.models import Expense

Values = tuple[str, str, str, int | None]
"""Amount, day, status and category of an expense."""
Rows = Mapping[str, Values]
"""Expenses by label: their description, which no other has. What is not there has no label."""


@dataclass(frozen=True)
class Write:
    """What a write finds of the expenses it is about, and what it leaves."""

    before: Rows
    after: Rows

    @property
    def labels(self) -> set[str]:
        """All expenses it is about."""
        return {*self.before, *self.after}


@dataclass
class Journal:
    """Who writes tells what became of each write; the writes of one expense come one after the other."""

    known: dict[str, Values | None] = field(default_factory=dict)
    in_doubt: list[Write] = field(default_factory=list)
    told: Counter[str] = field(default_factory=Counter)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def acknowledged(self, write: Write) -> None:
        """Note that a write was answered as done."""
        self._know("acknowledged", write, write.after)

    def refused(self, write: Write) -> None:
        """Note that a write was answered as not done, and that nothing of it is stored."""
        self._know("refused", write, write.before)

    def left_in_doubt(self, write: Write) -> None:
        """Note that nothing is known of a write; its expenses must not be written again."""
        with self._lock:
            self.told["in doubt"] += 1
            self.in_doubt.append(write)

    def settled(self) -> None:
        """Note that a write in doubt was repeated until it was answered."""
        with self._lock:
            self.told["settled"] += 1

    @property
    def doubts(self) -> int:
        """How many writes were in doubt, whether that was settled or not."""
        return self.told["in doubt"] + self.told["settled"]

    def _know(self, word: str, write: Write, rows: Rows) -> None:
        with self._lock:
            self.told[word] += 1
            self.known.update({label: rows.get(label) for label in write.labels})

    def assert_kept(self) -> None:
        """Compare with the database: each known expense once with its values, those in doubt whole or absent."""
        found = stored()
        doubtful: set[str] = set()
        for write in self.in_doubt:
            doubtful |= write.labels
            there = {label: found[label] for label in write.labels if label in found}
            assert there in (once(write.before), once(write.after)), f"neither whole nor absent: {write}"
        there = {label: rows for label, rows in found.items() if label not in doubtful}
        expected = once({label: values for label, values in self.known.items() if values and label not in doubtful})
        wrong = sorted(label for label in {*there, *expected} if there.get(label) != expected.get(label))
        assert not wrong, [f"{label}: {there.get(label)} instead of {expected.get(label)}" for label in wrong]


def once(rows: Rows) -> dict[str, list[Values]]:
    """Return rows as ``stored`` shows them."""
    return {label: [values] for label, values in rows.items()}


def stored() -> dict[str, list[Values]]:
    """Return all expenses of the database by label: more than one where a write was carried out twice."""
    found: defaultdict[str, list[Values]] = defaultdict(list)
    for label, amount, day, status, category in Expense.objects.order_by().values_list(
        "description", "amount", "spent_on", "status", "category"
    ):
        found[label].append((f"{amount:.2f}", day.isoformat(), status, category))
    return dict(found)
