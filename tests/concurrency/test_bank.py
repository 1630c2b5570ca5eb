"""Four processes move amounts between eight buckets; every snapshot of it all is exact."""

from __future__ import annotations

import datetime as dt
from contextlib import ExitStack
from decimal import Decimal

import pytest
from django.contrib.auth.models import User
from django.db.models import Sum

from expenses.models import Category, Expense, ExpenseTotals
from tests.exactness import assert_totals_match
from tests.processes import running

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.long]

MOVES = 15


@pytest.mark.guarantee("moves between buckets, read in every snapshot", "exact")
def test_no_snapshot_shows_a_sum_that_is_not_true():
    owner = User.objects.create(username="owner")
    for number in range(8):
        category = Category.objects.create(name=f"account {number}")
        Expense.objects.create(
            owner=owner, category=category, amount=Decimal(1000), currency="EUR", spent_on=dt.date(2026, 5, 1)
        )
    with ExitStack() as stack:
        banks = [
            stack.enter_context(running("-m", "tests.concurrency.bank", str(seed), str(MOVES))) for seed in range(4)
        ]
        snapshots = 0
        while any(bank.poll() is None for bank in banks):
            assert_totals_match()
            for rollup in ("day", "month", "overview"):
                assert ExpenseTotals.objects.filter(rollup=rollup).aggregate(Sum("amount"))["amount__sum"] == 8000
            snapshots += 1
        for bank in banks:
            assert bank.returncode == 0, bank.communicate()[1]
    assert snapshots > 3
    assert Expense.objects.aggregate(Sum("amount"))["amount__sum"] == 8000
    assert_totals_match()
