"""One instance, one writer: each write against the same write, in atomic(), without totals."""

from __future__ import annotations

import random
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from functools import partial
from typing import Any

from django.db import connection, models, transaction

from benchmarks import data, grouping, trigger
from benchmarks.bench import Bench
from benchmarks.models import Kept, Naive, NaiveTotals, Plain, Triggered
from benchmarks.pairs import Sample, timed
from expenses.models import Expense

WRITES_A_SAMPLE = 10
POOL = 2_000  # instances that updates take in turn
DELETED = 20_000  # keys from which deletes are drawn
SEED = 20_260_101

Prepare = Callable[[], Any]
Write = Callable[[Any], object]


def measure(bench: Bench) -> None:
    """Measure the service's expenses, then the rivals."""
    writers = Writers(bench)
    bench.compare("insert", writers.insert(Plain), writers.insert(Kept))
    bench.compare("update", writers.update(Plain), writers.update(Kept))
    bench.compare("note_update", writers.note(Plain), writers.note(Kept))
    bench.compare("delete", writers.delete(Plain), writers.delete(Kept))
    if not bench.unbarred:
        return
    bench.compare("trail_insert", writers.insert(Kept), writers.insert(Expense), times=0.5)
    bench.compare("trail_update", writers.update(Kept), writers.update(Expense), times=0.5)
    fill_rivals(bench)
    bench.compare("naive_insert", writers.insert(Plain), writers.insert(Naive), times=0.5)
    bench.compare("naive_update", writers.update(Plain), writers.update(Naive), times=0.5)
    if bench.postgresql:
        bench.compare("trigger_insert", writers.insert(Plain), writers.insert(Triggered), times=0.5)


def refresh(bench: Bench) -> None:
    """Measure a new row and the refresh of a materialized view without which the view would lack it."""
    if not bench.unbarred:
        return
    with connection.cursor() as cursor:
        views = [f"bench_view_{name}" for name in grouping.ROLLUPS]
        for view, (_name, _columns, grouped) in zip(views, grouping.statements(Plain._meta.db_table), strict=True):
            cursor.execute(f"CREATE MATERIALIZED VIEW {view} AS {grouped}")
    save = Writers(bench).insert(Plain)

    def refreshed() -> float:
        with connection.cursor() as cursor:
            return save() / WRITES_A_SAMPLE + sum(
                timed(partial(cursor.execute, f"REFRESH MATERIALIZED VIEW {view}")) for view in views
            )

    bench.compare("matview_refresh", lambda: save() / WRITES_A_SAMPLE, refreshed)
    with connection.cursor() as cursor:
        for view in views:
            cursor.execute(f"DROP MATERIALIZED VIEW {view}")


def fill_rivals(bench: Bench) -> None:
    """Give the rivals the main data and its totals, so that they meet buckets that are there."""
    source = Expense._meta.db_table
    for model in (Naive, Triggered) if bench.postgresql else (Naive,):
        data.fill(model, bench.shape)
    grouping.insert_into(NaiveTotals._meta.db_table, source, {})
    if bench.postgresql:
        trigger.install()
        grouping.insert_into(trigger.TABLE, source, {"slot": "0"})
    data.settle()


class Writers:
    """Samples of ten writes each; what a write needs is made ready before its time is taken."""

    def __init__(self, bench: Bench) -> None:
        self.bench = bench
        self.random = random.Random(SEED)

    def insert(self, model: type[models.Model]) -> Sample:
        """Save new instances, in buckets that are there."""
        return self._sample(model, partial(new, model, self.bench.shape, self.random), lambda row: row.save())

    def update(self, model: type[models.Model]) -> Sample:
        """Save stored instances with another amount."""
        pool = self._pool(model)

        def prepare() -> Any:
            row = self.random.choice(pool)
            row.amount = self.random.randrange(1, 10_000)
            return row

        return self._sample(model, prepare, lambda row: row.save())

    def note(self, model: type[models.Model]) -> Sample:
        """Save stored instances with another description."""
        pool = self._pool(model)

        def prepare() -> Any:
            row = self.random.choice(pool)
            row.description = f"note {self.random.randrange(1_000_000)}"
            return row

        return self._sample(model, prepare, lambda row: row.save())

    def delete(self, model: type[models.Model]) -> Sample:
        """Delete stored instances."""
        keys = iter(list(model._default_manager.order_by("-pk").values_list("pk", flat=True)[:DELETED]))
        return self._sample(model, lambda: model._default_manager.get(pk=next(keys)), lambda row: row.delete())

    def _pool(self, model: type[models.Model]) -> list[Any]:
        numbers = self.random.sample(range(self.bench.shape.rows), min(POOL, self.bench.shape.rows))
        return list(model._default_manager.filter(pk__in=list(map(data.key, numbers))))

    def _sample(self, model: type[models.Model], prepare: Prepare, write: Write) -> Sample:
        # The engine opens its own transaction; whoever keeps no totals has to open one.
        opened: Callable[[], AbstractContextManager[Any]] = (
            nullcontext if issubclass(model, Expense) else transaction.atomic
        )

        def once(row: Any) -> None:
            with opened():
                write(row)

        def sample() -> float:
            return sum(timed(partial(once, prepare())) for _ in range(WRITES_A_SAMPLE))

        return sample


def new(model: type[models.Model], shape: data.Shape, pick: random.Random) -> Any:
    """Return a new instance in a day bucket that has expenses already."""
    where = data.dimensions(shape, pick.randrange(shape.rows))
    return model(**where, amount=pick.randrange(1, 10_000), description="a new expense")
