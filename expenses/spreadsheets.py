"""CSV that spreadsheets read as it is meant: no text becomes a formula, amounts stay numbers."""

from __future__ import annotations

import csv
from collections.abc import Iterable, Iterator
from typing import Any

# What a spreadsheet takes for the start of a formula; the last four are the wide forms of the first, as in East Asia.
FORMULA_STARTS = ("=", "+", "-", "@", "\t", "\r", "\n", "\uff1d", "\uff0b", "\uff0d", "\uff20")


def text(value: Any) -> Any:
    """Return a value that is text, with a quote before what a spreadsheet would take for a formula."""
    return f"'{value}" if isinstance(value, str) and value.startswith(FORMULA_STARTS) else value


class _Line:
    """A file whose write returns what it was given: csv.writer then returns each line."""

    def write(self, line: str) -> str:
        return line


def lines(columns: Iterable[str], rows: Iterable[Iterable[Any]]) -> Iterator[str]:
    """Yield the header line and a line for each row, whose texts have been through ``text``."""
    writer = csv.writer(_Line())
    yield writer.writerow(columns)
    for row in rows:
        yield writer.writerow(row)
