"""``manage.py fold_totals``: bring spread totals back to one row a bucket."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

from django.core.management.base import CommandParser
from django.db import DEFAULT_DB_ALIAS
from django.utils import timezone

from aggregates import chunks, conf, folding, interrupts, progress, registry
from aggregates.definitions import Definition
from aggregates.management import base
from aggregates.management.failures import COULD_NOT_RUN


class Command(base.Command):
    """Fold the slots of every bucket."""

    help = (
        "Fold the slots of every bucket into one row and drop empty rows. Changes no sum; verify_totals and "
        "rebuild_totals do it as well. Writers may run meanwhile."
    )
    examples = (
        ("Fold what no writer holds just now", "manage.py fold_totals"),
        ("Fold everything", "manage.py fold_totals --wait --format json"),
    )
    exits = {0: "done", COULD_NOT_RUN: "could not run", base.INTERRUPTED: "interrupted, run again to do the rest"}
    resume = "What was folded stays; run fold_totals again to do the rest."

    def add_arguments(self, parser: CommandParser) -> None:
        """Declare the options."""
        super().add_arguments(parser)
        parser.add_argument(
            "--wait", action="store_true", help="Wait for rows that writers hold; else they stay for the next time."
        )
        parser.add_argument("--database", default=DEFAULT_DB_ALIAS, help="Which database to fold.")

    def handle(self, *args: Any, **options: Any) -> None:
        """Print how many rows went."""
        folded = {
            definition.label: sum(_fold(definition, options["database"], wait=options["wait"]))
            for definition in registry.working()
        }
        if options["format"] == "json":
            self.stdout.write(json.dumps({"at": timezone.now().isoformat(), "folded": folded}))
        else:
            self.stdout.write("\n".join(f"{label}: {gone:,} rows folded" for label, gone in folded.items()))


def _fold(definition: Definition, using: str, *, wait: bool) -> Iterator[int]:
    planned = chunks.plan(definition, using=using, batch_size=conf.current().BATCH_SIZE)
    with progress.bar(len(planned), unit="chunk", label=f"fold {definition.label}") as bar:
        for chunk in planned:
            yield folding.fold(definition, chunk, using=using, wait=wait)
            bar.update(1)
            interrupts.check()
