"""Twins of the service's expenses: without totals, with a rival's, and with a parent that takes them along."""

from __future__ import annotations

from decimal import Decimal
from typing import Any, ClassVar

from django.conf import settings
from django.db import models
from django.db.models import Count, F, Q, Sum
from django.db.models.functions import TruncMonth
from uuid_utils.compat import uuid7

from aggregates.definitions import Rollup
from aggregates.fields import FixedDecimalField
from aggregates.models import Totals, Tracked
from aggregates.querysets import TrackedManager
from expenses.models import FIRST_DAY, LAST_DAY, Category, Expense, Status


class Entry(models.Model):
    """The columns, indexes and constraints of an expense."""

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    owner = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.PROTECT, related_name="+")
    category = models.ForeignKey(Category, null=True, on_delete=models.SET_NULL, related_name="+")
    amount = FixedDecimalField()
    currency = models.CharField(max_length=3)
    spent_on = models.DateField(db_index=True)
    status = models.CharField(max_length=10, choices=Status.choices, default=Status.SUBMITTED)
    description = models.TextField(blank=True)
    created_at = models.DateTimeField(auto_now_add=True)
    updated_at = models.DateTimeField(auto_now=True)

    class Meta:
        abstract = True
        indexes = (models.Index(fields=["owner", "-spent_on", "-id"], name="%(class)s_recent"),)
        constraints = (
            models.CheckConstraint(
                condition=Q(spent_on__gte=FIRST_DAY, spent_on__lte=LAST_DAY), name="%(class)s_range"
            ),
            models.CheckConstraint(condition=Q(status__in=Status.values), name="%(class)s_status"),
        )

    def __str__(self) -> str:
        return f"{self.amount} {self.currency} on {self.spent_on}"


class Buckets(models.Model):
    """The dimensions of the service's totals."""

    owner = models.ForeignKey(
        settings.AUTH_USER_MODEL,
        null=True,
        db_constraint=False,
        on_delete=models.DO_NOTHING,
        related_name="+",
        db_index=False,
    )
    category = models.ForeignKey(
        Category, null=True, db_constraint=False, on_delete=models.DO_NOTHING, related_name="+", db_index=False
    )
    currency = models.CharField(max_length=3, null=True)
    status = models.CharField(max_length=10, null=True)
    day = models.DateField(null=True)
    month = models.DateField(null=True)
    amount = FixedDecimalField(default=Decimal(0))
    count = models.BigIntegerField(default=0)

    class Meta:
        abstract = True

    def __str__(self) -> str:
        return f"{self.amount}"


class Plain(Entry):
    """An expense of which nobody keeps totals: what a write costs by itself."""


class Kept(Expense):
    """An expense of the service as the engine alone writes it: with totals, and without the service's audit trail."""

    objects: ClassVar[TrackedManager] = TrackedManager()

    class Meta(Tracked.Meta):
        proxy = True
        app_label = "expenses"  # an app without migrations cannot have a proxy of a model of one that has them

    def _save_table(self, *args: Any, **kwargs: Any) -> bool:
        return Tracked._save_table(self, *args, **kwargs)

    def delete(self, *args: Any, **kwargs: Any) -> Any:
        """Delete the row and take it out of its totals."""
        return Tracked.delete(self, *args, **kwargs)


class Naive(Entry):
    """An expense whose totals are kept by the receivers of a textbook; see ``benchmarks.naive``."""


class NaiveTotals(Buckets):
    """Totals as a textbook has them: one row a bucket, looked up by its dimensions."""

    rollup = models.CharField(max_length=100)

    class Meta(Buckets.Meta):
        # Not unique: SQLite cannot have NULLs alike. What it costs is the same.
        indexes = (
            models.Index(
                fields=["rollup", "category", "month", "currency", "status", "owner", "day"], name="naive_bucket"
            ),
        )


class Triggered(Entry):
    """An expense whose totals are kept by a row trigger; see ``benchmarks.trigger``."""


class Trip(models.Model):
    """What takes its rides along when it goes."""

    name = models.CharField(max_length=50)

    def __str__(self) -> str:
        return self.name


class Ride(Entry):
    """An expense that belongs to a trip."""

    trip = models.ForeignKey(Trip, on_delete=models.CASCADE, related_name="%(class)s_set")

    class Meta(Entry.Meta):
        abstract = True


class HeardRide(Ride):
    """Its deletes are listened to by receivers that do nothing."""


class TrackedRide(Tracked, Ride):
    """Totals are kept of it."""

    class Meta(Tracked.Meta, Ride.Meta):
        pass


class RideTotals(Totals, Buckets):
    """The three rollups of the service, of rides."""

    class Aggregate:
        source = "benchmarks.TrackedRide"
        where = ~Q(status=Status.DRAFT)
        dimensions: ClassVar[dict[str, Any]] = {"day": F("spent_on"), "month": TruncMonth("spent_on")}
        measures: ClassVar[dict[str, Any]] = {"amount": Sum("amount"), "count": Count("*")}
        rollups = (
            Rollup("owner", "category", "currency", "status", "day", name="day"),
            Rollup("owner", "category", "currency", "status", "month", name="month"),
            Rollup("category", "currency", "status", "month", slots=16, name="overview"),
        )
