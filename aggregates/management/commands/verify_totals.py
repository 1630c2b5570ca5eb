"""``manage.py verify_totals``: prove that no total drifted, or name those that did."""

from __future__ import annotations

import sys
from typing import Any

from django.core.management.base import CommandParser
from django.db import DEFAULT_DB_ALIAS
from django.utils import timezone

from aggregates import output, progress
from aggregates.definitions import Definition
from aggregates.management import base, scoping
from aggregates.management.failures import COULD_NOT_RUN
from aggregates.verify import verify


class Command(base.Command):
    """Compare every stored total with its source rows."""

    help = "Compare every stored total with its source rows. Writers may run meanwhile."
    examples = (
        ("Prove that no total drifted", "manage.py verify_totals"),
        (
            "Repair what is found, and nothing else",
            "manage.py verify_totals --format json | manage.py rebuild_totals --from-report -",
        ),
        ("Look at one owner's quarter alone", "manage.py verify_totals --owner 3 --from 2026-01-01 --to 2026-04-01"),
        ("Look at one currency, a few rows a time", "manage.py verify_totals --where currency=EUR --batch-size 50000"),
    )
    exits = {0: "clean", 1: "drift", COULD_NOT_RUN: "could not run, or not to its end"}
    resume = "Not everything was compared. Nothing has to be undone: run verify_totals again, it begins anew."
    interrupted = COULD_NOT_RUN
    formats = output.FORMATS

    def add_arguments(self, parser: CommandParser) -> None:
        """Declare the options."""
        super().add_arguments(parser)
        parser.add_argument("--database", default=DEFAULT_DB_ALIAS, help="Which database to verify.")
        parser.add_argument("--batch-size", type=output.positive, help="Source rows a statement looks at, about.")
        scoping.add_arguments(parser)

    def handle(self, *args: Any, **options: Any) -> None:
        """Print the report on standard output."""
        selection = scoping.selection(options)
        about = {"checked_at": timezone.now(), "selection": selection}
        with output.report(options["format"], self.stdout, **about) as report:
            for definition, within in scoping.totals(selection):
                steps = verify(
                    definition,
                    using=options["database"],
                    clock=timezone.now,
                    batch_size=options["batch_size"],
                    within=within,
                )
                _show(definition, steps, report)
        if options["format"] == "csv" and selection:
            self.stderr.write("\n".join(f"skipped {skipped}" for skipped in selection.skipped))
        if not report.clean:
            sys.exit(1)


def _show(definition: Definition, steps: Any, report: output.Report) -> None:
    with progress.bar(None, unit="chunk", label=f"verify {definition.label}") as bar:
        for run, comparison in steps:
            progress.show(bar, run)
            report.add(definition, comparison)
