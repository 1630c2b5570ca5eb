"""``manage.py totals_status``: what is ready, how many rows there are, what the last runs found."""

from __future__ import annotations

import datetime as dt
import json
import sys
from typing import Any

from django.core.management.base import CommandParser
from django.db import DEFAULT_DB_ALIAS

from aggregates import registry
from aggregates.management import base
from aggregates.management.failures import COULD_NOT_RUN
from aggregates.models import Run
from aggregates.status import RollupStatus, Status, status


class Command(base.Command):
    """Tell how the totals stand."""

    help = (
        "Tell how the totals stand: which rollups are read, how many buckets and rows they have, which slots are in "
        "use, and what the last verify and rebuild of everything found. Compares nothing: verify_totals does."
    )
    examples = (
        ("See how the totals stand", "manage.py totals_status"),
        ("Ask a script's question: is all well?", "manage.py totals_status --format json"),
    )
    exits = {0: "all is well", 1: "something is not ready, or drifted", COULD_NOT_RUN: "could not run"}
    resume = "Nothing has to be undone."
    interrupted = COULD_NOT_RUN

    def add_arguments(self, parser: CommandParser) -> None:
        """Declare the options."""
        super().add_arguments(parser)
        parser.add_argument("--database", default=DEFAULT_DB_ALIAS, help="Which database to ask.")

    def handle(self, *args: Any, **options: Any) -> None:
        """Print it on standard output."""
        found = [status(definition, using=options["database"]) for definition in registry.working()]
        if options["format"] == "json":
            self.stdout.write(json.dumps({"totals": [_as_json(one) for one in found]}, indent=1))
        else:
            for one in found:
                self._print(one)
        if any(one.needs_attention for one in found):
            sys.exit(1)

    def _print(self, one: Status) -> None:
        verified = f"verified {_time(one.verified_at)}" if one.verified_at else "never verified"
        self.stdout.write(f"{one.label}: {verified}")
        for rollup in one.rollups:
            self.stdout.write(f"  {_line(rollup)}")
        if one.undeclared_rows:
            self.stdout.write(f"  {one.undeclared_rows:,} rows of rollups that are not declared: run rebuild_totals")
        for kind, run in one.last.items():
            self.stdout.write(f"  last {kind}: {_told(run) if run else 'none'}")


def _line(rollup: RollupStatus) -> str:
    ready = "ready" if rollup.ready else "NOT READY: run rebuild_totals"
    spread = f", {rollup.spread:,} of them in slots" if rollup.spread else ""
    compared = f", {rollup.buckets:,} buckets when last found clean" if rollup.checked_at else ""
    return (
        f"{rollup.name}: {ready}, {rollup.rows:,} rows{spread}, slots {rollup.slots_used} of {rollup.slots}{compared}"
    )


def _told(run: Run) -> str:
    found = f", {run.drifted:,} of {run.buckets:,} buckets drifted" if run.buckets else ""
    corrected = f", {run.corrected:,} corrected" if run.kind == Run.Kind.REBUILD else ""
    return f"{_time(run.started_at)}, {run.state}{found}{corrected}{': ' + run.error if run.error else ''}"


def _time(moment: dt.datetime) -> str:
    return f"{moment:%Y-%m-%d %H:%M:%S %Z}"


def _as_json(one: Status) -> dict[str, Any]:
    return {
        "totals": one.label,
        "needs_attention": one.needs_attention,
        "verified_at": _iso(one.verified_at),
        "undeclared_rows": one.undeclared_rows,
        "rollups": [
            {
                "rollup": rollup.name,
                "ready": rollup.ready,
                "buckets": rollup.buckets,
                "rows": rollup.rows,
                "spread": rollup.spread,
                "slots": rollup.slots,
                "slots_used": rollup.slots_used,
                "checked_at": _iso(rollup.checked_at),
            }
            for rollup in one.rollups
        ],
        "last": {str(kind): run and _run(run) for kind, run in one.last.items()},
    }


def _run(run: Run) -> dict[str, Any]:
    told = ("state", "chunks", "chunks_done", "buckets", "drifted", "corrected", "error")
    times = {name: _iso(getattr(run, name)) for name in ("started_at", "finished_at")}
    return {"id": str(run.pk), **times, **{name: getattr(run, name) for name in told}}


def _iso(moment: dt.datetime | None) -> str | None:
    return None if moment is None else moment.isoformat()
