"""Load the demo data."""

from __future__ import annotations

import json
from typing import Any

from django.core.management.base import CommandParser

from aggregates import interrupts, progress
from aggregates.management import base
from aggregates.management.failures import COULD_NOT_RUN
from aggregates.output import positive
from expenses import demo


class Command(base.Command):
    """Safe to repeat: the second time it changes nothing and says so."""

    help = (
        "Load demo data: admin and the owners ada, ben and cleo, twelve categories, and two years of expenses in three "
        "currencies. The passwords are published (demo-admin, demo-ada, …), so do not load it where that matters."
    )
    examples = (
        ("Load about 20,000 expenses", "manage.py load_demo_data"),
        ("Load a few, and say so to a script", "manage.py load_demo_data --expenses 500 --format json"),
    )
    exits = {
        0: "it is there",
        COULD_NOT_RUN: "could not run",
        base.INTERRUPTED: "interrupted, nothing was written",
    }
    resume = "Nothing was written; run load_demo_data again."

    def add_arguments(self, parser: CommandParser) -> None:
        """Declare the options."""
        super().add_arguments(parser)
        parser.add_argument(
            "--expenses", type=positive, default=demo.EXPENSES, metavar="N", help="How many (default: %(default)s)."
        )

    def handle(self, *args: Any, **options: Any) -> None:
        """Load, and say what is there now."""
        count: int = options["expenses"]
        with progress.bar(count, unit=" expenses", label="loading demo data") as bar:

            def advance(done: int) -> None:
                interrupts.check()
                bar.update(done)

            loaded = demo.load(count, advance=advance)
        if options["format"] == "json":
            self.stdout.write(json.dumps(_as_json(loaded)))
        elif loaded.found:
            self.stdout.write(
                f"The demo data is there already: {loaded.found} of {count} expenses. Nothing was changed."
            )
        else:
            self._print(loaded)

    def _print(self, loaded: demo.Loaded) -> None:
        self.stdout.write(
            f"Added {loaded.added} expenses from {demo.FIRST_DAY} to {demo.LAST_DAY} in {len(demo.KINDS)} categories."
        )
        for username in (demo.SUPERUSER, *demo.OWNERS):
            if username in loaded.users:
                self.stdout.write(f"User {username}, password {demo.password(username)}")
            else:
                self.stdout.write(f"User {username} was there already and keeps the password.")


def _as_json(loaded: demo.Loaded) -> dict[str, Any]:
    """Return what was added, what was there, and the passwords of the users that are new."""
    return {
        "added": loaded.added,
        "found": loaded.found,
        "users": {username: demo.password(username) for username in loaded.users},
    }
