"""What an import is asked to do: frozen values that refuse nonsense when they are built."""

from __future__ import annotations

import datetime as dt
import io
import re
from collections.abc import Mapping
from dataclasses import dataclass, fields

from expenses import currencies
from expenses.imports.exceptions import CannotImport

DEFAULT_SOURCE = "import"
MAX_SOURCE = 255
BATCH_SIZE = 1_000
MAX_BATCH_SIZE = 10_000
"""Rows a batch; one statement must be able to name each of their ids."""

UTF_8 = "utf-8-sig"
# Not whatever Python has: among its codecs are some that no file is in, and slow ones.
ENCODINGS: Mapping[str, str] = {
    "utf-8": UTF_8,
    UTF_8: UTF_8,
    "utf-16": "utf-16",
    "latin-1": "iso-8859-1",
    **{name: name for name in ("iso-8859-1", "iso-8859-2", "iso-8859-15", "cp1250", "cp1251", "cp1252")},
    **{f"windows-{page}": f"cp{page}" for page in (1250, 1251, 1252)},
}
# A format is tried on these; one that cannot tell them apart lacks a year, a month or a day.
SAMPLE_DAYS = (dt.date(2021, 2, 3), dt.date(1999, 11, 28))


@dataclass(frozen=True)
class Columns:
    """The names of the columns to read, as the file's header has them; None: not in the file."""

    owner: str
    category: str
    date: str
    amount: str
    id: str
    currency: str | None = None
    description: str | None = None
    status: str | None = None

    def named(self) -> dict[str, str]:
        """Return the column of each role that has one."""
        named = {field.name: getattr(self, field.name) for field in fields(self)}
        return {role: name for role, name in named.items() if name is not None}


@dataclass(frozen=True)
class Dialect:
    """How the bytes of the file become cells."""

    delimiter: str = ","
    encoding: str = "utf-8-sig"

    def __post_init__(self) -> None:
        if len(self.delimiter) != 1 or self.delimiter in '"\r\n\0':
            raise CannotImport(f"The delimiter is {self.delimiter!r}: give one character, such as ';' or a tab.")
        try:
            io.TextIOWrapper(io.BytesIO(), encoding=self.encoding)
        except (LookupError, ValueError) as error:
            raise CannotImport(
                f"Unknown encoding {self.encoding!r}: give one such as utf-8, latin-1 or cp1252."
            ) from error


@dataclass(frozen=True)
class Notation:
    """How numbers and dates are written. ``date_format`` None: ISO 8601, such as 2026-01-31."""

    decimal_comma: bool = False
    date_format: str | None = None

    def __post_init__(self) -> None:
        if self.date_format is not None and not all(_survives(day, self.date_format) for day in SAMPLE_DAYS):
            raise CannotImport(
                f"The date format {self.date_format!r} does not describe a whole date: "
                "give year, month and day in the notation of strptime, such as %d/%m/%Y."
            )


def _survives(day: dt.date, date_format: str) -> bool:
    try:
        return dt.datetime.strptime(day.strftime(date_format), date_format).date() == day  # noqa: DTZ007 - a day has no zone
    except (ValueError, re.error):  # the latter, up to Python 3.12, for a directive that is there twice
        return False


@dataclass(frozen=True)
class Options:
    """All of it. ``source`` names the system the ids come from: another source, other expenses.

    Of ``currency`` (one for the whole file) and ``columns.currency`` exactly one is given.
    ``strict``: all rows go in or none.
    """

    columns: Columns
    source: str = DEFAULT_SOURCE
    currency: str | None = None
    dialect: Dialect = Dialect()
    notation: Notation = Notation()
    strict: bool = False

    def __post_init__(self) -> None:
        if not self.source.strip() or len(self.source) > MAX_SOURCE or "\0" in self.source:
            raise CannotImport(f"The source is a name of 1 to {MAX_SOURCE} characters, such as payroll.")
        if (self.currency is None) == (self.columns.currency is None):
            raise CannotImport("Say which currency the amounts are in: give either --currency or --currency-column.")
        if self.currency is not None and self.currency not in currencies.codes():
            raise CannotImport(f"{self.currency!r} is not an ISO 4217 currency code, such as EUR.")
