"""Snapshots of the database while it is written to: totals and expenses of each compared in two ways."""

from __future__ import annotations

from django.db import connection, transaction

from aggregates.testing import assert_totals_match
from tests.grouped import assert_grouped


def compare() -> None:
    """Take a snapshot; raise AssertionError where a total in it is not what its expenses add up to."""
    with transaction.atomic():
        with connection.cursor() as cursor:
            cursor.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY")
        assert_grouped()  # not the engine's statement
        assert_totals_match()  # the engine's, in the same snapshot
