"""What the totals must be, in SQL that knows this one table: none of the engine's statements."""

from __future__ import annotations

from django.db import connection

MONTH = {"sqlite": "date(spent_on, 'start of month')", "postgresql": "CAST(DATE_TRUNC('month', spent_on) AS date)"}
DRIFT = """
    WITH counted AS (
        SELECT owner_id, category_id, currency, status, spent_on, {month} AS month, amount
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
    SELECT 'expected', missing.* FROM (SELECT * FROM expected EXCEPT SELECT * FROM stored) AS missing
    UNION ALL
    SELECT 'stored', surplus.* FROM (SELECT * FROM stored EXCEPT SELECT * FROM expected) AS surplus
"""
SHOWN = 10


def assert_grouped() -> None:
    """Compare the stored totals, row by row, with the expenses as the database groups them, in one statement."""
    with connection.cursor() as cursor:
        cursor.execute(DRIFT.format(month=MONTH[connection.vendor]))
        drift = cursor.fetchall()
    assert not drift, f"{len(drift)} totals drift: {drift[:SHOWN]}"
