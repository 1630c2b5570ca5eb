"""``manage.py purge``: forget what is no longer asked for."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Any

from django.contrib.sessions.models import Session
from django.core.management.base import CommandParser
from django.db import DEFAULT_DB_ALIAS, models
from django.utils import timezone
from knox.models import AuthToken

from aggregates import interrupts, progress
from aggregates.batches import batched
from aggregates.management import base
from aggregates.management.failures import COULD_NOT_RUN
from aggregates.models import Run
from aggregates.output import positive
from aggregates.runs import SCOPE
from api.models import IdempotencyKey

ROWS_A_STATEMENT = 500


class Command(base.Command):
    """Delete old idempotency keys, expired tokens and sessions, and old runs."""

    help = (
        "Delete idempotency keys that nobody repeats any more, tokens and sessions that have expired, and old records "
        "of verifies and rebuilds; of those the last of each kind stay, and the last clean verify. Safe while the "
        "service runs, and to break off."
    )
    examples = (
        ("Delete what is past its time", "manage.py purge"),
        ("Say what would go", "manage.py purge --dry-run --format json"),
        ("Keep keys for a month and runs for a year", "manage.py purge --key-days 30 --run-days 365"),
    )
    exits = {0: "done", COULD_NOT_RUN: "could not run", base.INTERRUPTED: "interrupted, run again to delete the rest"}
    resume = "What was deleted is gone; run purge again to delete the rest."

    def add_arguments(self, parser: CommandParser) -> None:
        """Declare the options."""
        super().add_arguments(parser)
        parser.add_argument("--key-days", type=positive, default=7, help="Keep idempotency keys so many days (7).")
        parser.add_argument("--run-days", type=positive, default=90, help="Keep records of runs so many days (90).")
        parser.add_argument("--dry-run", action="store_true", help="Say how many rows would go, and delete nothing.")
        parser.add_argument("--database", default=DEFAULT_DB_ALIAS, help="Which database to purge.")

    def handle(self, *args: Any, **options: Any) -> None:
        """Print how many rows went."""
        now, using, dry_run = timezone.now(), options["database"], options["dry_run"]
        before = now - timedelta(days=options["key_days"])
        outdated: dict[str, models.QuerySet[Any]] = {
            "idempotency_keys": IdempotencyKey.objects.using(using).filter(created_at__lt=before),
            "tokens": AuthToken.objects.using(using).filter(expiry__lt=now),
            "sessions": Session.objects.using(using).filter(expire_date__lt=now),
        }
        gone = {name: rows.count() if dry_run else _delete(rows, name) for name, rows in outdated.items()}
        old_runs = list(_old_runs(now - timedelta(days=options["run_days"]), using))
        gone["runs"] = len(old_runs) if dry_run else _delete_runs(old_runs, using)
        told = ", ".join(f"{count} {_in_words(name)}" for name, count in gone.items())
        verb = "Would delete" if dry_run else "Deleted"
        self.stdout.write(json.dumps(gone) if options["format"] == "json" else f"{verb}: {told}.")


def _old_runs(before: datetime, using: str) -> Iterator[Any]:
    """Yield the keys of the runs that ended so long ago, but for those that tell the present state of the totals."""
    seen: set[tuple[str, str]] = set()
    runs = Run.objects.using(using).order_by("-started_at")
    for run in runs.only("totals", "kind", "state", "drifted", "fingerprint", "started_at", "options").iterator():
        tells = _tells(run)
        if run.started_at < before and tells <= seen and run.state != Run.State.RUNNING:
            yield run.pk
        seen |= tells


def _tells(run: Run) -> set[tuple[str, str]]:
    """Return what a run tells that an earlier one need not tell any more."""
    if SCOPE in run.options:
        return set()  # it looked at a part
    clean = run.kind == Run.Kind.VERIFY and run.clean_result
    complete = {(run.totals, f"{run.kind} {run.state}")} if run.state == Run.State.COMPLETE else set()
    return {(run.totals, str(run.kind))} | complete | ({(run.totals, run.fingerprint)} if clean else set())


def _delete(rows: models.QuerySet[Any], name: str) -> int:
    """Delete rows, a few in each transaction, so that nobody waits for long; return how many went."""
    gone = 0
    with progress.bar(rows.count(), unit="row", label=f"purge {_in_words(name)}") as bar:
        while keys := list(rows.order_by("pk").values_list("pk", flat=True)[:ROWS_A_STATEMENT]):
            gone += rows.filter(pk__in=keys).delete()[0]
            bar.update(len(keys))
            interrupts.check()
    return gone


def _delete_runs(keys: list[Any], using: str) -> int:
    gone, runs = 0, Run.objects.using(using)
    with progress.bar(len(keys), unit="row", label="purge runs") as bar:
        for batch in batched(keys, ROWS_A_STATEMENT):
            gone += runs.filter(pk__in=batch).delete()[0]
            bar.update(len(batch))
            interrupts.check()
    return gone


def _in_words(name: str) -> str:
    return name.replace("_", " ")
