"""``manage.py rebuild_totals``: bring every total back to what its source rows say."""

from __future__ import annotations

import sys
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.db import DEFAULT_DB_ALIAS
from django.utils import timezone

from aggregates import output, progress, registry
from aggregates.definitions import Definition
from aggregates.management.failures import could_not_run
from aggregates.rebuild import Options, rebuild


class Command(BaseCommand):
    """Correct every stored total that differs from its source rows."""

    help = (
        "Correct every stored total that differs from its source rows. Safe while writers run, and to break off: "
        "what was corrected stays, the next run does the rest. "
        "Exit code 0: done, 1: a dry run found drift, 2: could not run, 3: interrupted, run again."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        """Declare the options."""
        parser.add_argument(
            "--from-scratch",
            action="store_true",
            help="Rely on nothing that is stored: also rewrite keys and dimensions, and fold every slot.",
        )
        parser.add_argument("--dry-run", action="store_true", help="Report the drift and correct nothing.")
        parser.add_argument("--batch-size", type=output.positive, help="Source rows a statement looks at, about.")
        parser.add_argument("--format", choices=("text", "json"), default="text", help="How to print the report.")
        parser.add_argument("--database", default=DEFAULT_DB_ALIAS, help="Which database to rebuild.")

    def handle(self, *args: Any, **options: Any) -> None:
        """Print what was found, and corrected, on standard output."""
        asked = Options(options["from_scratch"], options["dry_run"], options["batch_size"])
        report = output.report(options["format"], self.stdout, checked_at=timezone.now(), corrects=not asked.dry_run)
        try:
            with could_not_run(), report:
                for definition in registry.working():
                    self._rebuild(definition, asked, options["database"], report)
        except KeyboardInterrupt:
            raise CommandError(
                "Interrupted. What was corrected stays; run rebuild_totals again to do the rest.", returncode=3
            ) from None
        if asked.dry_run and not report.clean:
            sys.exit(1)

    def _rebuild(self, definition: Definition, asked: Options, using: str, report: output.Report) -> None:
        label = f"rebuild {definition.label}"
        corrected = 0
        with progress.bar(None, unit="chunk", label=label) as bar:
            for run, comparison in rebuild(definition, asked, using=using, clock=timezone.now):
                bar.total = run.chunks
                bar.update(run.chunks_done - bar.n)
                report.add(definition, comparison, corrected=run.corrected - corrected)
                corrected = run.corrected
