"""Expenses that point at their buckets, whose sums are computed fields."""

from __future__ import annotations

from computedfields.models import ComputedFieldsModel, computed
from django.db import models
from django.db.models import Sum

from benchmarks.models import Entry


class Bucket(ComputedFieldsModel):
    """A bucket of one rollup; its sum is computed whenever one of its expenses changes."""

    class Meta:
        abstract = True

    def __str__(self) -> str:
        return f"bucket {self.pk}"

    @computed(models.BigIntegerField(default=0), depends=[("entries", ["units"])])
    def total(self) -> int:
        """Return the sum of the bucket's expenses."""
        found: int | None = self.entries.aggregate(found=Sum("units"))["found"]
        return found or 0

    @computed(models.BigIntegerField(default=0), depends=[("entries", ["units"])])
    def number(self) -> int:
        """Return the number of the bucket's expenses."""
        found: int = self.entries.count()
        return found


class Day(Bucket):
    """By owner, category, status and day."""


class Month(Bucket):
    """By owner, category, status and month."""


class Overview(Bucket):
    """By category, status and month."""


class Computed(Entry):
    """An expense; ``units`` is the amount in ten-thousandths."""

    units = models.BigIntegerField()
    day = models.ForeignKey(Day, on_delete=models.PROTECT, related_name="entries")
    month = models.ForeignKey(Month, on_delete=models.PROTECT, related_name="entries")
    overview = models.ForeignKey(Overview, on_delete=models.PROTECT, related_name="entries")
