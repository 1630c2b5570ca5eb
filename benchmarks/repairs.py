"""A rebuild and a verify of the service's totals, as its commands do them."""

from __future__ import annotations

from django.db import DEFAULT_DB_ALIAS
from django.utils import timezone

from aggregates import registry
from aggregates.rebuild import Options, rebuild
from aggregates.verify import verify
from benchmarks import data
from benchmarks.pairs import timed
from expenses.models import ExpenseTotals


def ready(using: str = DEFAULT_DB_ALIAS) -> None:
    """Rebuild once, so that totals are read."""
    from_nothing(using)
    data.settle(using)


def from_nothing(using: str) -> float:
    """Return the seconds of a rebuild that finds no totals."""
    data.empty(ExpenseTotals, using)
    return timed(lambda: rebuilt(using))


def rebuilt(using: str = DEFAULT_DB_ALIAS) -> None:
    """Rebuild whatever drifts."""
    for _run in rebuild(registry.definition(ExpenseTotals), Options(), using=using, clock=timezone.now):
        pass


def compared(using: str = DEFAULT_DB_ALIAS) -> None:
    """Verify everything; raise where it drifts."""
    for run, _comparison in verify(registry.definition(ExpenseTotals), using=using, clock=timezone.now):
        if run.drifted:
            raise AssertionError(f"The totals of {using} drift: {run.findings[:3]}")
