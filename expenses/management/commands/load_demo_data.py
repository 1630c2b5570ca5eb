"""Load the demo data."""

from __future__ import annotations

from typing import Any

from django.core.management.base import BaseCommand, CommandParser

from aggregates import progress
from expenses import demo


class Command(BaseCommand):
    """Safe to repeat: the second time it changes nothing and says so."""

    help = (
        "Load demo data: admin and the owners ada, ben and cleo, twelve categories, and two years of expenses in three "
        "currencies. The passwords are published (demo-admin, demo-ada, …), so do not load it where that matters."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        """Declare the options."""
        parser.add_argument(
            "--expenses", type=int, default=demo.EXPENSES, metavar="N", help="how many (default: %(default)s)"
        )

    def handle(self, *args: Any, **options: Any) -> None:
        """Load, and say what is there now."""
        count: int = options["expenses"]
        with progress.bar(count, unit=" expenses", label="loading demo data") as bar:
            loaded = demo.load(count, advance=bar.update)
        if loaded.found:
            self.stdout.write(
                f"The demo data is there already: {loaded.found} of {count} expenses. Nothing was changed."
            )
            return
        self.stdout.write(
            f"Added {loaded.added} expenses from {demo.FIRST_DAY} to {demo.LAST_DAY} in {len(demo.KINDS)} categories."
        )
        for username in (demo.SUPERUSER, *demo.OWNERS):
            if username in loaded.users:
                self.stdout.write(f"User {username}, password {demo.password(username)}")
            else:
                self.stdout.write(f"User {username} was there already and keeps the password.")
