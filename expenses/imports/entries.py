"""Records → entries: what each line says, or every reason why it cannot be taken."""

from __future__ import annotations

import datetime as dt
import uuid
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import TypeVar

from expenses.imports import values
from expenses.imports.exceptions import BadValue, CannotImport
from expenses.imports.identity import expense_id
from expenses.imports.lines import Record
from expenses.imports.options import Options

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Entry:
    """One expense as its line states it. ``status`` and ``description`` are None where it is silent."""

    line: int
    cells: Sequence[str]
    id: uuid.UUID
    owner: str
    category: str | None
    amount: Decimal
    currency: str
    spent_on: dt.date
    status: str | None
    description: str | None


@dataclass(frozen=True, slots=True)
class Rejection:
    """A line that did not go in, and why. ``cells`` are as they stand in the file."""

    line: int
    reason: str
    cells: Sequence[str]


class Header:
    """Where the columns are. Raises CannotImport for a column that is missing or there twice."""

    def __init__(self, record: Record, options: Options) -> None:
        if record.problem:
            raise CannotImport(f"Line {record.line}, the header: {record.problem}.")
        self.cells = [cell.strip() for cell in record.cells]
        self._options = options
        self._positions = {role: self._position(column) for role, column in options.columns.named().items()}

    def _position(self, column: str) -> int:
        found = self.cells.count(column.strip())
        if found == 1:
            return self.cells.index(column.strip())
        there = ", ".join(values.shown(cell) for cell in self.cells)
        if found:
            raise CannotImport(f"The file has {found} columns named {column!r}: rename one. Its columns: {there}.")
        hint = ""
        if len(self.cells) == 1:
            hint = f" Is {self._options.dialect.delimiter!r} the right --delimiter?"
        raise CannotImport(f"The file has no column {column!r}. Its columns: {there}.{hint}")

    def entry(self, record: Record) -> Entry | Rejection:
        """Return what the record says, or a rejection that names all its faults."""
        problem = record.problem
        if not problem and len(record.cells) != len(self.cells):
            problem = (
                f"has {len(record.cells)} columns, the header {len(self.cells)}: "
                "mend the delimiters, and put text that has one in quotation marks"
            )
        if problem:
            return Rejection(record.line, problem, record.cells)
        line = _Line({role: record.cells[at].strip() for role, at in self._positions.items()}, self._options)
        entry = line.entry(record)
        return entry or Rejection(record.line, "; ".join(line.faults), record.cells)


class _Line:
    """The cells of one line by role, read one after the other; faults are gathered."""

    def __init__(self, cells: Mapping[str, str], options: Options) -> None:
        self._cells = cells
        self._options = options
        self._columns = options.columns.named()
        self.faults: list[str] = []

    def _read(self, role: str, parse: Callable[[str], T]) -> T | None:
        """Return the value of a cell; None where it is bad (and noted) or the file lacks the column."""
        if role not in self._cells:
            return None
        try:
            return parse(self._cells[role])
        except BadValue as error:
            self.faults.append(f"{self._columns[role]} {error}")
            return None

    def entry(self, record: Record) -> Entry | None:
        options = self._options
        external_id = self._read("id", values.name)
        owner = self._read("owner", values.owner)
        category = self._read("category", lambda cell: values.text(cell, longest=values.MAX_NAME))
        spent_on = self._read("date", lambda cell: values.day(cell, options.notation.date_format))
        currency = options.currency or self._read("currency", values.currency_code)
        amount = self._read("amount", lambda cell: values.amount(cell, currency, options.notation))
        status = self._read("status", values.status)
        description = self._read("description", lambda cell: values.text(cell, longest=values.MAX_DESCRIPTION))
        if self.faults or not (external_id and owner and currency and spent_on) or amount is None:
            return None
        return Entry(
            line=record.line,
            cells=record.cells,
            id=expense_id(options.source, owner, external_id),
            owner=owner,
            category=category or None,
            amount=amount,
            currency=currency,
            spent_on=spent_on,
            status=status,
            description=description,
        )
