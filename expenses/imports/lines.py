"""Bytes → records, each with the line it begins on, whatever the bytes are."""

from __future__ import annotations

import codecs
import csv
import io
from collections import deque
from collections.abc import Generator
from dataclasses import dataclass
from typing import BinaryIO

from expenses.imports.exceptions import CannotImport
from expenses.imports.options import Dialect

MAX_RECORD = 100_000
"""Characters of one record at most; an unclosed quote would otherwise swallow the rest of the file.

Below csv's own limit on a field (131,072), which is global to the process and so left alone.
"""

# No decoder yields a lone surrogate, so this one marks bytes that the encoding does not have.
UNDECODABLE = "\udcff"
MARK = "expenses.mark"


def _mark(error: UnicodeError) -> tuple[str, int]:
    if not isinstance(error, UnicodeDecodeError):
        raise error
    return UNDECODABLE, error.end


codecs.register_error(MARK, _mark)


@dataclass(frozen=True, slots=True)
class Record:
    """The cells of one record and the physical line it begins on; the first line of a file is 1.

    ``problem`` is why the record could not be read, or empty; the cells are then the raw line.
    """

    line: int
    cells: list[str]
    problem: str = ""


class _RecordTooLong(Exception):
    """A record has more than MAX_RECORD characters."""


class _Lines:
    """The physical lines of a text, counted, of which some can be read again."""

    def __init__(self, text: io.TextIOBase) -> None:
        self._text = text
        self._again: deque[str] = deque()
        self.taken: list[str] = []
        self.count = 0
        self._size = 0

    def begin(self) -> int:
        """Begin a record; return the number of its first line."""
        self.taken = []
        self._size = 0
        return self.count + 1

    def begin_again(self) -> str:
        """Give up the record at hand; return its first line, and read on from the second."""
        first, *rest = self.taken
        self._again.extendleft(reversed(rest))
        self.count -= len(rest)
        return first

    def __iter__(self) -> _Lines:
        return self

    def __next__(self) -> str:
        line = self._again.popleft() if self._again else self._read()
        if not line:
            raise StopIteration
        self.count += 1
        self.taken.append(line)
        self._size += len(line)
        if self._size > MAX_RECORD:
            raise _RecordTooLong
        return line

    def _read(self) -> str:
        """Return the next line of the text, of an overlong one only the beginning."""
        line = rest = self._text.readline(MAX_RECORD + 1)
        while rest and not rest.endswith(("\n", "\r")):
            rest = self._text.readline(MAX_RECORD + 1)
        # Excel's mark of UTF-8; the encoding utf-8 leaves it in, which would rename the first column.
        return line.removeprefix("\ufeff") if self.count == 0 else line


def records(stream: BinaryIO, dialect: Dialect) -> Generator[Record]:
    """Yield the records of a delimited file in one bounded pass, blank lines left out.

    A record that is no valid CSV is yielded with its problem, and reading goes on with the line
    after its first, so that one stray quote costs one line. The stream is left open. Raises
    CannotImport where it cannot be decoded at all.
    """
    text = io.TextIOWrapper(stream, encoding=dialect.encoding, errors=MARK, newline="")
    try:
        yield from _records(_Lines(text), dialect)
    except UnicodeError as error:
        raise CannotImport(f"The file is not {dialect.encoding}: {error}. Give its --encoding.") from error
    finally:
        text.detach()


def _records(lines: _Lines, dialect: Dialect) -> Generator[Record]:
    reader = csv.reader(lines, delimiter=dialect.delimiter, strict=True)
    while True:
        number = lines.begin()
        try:
            cells = next(reader)
        except StopIteration:
            return
        except (csv.Error, _RecordTooLong) as error:
            yield Record(number, [lines.begin_again().rstrip("\r\n")[:MAX_RECORD]], _problem(error))
            continue
        if not cells or (len(cells) == 1 and not cells[0].strip()):
            continue
        undecodable = any(UNDECODABLE in cell for cell in cells)
        yield Record(number, cells, _not_decodable(dialect.encoding) if undecodable else "")


def _problem(error: Exception) -> str:
    if isinstance(error, _RecordTooLong):
        return f"the record is longer than {MAX_RECORD:,} characters: look for a quotation mark that is not closed"
    if "unexpected end of data" in str(error):
        return "a quotation mark is not closed before the end of the file: close it, or double it where it is text"
    return f"not valid CSV ({error}): put text that has quotation marks in quotation marks, and double those inside"


def _not_decodable(encoding: str) -> str:
    return f"has bytes that are not {encoding}: give the file's --encoding, such as cp1252, or mend them"
