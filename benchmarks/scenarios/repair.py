"""Verify and rebuild, against the bare statements that group the same rows."""

from __future__ import annotations

from functools import partial

from django.db import DEFAULT_DB_ALIAS, connections

from benchmarks import data, grouping, questions, repairs
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
    bench.compare(
        rebuilding, lambda: insert_select(using), lambda: repairs.from_nothing(using), times=2.0, fewest=2, warm=False
    )
    data.settle(using)
    bench.compare(verifying, lambda: select(using), lambda: timed(lambda: repairs.compared(using)))


def sparse(bench: Bench) -> None:
    """Measure the same, and the read, on data with three day buckets to four expenses."""
    if not bench.sizes.sparse:
        return
    shape = data.sparse(bench.sizes.sparse)
    data.create("sparse")
    data.people(shape, "sparse")
    data.fill(Expense, shape, "sparse")
    data.settle("sparse")
    compare(bench, "sparse_rebuild", "sparse_verify", "sparse")
    questions.require_equal("sparse")
    bench.compare(
        "sparse_read",
        partial(questions.total_seconds, "sparse"),
        partial(questions.computed_seconds, "sparse"),
        times=0.5,
    )


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
            cursor.execute(sql.replace(totals, COPY).replace("expense_totals_by", f"{COPY}_by"))


def insert_select(using: str) -> float:
    """Return the seconds of the three bare INSERT … SELECT … GROUP BY into an empty table."""
    connection = connections[using]
    postgresql = connection.vendor == "postgresql"
    with connection.cursor() as cursor:
        cursor.execute(f"{'TRUNCATE' if postgresql else 'DELETE FROM'} {COPY}")
    key = "GEN_RANDOM_UUID()" if postgresql else "LOWER(HEX(RANDOMBLOB(16)))"  # as scattered as digests
    given = {"id": key, "slot": "0", "generation": "0"}
    return timed(lambda: grouping.insert_into(COPY, Expense._meta.db_table, given, using))
