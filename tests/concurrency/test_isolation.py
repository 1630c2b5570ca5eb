"""REPEATABLE READ aborts where READ COMMITTED waits; the retry takes what it aborts."""

from __future__ import annotations

import datetime as dt
import random
from decimal import Decimal

import pytest
from django.contrib.auth.models import User
from django.db import connection

from expenses.models import Category, Expense
from tests.concurrency.threads import together
from tests.exactness import assert_totals_match

pytestmark = [
    pytest.mark.django_db(transaction=True),
    pytest.mark.row_locks,
]

SETTINGS = {
    "postgresql": ["SET SESSION CHARACTERISTICS AS TRANSACTION ISOLATION LEVEL {}"],
    # Without the second, REPEATABLE READ is something else: see the check aggregates.E018.
    "mysql": ["SET SESSION TRANSACTION ISOLATION LEVEL {}", "SET SESSION innodb_snapshot_isolation = ON"],
}


@pytest.mark.guarantee("REPEATABLE READ, SERIALIZABLE", "exact")
@pytest.mark.parametrize("level", ["REPEATABLE READ", "SERIALIZABLE"])
def test_conflicts_of_higher_isolation_are_tried_again(level, settings):
    settings.AGGREGATES = {"RETRIES": 100}
    owner = User.objects.create(username="owner")
    categories = [Category.objects.create(name=name) for name in "AB"]
    expenses = [
        Expense.objects.create(
            owner=owner, category=categories[0], amount=Decimal(n), currency="EUR", spent_on=dt.date(2026, 3, 5)
        )
        for n in range(3)
    ]

    def writer(seed):
        def run():
            with connection.cursor() as cursor:
                for statement in SETTINGS[connection.vendor]:
                    cursor.execute(statement.format(level))
            pick = random.Random(seed)
            for _ in range(15):
                mine = Expense.objects.get(pk=pick.choice(expenses).pk)
                mine.amount, mine.category = Decimal(pick.randrange(100)), pick.choice(categories)
                mine.save()
                Expense.objects.filter(pk=mine.pk).update(status=pick.choice(["draft", "approved"]))

        return run

    together(*(writer(seed) for seed in range(3)))
    assert_totals_match()
