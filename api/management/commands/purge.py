"""``manage.py purge``: forget what is no longer asked for."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from datetime import datetime, timedelta
from typing import Any

from django.core.management.base import BaseCommand, CommandParser
from django.db import DEFAULT_DB_ALIAS, models
from django.utils import timezone
from knox.models import AuthToken

from aggregates.batches import batched
from aggregates.management.failures import could_not_run
from aggregates.models import Run
from aggregates.output import positive
from api.models import IdempotencyKey

ROWS_A_STATEMENT = 500


class Command(BaseCommand):
    """Delete old idempotency keys, expired tokens and old runs."""

    help = (
        "Delete idempotency keys that nobody repeats any more, tokens that have expired, and old records of verifies "
        "and rebuilds; of those the last of each kind stay, and the last clean verify. Safe while the service runs. "
        "Example: manage.py purge --key-days 7 --run-days 90"
    )

    def add_arguments(self, parser: CommandParser) -> None:
        """Declare the options."""
        parser.add_argument("--key-days", type=positive, default=7, help="Keep idempotency keys so many days (7).")
        parser.add_argument("--run-days", type=positive, default=90, help="Keep records of runs so many days (90).")
        parser.add_argument("--format", choices=("text", "json"), default="text", help="How to print what went.")
        parser.add_argument("--database", default=DEFAULT_DB_ALIAS, help="Which database to purge.")

    def handle(self, *args: Any, **options: Any) -> None:
        """Print how many rows went."""
        now, using = timezone.now(), options["database"]
        keys = IdempotencyKey.objects.using(using).filter(created_at__lt=now - timedelta(days=options["key_days"]))
        tokens = AuthToken.objects.using(using).filter(expiry__lt=now)
        with could_not_run():
            gone = {
                "idempotency_keys": _delete(keys, keys.values_list("pk", flat=True)),
                "tokens": _delete(tokens, tokens.values_list("pk", flat=True)),
                "runs": _delete(Run.objects.using(using), _old_runs(now - timedelta(days=options["run_days"]), using)),
            }
        told = ", ".join(f"{count} {name.replace('_', ' ')}" for name, count in gone.items())
        self.stdout.write(json.dumps(gone) if options["format"] == "json" else f"Deleted: {told}.")


def _old_runs(before: datetime, using: str) -> Iterator[Any]:
    """Yield the keys of the runs that ended so long ago, but for those that tell the present state of the totals."""
    seen: set[tuple[str, str]] = set()
    runs = Run.objects.using(using).order_by("-started_at")
    for run in runs.only("totals", "kind", "state", "drifted", "fingerprint", "started_at").iterator():
        clean = run.kind == Run.Kind.VERIFY and run.clean_result
        tells = {(run.totals, run.kind)} | ({(run.totals, run.fingerprint)} if clean else set())
        if run.started_at < before and tells <= seen and run.state != Run.State.RUNNING:
            yield run.pk
        seen |= tells


def _delete(rows: models.QuerySet[Any], keys: Iterable[Any]) -> int:
    """Delete the rows with these keys, a few in each transaction, so that nobody waits for long."""
    return sum(rows.filter(pk__in=batch).delete()[0] for batch in batched(list(keys), ROWS_A_STATEMENT))
