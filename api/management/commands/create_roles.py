"""``manage.py create_roles``: the groups that users are put in."""

from __future__ import annotations

from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.db import DEFAULT_DB_ALIAS

from aggregates.management.failures import could_not_run
from api import roles


class Command(BaseCommand):
    """Make the groups owner, finance, auditor and administrator."""

    help = (
        "Make the groups owner, finance, auditor and administrator, each with the permissions of its role and no "
        "others. Safe to repeat; who is in them stays. Exit status 2 where it could not run."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        """Declare the options."""
        parser.add_argument("--database", default=DEFAULT_DB_ALIAS, help="Where the groups go.")

    def handle(self, *args: Any, **options: Any) -> None:
        """Print how many permissions each has."""
        try:
            with could_not_run():
                counts = roles.create(options["database"])
        except roles.PermissionMissing as error:
            raise CommandError(str(error), returncode=2) from error
        for name, count in counts.items():
            self.stdout.write(f"{name}: {count} permissions")
