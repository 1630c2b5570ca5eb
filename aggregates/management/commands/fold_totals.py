"""``manage.py fold_totals``: bring spread totals back to one row a bucket."""

from __future__ import annotations

import json
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.db import DEFAULT_DB_ALIAS
from django.utils import timezone

from aggregates import chunks, conf, folding, interrupts, progress, registry
from aggregates.definitions import Definition
from aggregates.management.failures import could_not_run


class Command(BaseCommand):
    """Fold the slots of every bucket."""

    help = (
        "Fold the slots of every bucket into one row and drop empty rows. Changes no sum; verify_totals and "
        "rebuild_totals do it as well. Writers may run meanwhile. "
        "Exit code 0: done, 2: could not run, 3: interrupted, run again."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        """Declare the options."""
        parser.add_argument(
            "--wait", action="store_true", help="Wait for rows that writers hold; else they stay for the next time."
        )
        parser.add_argument("--format", choices=("text", "json"), default="text", help="How to print what was done.")
        parser.add_argument("--database", default=DEFAULT_DB_ALIAS, help="Which database to fold.")

    def handle(self, *args: Any, **options: Any) -> None:
        """Print how many rows went."""
        folded: dict[str, int] = {}
        try:
            with could_not_run():
                for definition in registry.working():
                    folded[definition.label] = 0
                    for gone in _fold(definition, options["database"], wait=options["wait"]):
                        folded[definition.label] += gone
        except KeyboardInterrupt:
            raise CommandError(
                "Interrupted. What was folded stays; run fold_totals again to do the rest.", returncode=3
            ) from None
        if options["format"] == "json":
            self.stdout.write(json.dumps({"at": timezone.now().isoformat(), "folded": folded}))
        else:
            self.stdout.write("\n".join(f"{label}: {gone:,} rows folded" for label, gone in folded.items()))


def _fold(definition: Definition, using: str, *, wait: bool) -> Any:
    planned = chunks.plan(definition, using=using, batch_size=conf.current().BATCH_SIZE)
    with progress.bar(len(planned), unit="chunk", label=f"fold {definition.label}") as bar:
        for chunk in planned:
            yield folding.fold(definition, chunk, using=using, wait=wait)
            bar.update(1)
            interrupts.check()
