"""``manage.py verify_totals``: prove that no total drifted, or name those that did."""

from __future__ import annotations

import sys
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.db import DEFAULT_DB_ALIAS
from django.utils import timezone

from aggregates import output, progress, registry
from aggregates.definitions import Definition
from aggregates.management.failures import COULD_NOT_RUN, could_not_run
from aggregates.verify import verify


class Command(BaseCommand):
    """Compare every stored total with its source rows."""

    help = (
        "Compare every stored total with its source rows. Writers may run meanwhile. "
        "Exit code 0: clean, 1: drift, 2: could not run."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        """Declare the options."""
        parser.add_argument("--format", choices=output.FORMATS, default="text", help="How to print the report.")
        parser.add_argument("--database", default=DEFAULT_DB_ALIAS, help="Which database to verify.")
        parser.add_argument("--batch-size", type=output.positive, help="Source rows a statement looks at, about.")

    def handle(self, *args: Any, **options: Any) -> None:
        """Print the report on standard output."""
        report = output.report(options["format"], self.stdout, checked_at=timezone.now())
        try:
            with could_not_run(), report:
                for definition in registry.working():
                    _verify(definition, options["database"], options["batch_size"], report)
        except KeyboardInterrupt:
            raise CommandError("Interrupted before everything was compared.", returncode=COULD_NOT_RUN) from None
        if not report.clean:
            sys.exit(1)


def _verify(definition: Definition, using: str, batch_size: int | None, report: output.Report) -> None:
    with progress.bar(None, unit="chunk", label=f"verify {definition.label}") as bar:
        for run, comparison in verify(definition, using=using, clock=timezone.now, batch_size=batch_size):
            bar.total = run.chunks
            bar.update(run.chunks_done - bar.n)
            report.add(definition, comparison)
