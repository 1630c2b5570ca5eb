"""Expenses from delimited text or JSON lines: a stream and options in, a report out. See ``expenses.imports``."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass
from typing import BinaryIO

from django.db import DEFAULT_DB_ALIAS

from aggregates import transactions
from aggregates.exceptions import TotalOutOfRange
from expenses.imports.entries import Entry, Header, Rejection
from expenses.imports.exceptions import CannotImport
from expenses.imports.lines import Record, records
from expenses.imports.options import BATCH_SIZE, MAX_BATCH_SIZE, Options
from expenses.imports.report import Report
from expenses.imports.storing import Outcome, Storing, compare, stored

Batch = Sequence[Entry | Rejection]
Reader = Callable[[BinaryIO, Options], Generator[Record]]
"""Bytes → records, the header first."""


def delimited(stream: BinaryIO, options: Options) -> Generator[Record]:
    """Read delimited text, in the dialect of the options."""
    return records(stream, options.dialect)


@dataclass(frozen=True)
class Listeners:
    """Who is told while an import runs: of each rejection, and that another batch is done."""

    rejection: Callable[[Rejection], None] = lambda rejection: None
    batch: Callable[[], None] = lambda: None


class _NotAll(Exception):
    """A strict import met rows that cannot go in."""

    def __init__(self, rejections: list[Rejection]) -> None:
        super().__init__(f"{len(rejections)} rows cannot go in")
        self.rejections = rejections


class Import:
    """One import of a stream. ``report`` holds what was committed so far, also after an exception.

    The header is read when it is built; raises CannotImport where that does not have the columns.
    The stream is read in one pass, in batches, and stays open; a strict import needs one that can
    be read twice.
    """

    def __init__(
        self, stream: BinaryIO, options: Options, *, batch_size: int = BATCH_SIZE, reader: Reader = delimited
    ) -> None:
        if not 1 <= batch_size <= MAX_BATCH_SIZE:
            raise CannotImport(f"The batch size is {batch_size}: give 1 to {MAX_BATCH_SIZE}.")
        if options.strict and not stream.seekable():
            raise CannotImport("A strict import reads its input twice: give a file.")
        self._stream = stream
        self._options = options
        self._batch_size = batch_size
        self._start = stream.tell() if options.strict else 0
        self._reader = reader
        self._records = reader(stream, options)
        try:
            self._header = self._read_header()
        except CannotImport:
            self.close()
            raise
        self.report = Report(options.source)

    @property
    def columns(self) -> Sequence[str]:
        """The columns of the file."""
        return self._header.cells

    def run(self, listeners: Listeners | None = None) -> Report:
        """Import all rows and return the report.

        Each batch is one transaction, so that an interrupted import keeps what is in, and
        repeating it continues; a strict import is one transaction, or none where a row is bad.
        Raises CannotImport where the stream cannot be decoded at all.
        """
        listeners = listeners or Listeners()
        if self._options.strict:
            self._run_strict(listeners)
        else:
            storing = Storing()
            for batch in self.batches():
                self._account(batch, storing.write(_entries(batch)), listeners)
        return self.report

    def close(self) -> None:
        """Let go of the stream."""
        self._records.close()

    def _read_header(self) -> Header:
        first = next(self._records, None)
        if first is None:
            raise CannotImport("The file is empty: its first line has to name the columns.")
        return Header(first, self._options)

    def batches(self) -> Iterator[Batch]:
        """Yield what the lines say, once, in order: entries, and rejections of those that are bad in themselves."""
        lines = (self._header.entry(record) for record in self._records)
        while batch := list(itertools.islice(lines, self._batch_size)):
            yield batch

    def _rewind(self) -> None:
        self.close()
        self._stream.seek(self._start)
        self._records = self._reader(self._stream, self._options)
        next(self._records)

    def _account(self, batch: Batch, outcome: Outcome, listeners: Listeners) -> None:
        self._reject(batch, outcome.rejected, listeners)
        self.report.add(len(batch), outcome)
        listeners.batch()

    def _reject(self, batch: Batch, rejected: Iterable[Rejection], listeners: Listeners) -> None:
        """Report the lines of a batch that are bad in themselves, and these, in the file's order."""
        bad = [line for line in batch if isinstance(line, Rejection)]
        for rejection in sorted([*bad, *rejected], key=lambda rejection: rejection.line):
            self.report.reject(rejection)
            listeners.rejection(rejection)

    def _run_strict(self, listeners: Listeners) -> None:
        """First look at every line, then write in one transaction."""
        for batch in self.batches():
            there = stored(_entries(batch))
            differing = [compare(entry, there[entry.id]) for entry in _entries(batch) if entry.id in there]
            self._reject(batch, filter(None, differing), listeners)
            self.report.rows += len(batch)
            listeners.batch()
        if self.report.rejected:
            return
        try:
            report = transactions.run(lambda: self._attempt_all(listeners), using=DEFAULT_DB_ALIAS)
        except _NotAll as error:
            self._reject((), error.rejections, listeners)
        except TotalOutOfRange as error:
            raise CannotImport(f"Nothing went in, because a total would leave its range: {error}") from error
        else:
            self.report = report

    def _attempt_all(self, listeners: Listeners) -> Report:
        """Write all batches; raise _NotAll after the first with a row that cannot go in."""
        self._rewind()
        report = Report(self._options.source)
        storing = Storing()
        for batch in self.batches():
            outcome = storing.write_within(_entries(batch))
            if outcome.rejected:
                raise _NotAll(outcome.rejected)
            report.add(len(batch), outcome)
            listeners.batch()
        return report


def _entries(batch: Batch) -> list[Entry]:
    return [line for line in batch if isinstance(line, Entry)]


def import_expenses(
    stream: BinaryIO, options: Options, *, batch_size: int = BATCH_SIZE, listeners: Listeners | None = None
) -> Report:
    """Import a stream and return the report; see ``Import``."""
    with closing(Import(stream, options, batch_size=batch_size)) as importing:
        return importing.run(listeners)
