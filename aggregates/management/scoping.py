"""The options that ask for a part of the totals, and what they select."""

from __future__ import annotations

import argparse
import datetime as dt
from collections.abc import Iterable
from typing import Any

from django.core.management.base import CommandParser

from aggregates import extents, registry
from aggregates.definitions import Definition
from aggregates.extents import Extent, Selection, Within


def add_arguments(parser: CommandParser) -> None:
    """Declare them."""
    scope = parser.add_argument_group(
        "scope", "Look at a part alone. What cannot be compared as a whole is skipped and named."
    )
    scope.add_argument(
        "--where",
        metavar="DIMENSION=VALUE",
        type=_pair,
        action="append",
        default=[],
        help="Only buckets with this value, 'none' for those without one. May be repeated for other dimensions.",
    )
    scope.add_argument(
        "--owner",
        metavar="ID",
        help="The same as --where owner=ID: the key of the owner, not a name. Rollups without owners are skipped.",
    )
    scope.add_argument(
        "--from",
        dest="first",
        metavar="DATE",
        type=_date,
        help="Only from this day on. A month that begins before it is skipped in rollups by month.",
    )
    scope.add_argument(
        "--to",
        dest="end",
        metavar="DATE",
        type=_date,
        help="Only before this day. A month that ends after it is skipped in rollups by month.",
    )


def selection(options: dict[str, Any]) -> Selection | None:
    """Return what the options select, or None for everything; raise ExtentRefused."""
    owner = [] if options["owner"] is None else [("owner", options["owner"])]
    extent = Extent((*owner, *options["where"]), options["first"], options["end"])
    return extents.select(extent, registry.working(), using=options["database"]) if extent else None


def totals(selection: Selection | None) -> Iterable[tuple[Definition, Within | None]]:
    """Return the declarations to look at, and the part of each, or None for all of it."""
    return selection.within.items() if selection else [(definition, None) for definition in registry.working()]


def _pair(text: str) -> tuple[str, str]:
    name, equals, value = text.partition("=")
    if not name or not equals:
        raise argparse.ArgumentTypeError(f"{text!r} is not DIMENSION=VALUE, such as currency=EUR")
    return name, value


def _date(text: str) -> dt.date:
    try:
        return dt.date.fromisoformat(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(f"{text!r} is no date such as 2026-01-31") from error
