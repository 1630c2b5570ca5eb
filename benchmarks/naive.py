"""The receivers of a textbook: read the old row with the ORM, then one F() update a bucket."""

from __future__ import annotations

import datetime as dt
from decimal import Decimal
from typing import Any

from django.db import models
from django.db.models import F
from django.db.models.signals import post_delete, post_save, pre_delete, pre_save

from benchmarks.models import HeardRide, Naive, NaiveTotals
from expenses.models import Status


def connect() -> None:
    """Keep the totals of Naive; listen to the deletes of HeardRide and do nothing."""
    pre_save.connect(_read_old, sender=Naive, dispatch_uid="benchmarks")
    post_save.connect(_add_difference, sender=Naive, dispatch_uid="benchmarks")
    for signal in (pre_delete, post_delete):
        signal.connect(_hear, sender=HeardRide, dispatch_uid="benchmarks")


def _hear(**_signal: Any) -> None:
    pass


def _read_old(sender: type[models.Model], instance: Naive, **_signal: Any) -> None:
    instance.old = Naive.objects.filter(pk=instance.pk).first()


def _add_difference(sender: type[models.Model], instance: Naive, **_signal: Any) -> None:
    if instance.old is not None:
        _add(instance.old, -1)
    _add(instance, 1)


def _add(row: Naive, sign: int) -> None:
    if row.status == Status.DRAFT:
        return
    for bucket in _buckets(row):
        _add_to(bucket, Decimal(row.amount) * sign, sign)


def _buckets(row: Naive) -> list[dict[str, Any]]:
    coarse = {"category_id": row.category_id, "currency": row.currency, "status": row.status}
    fine = {"owner_id": row.owner_id, **coarse}
    month: dt.date = row.spent_on.replace(day=1)
    return [
        {"rollup": "day", **fine, "day": row.spent_on, "month": None},
        {"rollup": "month", **fine, "day": None, "month": month},
        {"rollup": "overview", "owner_id": None, **coarse, "day": None, "month": month},
    ]


def _add_to(bucket: dict[str, Any], amount: Decimal, count: int) -> None:
    where = {(f"{name}__isnull" if value is None else name): value is None or value for name, value in bucket.items()}
    added = models.Value(amount, output_field=NaiveTotals._meta.get_field("amount"))
    if not NaiveTotals.objects.filter(**where).update(amount=F("amount") + added, count=F("count") + count):
        NaiveTotals.objects.create(**bucket, amount=amount, count=count)
