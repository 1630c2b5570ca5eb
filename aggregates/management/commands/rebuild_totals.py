"""``manage.py rebuild_totals``: bring every total back to what its source rows say."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO

from django.core.management.base import CommandError, CommandParser
from django.db import DEFAULT_DB_ALIAS
from django.utils import timezone

from aggregates import mending, output, progress, registry, reported
from aggregates.definitions import Definition
from aggregates.management import base, scoping
from aggregates.management.failures import COULD_NOT_RUN
from aggregates.rebuild import Options, rebuild


class Command(base.Command):
    """Correct every stored total that differs from its source rows."""

    help = (
        "Correct every stored total that differs from its source rows. Safe while writers run, and to break off: "
        "what was corrected stays, the next run does the rest."
    )
    examples = (
        ("Repair whatever drifted", "manage.py rebuild_totals"),
        ("Say what would be repaired", "manage.py rebuild_totals --dry-run --format json"),
        (
            "Repair just what a verify reported",
            "manage.py verify_totals --format json | manage.py rebuild_totals --from-report -",
        ),
        ("The same from a file", "manage.py rebuild_totals --from-report drift.json"),
        ("Repair one owner's quarter alone", "manage.py rebuild_totals --owner 3 --from 2026-01-01 --to 2026-04-01"),
        ("Rely on nothing that is stored", "manage.py rebuild_totals --from-scratch --batch-size 100000"),
    )
    exits = {
        0: "done",
        1: "a dry run found drift",
        COULD_NOT_RUN: "could not run, or the report that was given was cut short",
        base.INTERRUPTED: "interrupted, run again to do the rest",
    }
    resume = "What was corrected stays; run rebuild_totals again to do the rest."

    def add_arguments(self, parser: CommandParser) -> None:
        """Declare the options."""
        super().add_arguments(parser)
        parser.add_argument(
            "--from-scratch",
            action="store_true",
            help="Rely on nothing that is stored: also rewrite keys and dimensions, and fold every slot.",
        )
        parser.add_argument("--dry-run", action="store_true", help="Report the drift and correct nothing.")
        parser.add_argument(
            "--from-report",
            metavar="FILE",
            help="Repair the buckets alone that a report of verify_totals --format json names, each compared afresh; "
            "- for standard input.",
        )
        parser.add_argument("--batch-size", type=output.positive, help="Source rows a statement looks at, about.")
        parser.add_argument("--database", default=DEFAULT_DB_ALIAS, help="Which database to rebuild.")
        scoping.add_arguments(parser)

    def handle(self, *args: Any, **options: Any) -> None:
        """Print what was found, and corrected, on standard output."""
        found = self._rebuild(options) if options["from_report"] is None else self._mend(options)
        if options["dry_run"] and not found.clean:
            sys.exit(1)

    def _report(self, options: dict[str, Any], **about: Any) -> output.Report:
        corrects = not options["dry_run"]
        return output.report(options["format"], self.stdout, checked_at=timezone.now(), corrects=corrects, **about)

    def _rebuild(self, options: dict[str, Any]) -> output.Report:
        selection = scoping.selection(options)
        with self._report(options, selection=selection) as report:
            for definition, within in scoping.totals(selection):
                asked = Options(options["from_scratch"], options["dry_run"], options["batch_size"], within)
                _rebuild(definition, asked, options["database"], report)
        return report

    def _mend(self, options: dict[str, Any]) -> output.Report:
        others = ("from_scratch", "batch_size", "owner", "where", "first", "end")
        if any(options[name] for name in others):
            raise CommandError("A report says what to look at: --from-report takes --dry-run alone beside it.")
        using = options["database"]
        with (
            _opened(options["from_report"]) as stream,
            reported.received(stream, registry.working(), using=using) as told,
            self._report(options, reported=True) as report,
        ):
            _mend(told, report, dry_run=options["dry_run"], using=using)
        if told.error:
            raise CommandError(
                f"The report is not complete ({told.error}): what it names was looked at, and there may be more. "
                "Run verify_totals again.",
                returncode=COULD_NOT_RUN,
            )
        return report


def _rebuild(definition: Definition, asked: Options, using: str, report: output.Report) -> None:
    corrected = 0
    with progress.bar(None, unit="chunk", label=f"rebuild {definition.label}") as bar:
        for run, comparison in rebuild(definition, asked, using=using, clock=timezone.now):
            progress.show(bar, run)
            report.add(definition, comparison, corrected=run.corrected - corrected)
            corrected = run.corrected


def _mend(told: reported.Reported, report: output.Report, *, dry_run: bool, using: str) -> None:
    with progress.bar(sum(told.counts.values()), unit="bucket", label="rebuild") as bar:
        for step in mending.mend(told, dry_run=dry_run, using=using, clock=timezone.now):
            report.add(step.definition, step.comparison, corrected=step.corrected)
            for bucket in step.settled:
                report.settle(bucket)
            bar.update(step.comparison.buckets)


@contextmanager
def _opened(path: str) -> Iterator[BinaryIO]:
    if path == "-":
        yield sys.stdin.buffer
    else:
        with Path(path).open("rb") as stream:
            yield stream
