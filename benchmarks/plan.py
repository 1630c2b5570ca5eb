"""In which order a run measures."""

from __future__ import annotations

import traceback
from dataclasses import replace

from django.conf import settings
from django.db import connection

from benchmarks import data, repairs
from benchmarks.bench import Bench, Scenario
from benchmarks.models import Plain
from benchmarks.scenarios import api, computed, reads, repair, sets, single, stall, writers
from benchmarks.sizes import Sizes
from expenses.models import Expense

SQLITE_ROWS = 100_000


def scenarios(*, postgresql: bool) -> dict[str, Scenario]:
    """Return what is measured on a database; rebuild comes first, for the data come without totals."""
    if settings.COMPUTEDFIELDS:
        return {"computed": computed.measure}
    if not postgresql:
        return {
            "repair": repair.measure,
            "reads": reads.measure,
            "single": single.measure,
            "sets": sets.measure,
        }
    return {
        "repair": repair.measure,
        "reads": reads.measure,
        "single": single.measure,
        "sets": sets.measure,
        "writers": writers.measure,
        "api": api.measure,
        "heat": reads.heat,
        "refresh": single.refresh,
        "sparse": repair.sparse,
        "stall": stall.measure,
        "double": reads.double,
    }


def run(sizes: Sizes, only: str = "") -> Bench:
    """Create the data, measure, and return what was found.

    A scenario that fails is told of, and the others are measured all the same.
    """
    # A quick run is to notice what has become slow; what has no bar cannot be too slow.
    if connection.vendor == "sqlite":  # no bars
        sizes = replace(sizes, rows=min(sizes.rows, SQLITE_ROWS), seconds=sizes.seconds / 2)
    bench = Bench(sizes, data.dense(sizes.rows), unbarred=sizes.full or bool(only))
    create(bench)
    for name, scenario in scenarios(postgresql=bench.postgresql).items():
        if only in name:
            attempt(bench, name, scenario)
        elif name == "repair":
            repairs.ready()
    return bench


def create(bench: Bench) -> None:
    """Create tables and data."""
    data.migrate()
    data.people(bench.shape)
    for model in (Plain,) if settings.COMPUTEDFIELDS else (Expense, Plain):
        data.fill(model, bench.shape)
    data.settle()
    bench.say(f"{bench.shape.rows:,} expenses in {bench.shape.day_buckets:,} day buckets")


def attempt(bench: Bench, name: str, scenario: Scenario) -> None:
    """Run a scenario; tell of its error where it fails."""
    try:
        scenario(bench)
    except Exception:  # noqa: BLE001 - the rest is still worth knowing
        bench.failures.append(name)
        traceback.print_exc()
