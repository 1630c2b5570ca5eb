"""``manage.py verify_totals``: prove that no total drifted, or name those that did."""

from __future__ import annotations

import sys
from typing import Any

from django.core.management.base import BaseCommand, CommandParser
from django.db import DEFAULT_DB_ALIAS
from django.utils import timezone

from aggregates import output, progress, registry
from aggregates.management.failures import could_not_run
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
        with could_not_run(), report:
            for definition in registry.working():
                steps = verify(
                    definition, using=options["database"], clock=timezone.now, batch_size=options["batch_size"]
                )
                with progress.bar(None, unit="chunk", label=f"verify {definition.label}") as bar:
                    for run, comparison in steps:
                        bar.total = run.chunks
                        bar.update(run.chunks_done - bar.n)
                        report.add(definition, comparison)
        if not report.clean:
            sys.exit(1)
