"""Snapshots of the database while it is written to: totals and expenses of each compared in two ways."""

from __future__ import annotations

from django.db import connection, transaction

from aggregates.testing import assert_totals_match

# Not the engine's statement: what a rollup holds is said here once more, in SQL that knows this one table.
COMPARED = """
    WITH counted AS (
        SELECT owner_id, category_id, currency, status, spent_on, CAST(DATE_TRUNC('month', spent_on) AS date) AS month,
               amount
        FROM expenses_expense WHERE status <> 'draft'
    ), expected AS (
        SELECT 'day' AS rollup, owner_id, category_id, currency, status, spent_on AS day, CAST(NULL AS date) AS month,
               SUM(amount) AS amount, COUNT(*) AS number
        FROM counted GROUP BY owner_id, category_id, currency, status, spent_on
        UNION ALL
        SELECT 'month', owner_id, category_id, currency, status, NULL, month, SUM(amount), COUNT(*)
        FROM counted GROUP BY owner_id, category_id, currency, status, month
        UNION ALL
        SELECT 'overview', NULL, category_id, currency, status, NULL, month, SUM(amount), COUNT(*)
        FROM counted GROUP BY category_id, currency, status, month
    ), stored AS (
        SELECT rollup, owner_id, category_id, currency, status, day, month, SUM(amount), SUM(count)
        FROM expenses_expensetotals
        GROUP BY rollup, owner_id, category_id, currency, status, day, month
        HAVING SUM(amount) <> 0 OR SUM(count) <> 0
    )
    SELECT 'expected', missing.* FROM (SELECT * FROM expected EXCEPT ALL SELECT * FROM stored) AS missing
    UNION ALL
    SELECT 'stored', surplus.* FROM (SELECT * FROM stored EXCEPT ALL SELECT * FROM expected) AS surplus
"""
SHOWN = 10


def compare() -> None:
    """Take a snapshot; raise AssertionError where a total in it is not what its expenses add up to."""
    with transaction.atomic():
        with connection.cursor() as cursor:
            cursor.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY")
            cursor.execute(COMPARED)
            drift = cursor.fetchall()
        if drift:
            raise AssertionError(f"{len(drift)} totals drift: {drift[:SHOWN]}")
        assert_totals_match()  # in the same snapshot
