"""Months that are closed: their expenses stay as they are until somebody opens them again.

Each month has a row. A write shares the rows of the months that it touches with other writers until
it ends; whoever closes a month takes its row alone. So closing waits for the writers that are under
way, and every later one finds the month closed.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Collection, Iterable
from typing import Any

from django.conf import settings
from django.db import DEFAULT_DB_ALIAS, connections, models

from aggregates import transactions
from aggregates.locks import FOR_SHARE


class Month(models.Model):
    """A calendar month, in which expenses may be written unless it is closed."""

    first_day = models.DateField(primary_key=True, editable=False)
    closed_at = models.DateTimeField(null=True, editable=False, help_text="Empty while it is open.")
    closed_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, null=True, editable=False, on_delete=models.SET_NULL, related_name="+"
    )

    class Meta:
        ordering = ("-first_day",)
        permissions = (("close_month", "Can close months and open them again"),)

    def __str__(self) -> str:
        return name(self.first_day)

    @property
    def is_closed(self) -> bool:
        """Whether its expenses may not be written."""
        return self.closed_at is not None


class MonthClosed(Exception):
    """A write touches expenses in closed months, and was rolled back. ``months`` are their first days."""

    def __init__(self, months: Collection[dt.date]) -> None:
        self.months = sorted(months)
        super().__init__(
            f"{' and '.join(map(name, self.months))} {'is' if len(self.months) == 1 else 'are'} closed: "
            "expenses there cannot be written, nor moved there or away, until it is opened again."
        )


def name(day: dt.date) -> str:
    """Return the month of a day, such as 2026-01."""
    return f"{day:%Y-%m}"


def first_day(month: str) -> dt.date:
    """Return the first day of a month such as 2026-01; raise ValueError for what is none."""
    return dt.date.fromisoformat(f"{month}-01")


def of(day: dt.date) -> dt.date:
    """Return the first day of a day's month."""
    return day.replace(day=1)


def closed(date_from: dt.date | None, date_to: dt.date | None, using: str = DEFAULT_DB_ALIAS) -> list[dt.date]:
    """Return the first days of the closed months that a range, ``date_to`` exclusive, has days of."""
    found = Month.objects.using(using).filter(closed_at__isnull=False)
    if date_from:
        found = found.filter(first_day__gte=of(date_from))
    if date_to:
        found = found.filter(first_day__lt=date_to)
    return list(found.order_by("first_day").values_list("first_day", flat=True))


def hold(days: Iterable[dt.date], using: str = DEFAULT_DB_ALIAS) -> frozenset[dt.date]:
    """Keep the months of these days from being closed until the transaction ends; return those that are, by first day.

    Needs an open transaction.
    """
    wanted = {of(day) for day in days}
    held = _shared(wanted, using)
    if missing := wanted - {month.first_day for month in held}:
        _add(sorted(missing), using)
        held += _shared(missing, using)
    return frozenset(month.first_day for month in held if month.is_closed)


def require_open(days: Iterable[dt.date], using: str = DEFAULT_DB_ALIAS) -> None:
    """Hold the months of these days; raise MonthClosed where some are closed."""
    if found := hold(days, using):
        raise MonthClosed(found)


def close(first_day: dt.date, user: Any, now: dt.datetime, using: str = DEFAULT_DB_ALIAS) -> tuple[Month, bool]:
    """Close a month once its writers are done; return it, and whether it was open."""
    return _change(first_day, using, closed_at=now, closed_by=user)


def reopen(first_day: dt.date, using: str = DEFAULT_DB_ALIAS) -> tuple[Month, bool]:
    """Open a month again; return it, and whether it was closed."""
    return _change(first_day, using, closed_at=None, closed_by=None)


def _change(first_day: dt.date, using: str, *, closed_at: dt.datetime | None, closed_by: Any) -> tuple[Month, bool]:
    """Close or open a month, unless it is so already; return it, and whether it was changed."""

    def operation() -> tuple[Month, bool]:
        _add([first_day], using)
        month = Month.objects.using(using).select_for_update().get(pk=first_day)
        if month.is_closed == (closed_at is not None):
            return month, False
        month.closed_at, month.closed_by = closed_at, closed_by
        month.save(using=using)
        return month, True

    return transactions.run(operation, using=using)


def _add(first_days: Iterable[dt.date], using: str) -> None:
    """Insert the rows of these months, but those that are there."""
    Month.objects.using(using).bulk_create([Month(first_day=day) for day in first_days], ignore_conflicts=True)


def _shared(first_days: Collection[dt.date], using: str) -> list[Month]:
    """Lock rows against changes and return them as they are then; Django has no words for it."""
    if not first_days:
        return []
    connection = connections[using]
    places = ", ".join(["%s"] * len(first_days))
    rows = Month.objects.using(using).raw(
        f"SELECT * FROM {connection.ops.quote_name(Month._meta.db_table)} "  # noqa: S608 - names of ours
        f"WHERE first_day IN ({places}) ORDER BY first_day {FOR_SHARE.get(connection.vendor, '')}",
        [connection.ops.adapt_datefield_value(first_day) for first_day in first_days],
    )
    return list(rows)
