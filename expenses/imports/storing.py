"""A batch of entries → expenses, each at most once, whoever else imports at the same time."""

from __future__ import annotations

import datetime as dt
import uuid
from collections.abc import Container, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from django.db import DEFAULT_DB_ALIAS, IntegrityError

from aggregates import transactions
from aggregates.exceptions import TotalOutOfRange
from expenses import months
from expenses.imports import names
from expenses.imports.entries import Entry, Rejection
from expenses.imports.names import Resolved
from expenses.models import Expense, Status

STORED = (
    "id", "owner__username", "category__name", "amount", "currency", "spent_on", "status", "description", "created_at",
)  # fmt: skip


@dataclass
class Outcome:
    """What became of each entry of a batch."""

    added: list[Entry] = field(default_factory=list)
    unchanged: list[Entry] = field(default_factory=list)
    rejected: list[Rejection] = field(default_factory=list)
    new_owners: int = 0
    new_categories: int = 0


Stored = Mapping[uuid.UUID, Mapping[str, Any]]


def stored(entries: Iterable[Entry]) -> Stored:
    """Return what the database holds under the ids of the entries: one statement."""
    rows = Expense.objects.filter(id__in={entry.id for entry in entries}).order_by()
    return {row["id"]: row for row in rows.values(*STORED)}


def compare(entry: Entry, row: Mapping[str, Any]) -> Rejection | None:
    """Return None where the row says what the entry says, else a rejection naming the differences.

    Compared is what the file states: an expense that was approved or described since then is
    still the same expense to a file without these columns.
    """
    pairs: list[tuple[str, Any, Any]] = [
        ("owner", row["owner__username"], entry.owner),
        ("category", row["category__name"], entry.category),
        ("amount", row["amount"], entry.amount),
        ("currency", row["currency"], entry.currency),
        ("date", row["spent_on"], entry.spent_on),
    ]
    if entry.status is not None:
        pairs.append(("status", row["status"], entry.status))
    if entry.description is not None:
        pairs.append(("description", row["description"], entry.description))
    differences = [f"{what} {_said(there)}, here {_said(here)}" for what, there, here in pairs if there != here]
    if not differences:
        return None
    reason = (
        f"its id is stored already with other content ({'; '.join(differences)}): "
        "correct the stored expense, or give this row an id of its own"
    )
    return Rejection(entry.line, reason, entry.cells)


def _said(value: Any) -> str:
    if value is None:
        return "none"
    return repr(value) if isinstance(value, str) else str(value)


class Storing:
    """Writes batches, and remembers the names that it met."""

    def __init__(self) -> None:
        self._owners = names.owners()
        self._categories = names.categories()

    def write(self, entries: Sequence[Entry]) -> Outcome:
        """Write a batch in one transaction, retried after conflicts, and return what became of it.

        A row whose amount would drive a total out of its range is rejected; the others go in.
        """
        try:
            outcome, owners, categories = self._write(entries)
        except TotalOutOfRange as error:
            return self._write_halves(entries, error)
        self._learn(owners, categories)
        return outcome

    def write_within(self, entries: Sequence[Entry]) -> Outcome:
        """Write a batch in the caller's transaction. Whatever fails must roll that back."""
        transactions.require(DEFAULT_DB_ALIAS)
        outcome, owners, categories = self._attempt(entries)
        self._learn(owners, categories)
        return outcome

    def _learn(self, owners: Resolved, categories: Resolved) -> None:
        self._owners.learn(owners)
        self._categories.learn(categories)

    def _write(self, entries: Sequence[Entry]) -> tuple[Outcome, Resolved, Resolved]:
        try:
            return transactions.run(lambda: self._attempt(entries), using=DEFAULT_DB_ALIAS)
        except IntegrityError:
            # A remembered owner or category was deleted meanwhile: once more, with what is there now.
            self._owners.forget()
            self._categories.forget()
            return transactions.run(lambda: self._attempt(entries), using=DEFAULT_DB_ALIAS)

    def _write_halves(self, entries: Sequence[Entry], error: TotalOutOfRange) -> Outcome:
        if len(entries) == 1:
            [entry] = entries
            return Outcome(rejected=[Rejection(entry.line, f"a total would leave its range: {error}", entry.cells)])
        middle = len(entries) // 2
        first, second = self.write(entries[:middle]), self.write(entries[middle:])
        return Outcome(
            first.added + second.added,
            first.unchanged + second.unchanged,
            first.rejected + second.rejected,
            first.new_owners + second.new_owners,
            first.new_categories + second.new_categories,
        )

    def _attempt(self, entries: Sequence[Entry]) -> tuple[Outcome, Resolved, Resolved]:
        before = stored(entries)
        absent = [entry for entry in entries if entry.id not in before]
        closed = months.hold(entry.spent_on for entry in absent)
        fresh = {entry.id: entry for entry in reversed(absent) if months.of(entry.spent_on) not in closed}
        owners = self._owners.resolve({entry.owner for entry in fresh.values()})
        categories = self._categories.resolve({entry.category for entry in fresh.values() if entry.category})
        expenses = {expense.id: expense for expense in _expenses(fresh.values(), owners, categories)}
        if expenses:
            Expense.objects.bulk_create(expenses.values(), ignore_conflicts=True)
        after = {**before, **stored(fresh.values())} if fresh else before
        outcome = _judge(entries, expenses, after, closed)
        outcome.new_owners, outcome.new_categories = len(owners.new), len(categories.new)
        return outcome, owners, categories


def _expenses(entries: Iterable[Entry], owners: Resolved, categories: Resolved) -> Iterator[Expense]:
    for entry in entries:
        if entry.owner not in owners.keys or (entry.category and entry.category not in categories.keys):
            continue  # judged below
        yield Expense(
            id=entry.id,
            owner_id=owners.keys[entry.owner],
            category_id=categories.keys[entry.category] if entry.category else None,
            amount=entry.amount,
            currency=entry.currency,
            spent_on=entry.spent_on,
            status=entry.status or Status.SUBMITTED,
            description=entry.description or "",
        )


def _judge(
    entries: Iterable[Entry], expenses: Mapping[uuid.UUID, Expense], after: Stored, closed: Container[dt.date]
) -> Outcome:
    """Tell rows of ours from those that were there or that another import put there meanwhile."""
    outcome = Outcome()
    counted: set[uuid.UUID] = set()
    for entry in entries:
        row = after.get(entry.id)
        ours = expenses.get(entry.id)
        if (row is None or ours is not None) and months.of(entry.spent_on) in closed:
            outcome.rejected.append(Rejection(entry.line, f"{months.name(entry.spent_on)} is closed", entry.cells))
        elif row is None:
            outcome.rejected.append(_absent(entry, was_written=ours is not None))
        elif ours is not None and row["created_at"] == ours.created_at and entry.id not in counted:
            counted.add(entry.id)
            outcome.added.append(entry)
        elif rejection := compare(entry, row):
            outcome.rejected.append(rejection)
        else:
            outcome.unchanged.append(entry)
    return outcome


def _absent(entry: Entry, *, was_written: bool) -> Rejection:
    if was_written:
        reason = "it was deleted while it was imported: import it again if it shall stay"
    else:
        said = f"{entry.owner!r} or {entry.category!r}"
        reason = f"this database does not tell {said} from another spelling that is there: use that spelling"
    return Rejection(entry.line, reason, entry.cells)
