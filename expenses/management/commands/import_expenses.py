"""Import expenses from a delimited text file."""

from __future__ import annotations

import json
import os
import shutil
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, closing, contextmanager
from pathlib import Path
from typing import Any, BinaryIO

from django.core.management.base import CommandError, CommandParser
from django.db import DatabaseError

from aggregates import interrupts, progress
from aggregates.management import base
from aggregates.management.base import INTERRUPTED
from aggregates.management.failures import COULD_NOT_RUN
from expenses import currencies
from expenses.importing import Import, Listeners
from expenses.imports.exceptions import CannotImport
from expenses.imports.options import BATCH_SIZE, DEFAULT_SOURCE, Columns, Dialect, Notation, Options
from expenses.imports.rejects import RejectsFile
from expenses.imports.report import Report, Sum

REJECTED = 1


class Command(base.Command):
    """Rows in; a summary on standard output, rejected lines on standard error."""

    help = (
        "Import expenses from a delimited text file with a header. Unknown owners and categories are created. "
        "Repeating an import changes nothing: an expense is known by source, owner and external id. To mend rejected "
        "lines, correct them in the file of --rejects and import that with the same options."
    )
    examples = (
        (
            "Dates as 2026-01-31, amounts as 12.50, all in euros",
            "manage.py import_expenses march.csv --id-column id --owner-column user --category-column category \\\n"
            "      --date-column date --amount-column amount --currency EUR",
        ),
        (
            "A ledger from elsewhere; what is wrong in it goes to a file of its own",
            "manage.py import_expenses ledger.csv --delimiter ';' --encoding latin-1 --decimal-comma \\\n"
            "      --date-format '%d/%m/%Y' --id-column NR --owner-column NAME --category-column ART \\\n"
            "      --date-column TAG --amount-column BETRAG --currency-column WAEHRUNG --rejects rejected.csv",
        ),
    )
    exits = {
        0: "all rows are in",
        REJECTED: "rows were rejected",
        COULD_NOT_RUN: "could not run",
        INTERRUPTED: "interrupted, repeat it to go on",
    }
    resume = "Repeat the same command to go on: what is in is recognised."

    def add_arguments(self, parser: CommandParser) -> None:
        """Declare the options."""
        super().add_arguments(parser)
        parser.add_argument("file", metavar="FILE", help="the file, or - for standard input")
        columns = parser.add_argument_group("columns, as the header names them")
        for role, says in (
            ("owner", "the owner's username"),
            ("category", "the category; an empty cell is uncategorised"),
            ("date", "the day the money was spent"),
            ("amount", "the amount; a refund is negative"),
            ("id", "the source's own id of the expense, unique for its owner"),
        ):
            columns.add_argument(f"--{role}-column", required=True, metavar="NAME", help=says)
        columns.add_argument("--description-column", metavar="NAME", help="free text")
        columns.add_argument("--status-column", metavar="NAME", help="draft, submitted (also for an empty cell), …")
        columns.add_argument("--currency-column", metavar="NAME", help="ISO 4217 codes")
        columns.add_argument("--currency", metavar="XXX", help="the currency of all amounts, instead of a column")
        notation = parser.add_argument_group("notation")
        notation.add_argument("--delimiter", default=",", type=_delimiter, help="between cells (default: ,)")
        notation.add_argument("--encoding", default="utf-8-sig", help="default: utf-8, with or without BOM")
        notation.add_argument("--decimal-comma", action="store_true", help="amounts are written 1.234,56 or 1234,56")
        notation.add_argument("--date-format", metavar="FORMAT", help="such as %%d/%%m/%%Y (default: ISO 8601)")
        parser.add_argument(
            "--source",
            default=DEFAULT_SOURCE,
            help="the system whose ids they are; another source's ids are others (default: %(default)s)",
        )
        parser.add_argument("--rejects", metavar="FILE", help="write rejected lines there, as CSV with line and reason")
        parser.add_argument("--strict", action="store_true", help="import nothing if any line is bad")
        parser.add_argument(
            "--batch-size", type=int, default=BATCH_SIZE, metavar="N", help="rows a transaction (default: %(default)s)"
        )

    def handle(self, *args: Any, **options: Any) -> None:
        """Import; exit with 0, 1, 2 or 3 as the help says."""
        try:
            with ExitStack() as stack:
                wanted = _options(options)
                stream = stack.enter_context(_opened(options["file"], spool=wanted.strict))
                importing = stack.enter_context(closing(Import(stream, wanted, batch_size=options["batch_size"])))
                interrupted = self._run(importing, _listeners(stack, stream, importing, options))
        except (CannotImport, OSError) as error:
            raise CommandError(str(error), returncode=COULD_NOT_RUN) from error
        report = importing.report
        self._print_rejections(report)
        self.stdout.write(
            _as_json(report, interrupted=interrupted) if options["format"] == "json" else _as_text(report)
        )
        self._exit(report, strict=wanted.strict, interrupted=interrupted)

    def _run(self, importing: Import, listeners: Listeners) -> bool:
        """Run the import; return whether it was interrupted."""
        with interrupts.heeded():
            try:
                importing.run(listeners)
            except (KeyboardInterrupt, DatabaseError) as error:
                if interrupts.caused(error):
                    return True
                raise CannotImport(f"The database refused: {error}\n{_how_to_go_on(importing.report)}") from error
        return False

    def _print_rejections(self, report: Report) -> None:
        for rejection in report.rejections:
            self.stderr.write(f"line {rejection.line}: {rejection.reason}")
        if more := report.rejected - len(report.rejections):
            self.stderr.write(f"… and {more} more; --rejects FILE writes all of them.")

    def _exit(self, report: Report, *, strict: bool, interrupted: bool) -> None:
        """Exit with the status that tells what happened."""
        if interrupted:
            self.stderr.write(f"Interrupted. {_how_to_go_on(report)}")
            sys.exit(INTERRUPTED)
        if report.rejected:
            if strict:
                self.stderr.write("Nothing went in, because of --strict: correct these lines and import again.")
            sys.exit(REJECTED)


def _how_to_go_on(report: Report) -> str:
    return f"{report.added_count} expenses went in. Repeat the same command to go on: what is in is recognised."


def _delimiter(value: str) -> str:
    return "\t" if value in {"\\t", "tab"} else value


def _options(given: dict[str, Any]) -> Options:
    roles = ("owner", "category", "date", "amount", "id", "currency", "description", "status")
    return Options(
        columns=Columns(**{role: given[f"{role}_column"] for role in roles}),
        source=given["source"],
        currency=given["currency"],
        dialect=Dialect(given["delimiter"], given["encoding"]),
        notation=Notation(given["decimal_comma"], given["date_format"]),
        strict=given["strict"],
    )


@contextmanager
def _opened(path: str, *, spool: bool) -> Iterator[BinaryIO]:
    """Yield the file, or standard input, which is spooled to disk where it is read twice."""
    if path != "-":
        with Path(path).open("rb") as stream:
            yield stream
    elif not spool:
        yield sys.stdin.buffer
    else:
        with tempfile.TemporaryFile() as spooled:
            shutil.copyfileobj(sys.stdin.buffer, spooled)
            spooled.seek(0)
            yield spooled


def _listeners(stack: ExitStack, stream: BinaryIO, importing: Import, given: dict[str, Any]) -> Listeners:
    """Return a progress bar over the bytes of the file, and the file of rejected lines if one is asked for."""
    seekable = stream.seekable()
    passes = 2 if given["strict"] else 1
    size = os.fstat(stream.fileno()).st_size * passes if seekable else None
    bar = stack.enter_context(progress.bar(size, unit="B", label="importing"))
    at = 0

    def batch() -> None:
        nonlocal at
        interrupts.check()
        now = stream.tell() if seekable else 0
        bar.update(now - at if now >= at else now)  # the second pass begins at 0 again
        at = now

    if not given["rejects"]:
        return Listeners(batch=batch)
    rejects = stack.enter_context(_rejects_file(given, importing.columns))
    return Listeners(rejection=rejects.write, batch=batch)


@contextmanager
def _rejects_file(given: dict[str, Any], columns: Sequence[str]) -> Iterator[RejectsFile]:
    path = Path(given["rejects"])
    if given["file"] != "-" and path.exists() and path.samefile(given["file"]):
        raise CannotImport(f"--rejects {path} is the file to import: give another one.")
    dialect = Dialect(given["delimiter"], given["encoding"])
    with path.open("w", encoding=dialect.encoding, errors="backslashreplace", newline="") as stream:
        yield RejectsFile(stream, columns, dialect)


def _as_json(report: Report, *, interrupted: bool) -> str:
    return json.dumps({**report.as_dict(), "interrupted": interrupted}, ensure_ascii=False, indent=2)


def _as_text(report: Report) -> str:
    lines = [
        f"rows read  {report.rows:>9}",
        f"added      {report.added_count:>9}  {_sums(report.added)}",
        f"unchanged  {report.unchanged_count:>9}  {_sums(report.unchanged)}",
        f"rejected   {report.rejected:>9}",
    ]
    if report.owners_created or report.categories_created:
        lines.append(f"new owners: {report.owners_created}, new categories: {report.categories_created}")
    return "\n".join(line.rstrip() for line in lines)


def _sums(sums: dict[str, Sum]) -> str:
    return ", ".join(f"{code} {currencies.plain(total.amount, code)}" for code, total in sorted(sums.items()))
