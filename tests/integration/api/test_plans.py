"""How a database finds totals: by their indexes, and never among the expenses."""

from __future__ import annotations

import datetime as dt
import itertools
import re
import uuid
from decimal import Decimal
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.db import connection
from django.db.models import QuerySet
from django.test.utils import CaptureQueriesContext
from rest_framework.test import APIClient

from expenses.models import Expense, ExpenseTotals
from expenses.reports import KEYS
from tests.integration.api.conftest import TOTALS, client_of

BY_OWNER_DAY, BY_DAY = "expense_totals_by_owner_day", "expense_totals_by_day"
OWNERS, MONTHS, DAYS_A_MONTH = 40, 12, 10
EXPLAIN = {"sqlite": "EXPLAIN QUERY PLAN", "mysql": "EXPLAIN FORMAT=JSON"}.get(connection.vendor, "EXPLAIN")
RANGES = ["", "&from=2025-03-01&to=2025-06-01", "&from=2025-03-15&to=2025-10-10", "&from=2025-03-15&to=2025-03-20"]


def plans(client: APIClient, query: str) -> list[str]:
    """Return how the database finds the rows of each statement that a request for totals runs."""
    with CaptureQueriesContext(connection) as queries:
        response = client.get(f"{TOTALS}?{query}")
        assert response.status_code == 200
    found = []
    with connection.cursor() as cursor:
        for sql in [q["sql"] for q in queries if q["sql"].startswith("SELECT")]:
            cursor.execute(f"{EXPLAIN} {sql}")
            found.append("\n".join(str(row) for row in cursor.fetchall()))
    return found


def of_totals(client: APIClient, query: str) -> str:
    """Return the plan of the one statement that reads totals."""
    (plan,) = [plan for plan in plans(client, query) if ExpenseTotals._meta.db_table in plan]
    return plan


def indexes(plan: str) -> set[str]:
    """Return the indexes of the totals by which a plan goes."""
    used = re.findall(r'"key": "(\w+)"', plan) if connection.vendor == "mysql" else [plan]
    return set(re.findall(r"expense_totals_by_\w+", " ".join(used)))


@pytest.fixture
def many(owner: User) -> None:
    """Store so many totals that no database takes all of them for as near as an index."""
    others = User.objects.bulk_create([User(username=str(number)) for number in range(OWNERS)])
    firsts = [dt.date(2025, month + 1, 1) for month in range(MONTHS)]
    days = [first + dt.timedelta(days=2 * day) for first in firsts for day in range(DAYS_A_MONTH)]
    owners = [owner.pk, *(other.pk for other in others)]
    rows: list[dict[str, Any]] = [
        *({"rollup": "overview", "month": first} for first in firsts),
        *({"rollup": "month", "owner_id": o, "month": first} for o, first in itertools.product(owners, firsts)),
        *({"rollup": "day", "owner_id": o, "day": day} for o, day in itertools.product(owners, days)),
    ]
    common: dict[str, Any] = {"currency": "EUR", "status": "approved", "amount": Decimal(1), "count": 1}
    QuerySet(ExpenseTotals).bulk_create([ExpenseTotals(id=uuid.uuid4(), **common, **row) for row in rows])
    if connection.vendor != "mysql":  # which would commit
        with connection.cursor() as cursor:
            cursor.execute("ANALYZE")


@pytest.mark.parametrize("grouped", [c for n in (0, 1, 8) for c in itertools.combinations(KEYS, n)], ids=",".join)
def test_no_read_of_totals_touches_the_expenses(owner: User, auditor: User, grouped: tuple[str, ...]) -> None:
    expenses = re.compile(rf"\b{Expense._meta.db_table}\b")
    for user, within in itertools.product((owner, auditor), RANGES):
        found = plans(client_of(user), f"group_by={','.join(grouped)}{within}")
        assert [plan for plan in found if ExpenseTotals._meta.db_table in plan]
        assert not [plan for plan in found if expenses.search(plan)]


def test_totals_of_one_owner_are_found_by_owner_and_day(api: APIClient, many: None) -> None:
    for group_by, within in itertools.product(("", "category", "month", "day"), RANGES):
        assert indexes(of_totals(api, f"group_by={group_by}{within}")) == {BY_OWNER_DAY}


def test_the_days_at_the_edges_of_a_range_are_found_by_day(auditor: User, many: None) -> None:
    for group_by, within in itertools.product(("", "category", "quarter"), RANGES[2:]):
        assert indexes(of_totals(client_of(auditor), f"group_by={group_by}{within}")) == {BY_DAY}


def test_the_months_of_all_owners_are_found_by_their_rollup(auditor: User, many: None) -> None:
    for group_by, within in itertools.product(("", "category", "year"), RANGES[:2]):
        found = indexes(of_totals(client_of(auditor), f"group_by={group_by}{within}"))
        assert found in ({BY_DAY}, {BY_OWNER_DAY})  # both begin with it


def test_no_measure_is_in_an_index() -> None:
    # A changed column that is in an index needs a new entry in every index of the row, for each write.
    names = {field.name for field in ExpenseTotals._meta.concrete_fields if field.db_index or field.unique}
    names |= {name for index in ExpenseTotals._meta.indexes for name in index.fields}
    assert names.isdisjoint({"amount", "count", "generation"})
