"""What the totals must be, in SQL that knows this one table: none of the engine's statements."""

from __future__ import annotations

from collections import Counter
from typing import Any

from django.db import connection

MONTH = {"sqlite": "date(spent_on, 'start of month')", "postgresql": "CAST(DATE_TRUNC('month', spent_on) AS date)"}
EXPECTED = """
    WITH counted AS (
        SELECT owner_id, category_id, currency, status, spent_on, {month} AS month, amount
        FROM expenses_expense WHERE status <> 'draft'
    )
    SELECT 'day', owner_id, category_id, currency, status, spent_on, NULL, SUM(amount), COUNT(*)
    FROM counted GROUP BY owner_id, category_id, currency, status, spent_on
    UNION ALL
    SELECT 'month', owner_id, category_id, currency, status, NULL, month, SUM(amount), COUNT(*)
    FROM counted GROUP BY owner_id, category_id, currency, status, month
    UNION ALL
    SELECT 'overview', NULL, category_id, currency, status, NULL, month, SUM(amount), COUNT(*)
    FROM counted GROUP BY category_id, currency, status, month
"""
STORED = """
    SELECT rollup, owner_id, category_id, currency, status, day, month, SUM(amount), SUM(count)
    FROM expenses_expensetotals
    GROUP BY rollup, owner_id, category_id, currency, status, day, month
    HAVING SUM(amount) <> 0 OR SUM(count) <> 0
"""


def assert_grouped() -> None:
    """Compare the stored totals, row by row, with the expenses as the database groups them; nobody writes now."""
    expected, stored = (_rows(text.format(month=MONTH[connection.vendor])) for text in (EXPECTED, STORED))
    assert stored == expected, f"missing {expected - stored}, surplus {stored - expected}"


def _rows(statement: str) -> Counter[tuple[Any, ...]]:
    with connection.cursor() as cursor:
        cursor.execute(statement)
        return Counter(tuple(map(str, row)) for row in cursor.fetchall())
