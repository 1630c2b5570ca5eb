"""``manage.py create_roles``: the groups that users are put in."""

from __future__ import annotations

import json
from typing import Any

from django.core.management.base import CommandError, CommandParser
from django.db import DEFAULT_DB_ALIAS

from aggregates.management import base
from aggregates.management.failures import COULD_NOT_RUN
from api import roles


class Command(base.Command):
    """Make the groups owner, finance, auditor and administrator."""

    help = (
        "Make the groups owner, finance, auditor and administrator, each with the permissions of its role and no "
        "others. Safe to repeat; who is in them stays."
    )
    examples = (
        ("Make them, or set them right", "manage.py create_roles"),
        ("The same, for a script", "manage.py create_roles --format json"),
    )
    exits = {0: "done", COULD_NOT_RUN: "could not run", base.INTERRUPTED: "interrupted, nothing was changed"}
    resume = "Nothing was changed; run create_roles again."

    def add_arguments(self, parser: CommandParser) -> None:
        """Declare the options."""
        super().add_arguments(parser)
        parser.add_argument("--database", default=DEFAULT_DB_ALIAS, help="Where the groups go.")

    def handle(self, *args: Any, **options: Any) -> None:
        """Print how many permissions each has."""
        try:
            counts = roles.create(options["database"])
        except roles.PermissionMissing as error:
            raise CommandError(str(error), returncode=COULD_NOT_RUN) from error
        if options["format"] == "json":
            self.stdout.write(json.dumps({"roles": {name: {"permissions": count} for name, count in counts.items()}}))
        else:
            self.stdout.write("\n".join(f"{name}: {count} permissions" for name, count in counts.items()))
