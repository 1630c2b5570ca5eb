"""Writes of many rows at once: each against the same write of rows without totals."""

from __future__ import annotations

import gc
import random
from collections.abc import Callable
from typing import Any

from django.db import models, transaction
from django.db.models import F, Value

from aggregates.fields import FixedDecimalField
from benchmarks import data
from benchmarks.bench import Bench
from benchmarks.models import HeardRide, Kept, Plain, TrackedRide, Trip
from benchmarks.pairs import Sample, timed
from benchmarks.scenarios.single import SEED, new

BUCKETS = 300  # that a bulk_create touches, at most
ROWS_A_STATEMENT = 5_000  # PostgreSQL takes 65,535 values beside a statement's text
ONE = Value(1, output_field=FixedDecimalField())


def measure(bench: Bench) -> None:
    """Measure bulk_create, update, delete and a cascade."""
    owners = chosen_owners(bench)
    bench.compare("bulk_create_10k", bulk_create(bench, Plain), bulk_create(bench, Kept))
    bench.compare("update_100k", update(Plain, owners), update(Kept, owners), warm=False)
    data.settle()
    backups = {model: data.Backup(model, owners) for model in (Plain, Kept)}
    bench.compare(
        "delete_100k",
        delete(Plain, owners, backups[Plain]),
        delete(Kept, owners, backups[Kept]),
        # Plain deletes of as many rows differ by their page writes, so there are more rounds where there is a bar.
        times=4.0 if bench.postgresql else 2.0,
        fewest=5 if bench.postgresql else 2,
        warm=False,
    )
    for backup in backups.values():
        backup.restore()
        backup.drop()
    data.settle()
    bench.compare("cascade_10k", cascade(bench, HeardRide), cascade(bench, TrackedRide), times=1.5, warm=False)


def chosen_owners(bench: Bench) -> range:
    """Return owners who together have about as many expenses as are to be changed."""
    each = bench.shape.rows / bench.shape.owners
    return range(1, max(2, round(bench.sizes.changed / each) + 1))


def bulk_create(bench: Bench, model: type[models.Model]) -> Sample:
    """Insert instances into at most 300 buckets."""
    pick = random.Random(SEED)
    # Each stands in three buckets, of which the coarse ones are shared.
    patterns = [new(model, bench.shape, pick) for _ in range(BUCKETS // 3)]

    def sample() -> float:
        rows = [_like(pick.choice(patterns)) for _ in range(bench.sizes.bulk)]
        return _timed(lambda: _in_transaction(lambda: model._default_manager.bulk_create(rows, ROWS_A_STATEMENT)))

    return sample


def update(model: type[models.Model], owners: range) -> Sample:
    """Add one to the amount of many rows."""
    rows = model._default_manager.filter(owner_id__in=list(owners))
    return lambda: _timed(lambda: _in_transaction(lambda: rows.update(amount=F("amount") + ONE)))


def delete(model: type[models.Model], owners: range, backup: data.Backup) -> Sample:
    """Delete many rows, which have been put back before."""
    rows = model._default_manager.filter(owner_id__in=list(owners))

    def sample() -> float:
        backup.restore()
        return _timed(lambda: _in_transaction(rows.all().delete))

    return sample


def cascade(bench: Bench, model: type[models.Model]) -> Sample:
    """Delete the parent of many rows."""
    pick = random.Random(SEED)

    def sample() -> float:
        trip = Trip.objects.create(name="there and back")
        rows = [new(model, bench.shape, pick) for _ in range(bench.sizes.bulk)]
        for row in rows:
            row.trip = trip
        model._default_manager.bulk_create(rows, ROWS_A_STATEMENT)
        return _timed(trip.delete)

    return sample


def _timed(write: Callable[[], object]) -> float:
    """Return the seconds of a write that begins without garbage of others: its collection takes a tenth of a second."""
    gc.collect()
    return timed(write)


def _like(row: Any) -> Any:
    copied = ("owner_id", "category_id", "amount", "currency", "spent_on", "status", "description")
    return type(row)(**{name: getattr(row, name) for name in copied})


def _in_transaction(write: Any) -> None:
    with transaction.atomic():
        write()
