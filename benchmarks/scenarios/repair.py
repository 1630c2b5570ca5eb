"""Verify and rebuild, against the bare statements that group the same rows."""

from __future__ import annotations

from django.db import DEFAULT_DB_ALIAS, connections
from django.utils import timezone

from aggregates import registry
from aggregates.rebuild import Options, rebuild
from aggregates.verify import verify
from benchmarks import data, grouping
from benchmarks.bench import Bench
from benchmarks.pairs import timed
from expenses.models import Expense, ExpenseTotals

COPY = "bench_bare_totals"


def measure(bench: Bench) -> None:
    """Measure a rebuild from no totals, then a verify of what it made."""
    compare(bench, "rebuild_1m", "verify_1m", DEFAULT_DB_ALIAS)


def compare(bench: Bench, rebuilding: str, verifying: str, using: str) -> None:
    """Measure both on a data set; its totals are ready afterwards."""
    copy_table(using)
    bench.compare(rebuilding, lambda: insert_select(using), lambda: from_nothing(using), patience=2.0, fewest=2)
    data.settle(using)
    bench.compare(verifying, lambda: select(using), lambda: timed(lambda: compared(using)))


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


def select(using: str) -> float:
    """Return the seconds of the three bare SELECT … GROUP BY, their rows counted in the server."""
    return timed(lambda: grouping.count(Expense._meta.db_table, using))


def copy_table(using: str) -> None:
    """Create a table with the columns and indexes of the totals."""
    connection, totals = connections[using], ExpenseTotals._meta.db_table
    with connection.cursor() as cursor:
        if connection.vendor == "postgresql":
            cursor.execute(f"CREATE TABLE {COPY} (LIKE {totals} INCLUDING ALL)")
            return
        cursor.execute("SELECT sql FROM sqlite_master WHERE tbl_name = %s AND sql <> ''", [totals])
        for (sql,) in cursor.fetchall():
            cursor.execute(sql.replace(totals, COPY).replace("expense_totals_by_owner", f"{COPY}_owner"))


def insert_select(using: str) -> float:
    """Return the seconds of the three bare INSERT … SELECT … GROUP BY into an empty table."""
    connection = connections[using]
    postgresql = connection.vendor == "postgresql"
    with connection.cursor() as cursor:
        cursor.execute(f"{'TRUNCATE' if postgresql else 'DELETE FROM'} {COPY}")
    key = "GEN_RANDOM_UUID()" if postgresql else "LOWER(HEX(RANDOMBLOB(16)))"  # as scattered as digests
    given = {"id": key, "slot": "0", "generation": "0"}
    return timed(lambda: grouping.insert_into(COPY, Expense._meta.db_table, given, using))
