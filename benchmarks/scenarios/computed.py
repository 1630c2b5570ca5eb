"""django-computedfields, which computes a bucket's sum anew whenever one of its expenses changes."""

from __future__ import annotations

import random
from typing import Any

from django.apps import apps
from django.db import connection, models, transaction

from benchmarks import data
from benchmarks.bench import Bench
from benchmarks.models import Plain
from benchmarks.pairs import Sample, timed
from benchmarks.scenarios.single import SEED, WRITES_A_SAMPLE, Writers, new

APP = "benchmarks_computed"


def measure(bench: Bench) -> None:
    """Measure an insert into the main data."""
    fill(bench.shape)
    bench.compare("computedfields_insert", Writers(bench).insert(Plain), insert(bench), times=0.5)


def fill(shape: data.Shape) -> None:
    """Create the buckets and the expenses in them; no sum is read, so they are left at nothing."""
    buckets = {"day": shape.day_buckets, "month": shape.month_buckets, "overview": data.COARSE}
    with connection.cursor() as cursor:
        for name, count in buckets.items():
            cursor.execute(
                f"INSERT INTO {_model(name)._meta.db_table} (id, total, number) "
                "SELECT number, 0, 0 FROM GENERATE_SERIES(1, %s) AS number",
                [count],
            )
    places = {
        "day_id": f"1 + d * {shape.month_buckets} + m",
        "month_id": "1 + m",
        "overview_id": f"1 + m % {data.COARSE}",
    }
    data.fill(_model("computed"), shape, extra={"units": "(e * 7919 % 100000 + 1) * 100", **places})
    data.settle()


def insert(bench: Bench) -> Sample:
    """Save new instances, in buckets that are there."""
    pick = random.Random(SEED)
    shape, model = bench.shape, _model("computed")

    def prepare() -> Any:
        row = new(model, shape, pick)
        d, m = divmod(pick.randrange(shape.day_buckets), shape.month_buckets)
        row.units, row.day_id, row.month_id, row.overview_id = (
            1,
            1 + d * shape.month_buckets + m,
            1 + m,
            1 + m % data.COARSE,
        )
        return row

    def once(row: Any) -> None:
        with transaction.atomic():
            row.save()

    def sample() -> float:
        rows = [prepare() for _ in range(WRITES_A_SAMPLE)]
        return sum(timed(lambda row=row: once(row)) for row in rows)

    return sample


def _model(name: str) -> type[models.Model]:
    return apps.get_model(APP, name)
