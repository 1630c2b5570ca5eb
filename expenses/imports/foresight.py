"""What an import would do, told without doing it: a batch at a time, by reads alone.

It agrees with the import as long as nobody writes between the two. Whether a total would leave its
range is not foreseen.
"""

from __future__ import annotations

import uuid
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from django.contrib.auth import get_user_model
from django.db import models

from expenses import currencies, months, reports
from expenses.importing import Import
from expenses.imports.entries import Entry, Rejection
from expenses.imports.report import Report
from expenses.imports.storing import Outcome, compare, stored
from expenses.models import Category, Status

NAMES_SHOWN = 20
ADDED, UNCHANGED, REJECTED = "added", "unchanged", "rejected"


@dataclass(frozen=True, slots=True)
class Line:
    """What would become of one line; ``entry`` is None where it says nothing that can be stored."""

    number: int
    outcome: str
    entry: Entry | None = None
    rejection: Rejection | None = None

    @property
    def amount(self) -> str:
        """Return the amount with its currency's digits."""
        return currencies.plain(self.entry.amount, self.entry.currency) if self.entry else ""


@dataclass
class Window:
    """Of the lines from one number on, the first ones; ``following`` is the number of the next, if there is one."""

    first: int = 1
    most: int = 200
    lines: list[Line] = field(default_factory=list)
    following: int | None = None

    def show(self, line: Line) -> None:
        """Take the line in, if it is one of those."""
        if line.number < self.first or self.following is not None:
            return
        if len(self.lines) < self.most:
            self.lines.append(line)
        else:
            self.following = line.number


@dataclass
class Names:
    """Names that are met, and which of them would be new."""

    model: type[models.Model]
    column: str
    new: set[str] = field(default_factory=set)
    _known: set[str] = field(default_factory=set)

    @property
    def first(self) -> list[str]:
        """Return the first new ones in order of the alphabet."""
        return sorted(self.new)[:NAMES_SHOWN]

    def meet(self, names: Iterable[str]) -> None:
        """Look up those that are met for the first time."""
        unknown = set(names) - self._known
        if unknown:
            found = self.model._default_manager.filter(**{f"{self.column}__in": unknown})
            self.new |= unknown - set(found.values_list(self.column, flat=True))
            self._known |= unknown


class Foresight:
    """The report that an import would give, and some of its lines. ``rejected`` is told of each rejection."""

    def __init__(
        self, importing: Import, window: Window | None = None, rejected: Callable[[Rejection], None] = lambda line: None
    ) -> None:
        self._importing = importing
        self._rejected = rejected
        self._added: dict[uuid.UUID, Mapping[str, Any]] = {}
        self.window = window or Window()
        self.report: Report = importing.report
        self.owners = Names(get_user_model(), "username")
        self.categories = Names(Category, "name")

    def look(self) -> Foresight:
        """Look at every line; return this."""
        for batch in self._importing.batches():
            entries = [said for said in batch if isinstance(said, Entry)]
            judged = self._judged(entries)
            added = [line.entry for line in judged.values() if line.entry and line.outcome == ADDED]
            self.owners.meet(entry.owner for entry in added)
            self.categories.meet(entry.category for entry in added if entry.category)
            unchanged = [line.entry for line in judged.values() if line.entry and line.outcome == UNCHANGED]
            self.report.add(len(batch), Outcome(added, unchanged))
            for said in batch:
                self._note(Line(said.line, REJECTED, None, said) if isinstance(said, Rejection) else judged[said.line])
        self.report.owners_created, self.report.categories_created = len(self.owners.new), len(self.categories.new)
        return self

    def _note(self, line: Line) -> None:
        self.window.show(line)
        if line.rejection is not None:
            self.report.reject(line.rejection)
            self._rejected(line.rejection)

    def _judged(self, entries: Sequence[Entry]) -> dict[int, Line]:
        """Return what would become of entries, by the number of their line."""
        if not entries:
            return {}
        days = [entry.spent_on for entry in entries]
        closed = set(months.closed(min(days), reports.following("day", max(days))))
        there = stored(entries)
        judged = {}
        for entry in entries:
            row = there.get(entry.id) or self._added.get(entry.id)
            rejection = compare(entry, row) if row else None
            if row is None and months.of(entry.spent_on) in closed:
                rejection = Rejection(entry.line, f"{months.name(entry.spent_on)} is closed", entry.cells)
            elif row is None:
                self._added[entry.id] = _row(entry)
            outcome = REJECTED if rejection else UNCHANGED if row else ADDED
            judged[entry.line] = Line(entry.line, outcome, entry, rejection)
        return judged


def _row(entry: Entry) -> dict[str, Any]:
    """Return what would be stored of an entry, as ``stored`` returns it."""
    return {
        "owner__username": entry.owner,
        "category__name": entry.category,
        "amount": entry.amount,
        "currency": entry.currency,
        "spent_on": entry.spent_on,
        "status": entry.status or Status.SUBMITTED,
        "description": entry.description or "",
    }
