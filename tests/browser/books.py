"""A few expenses of two owners, with everything that the pages show of them."""

from __future__ import annotations

import datetime as dt
from decimal import Decimal

from django.contrib.auth.models import Group, User
from django.db import connection
from django.utils import timezone
from knox.models import AuthToken

from expenses import months
from expenses.models import Category, Expense, ExpenseTotals, Status
from tests.integration.api.conftest import PASSWORD
from tests.processes import called

CLOSED = dt.date(2026, 1, 1)


def keep_books(by: User) -> User:
    """Store them; return one of the owners, who may log in to the admin with what an owner may do."""
    called("create_roles")
    ada = User.objects.create_user("ada", password=PASSWORD, is_staff=True)
    ada.groups.add(Group.objects.get(name="owner"))
    owners = [ada, User.objects.create_user("ben", password=PASSWORD)]
    categories = [Category.objects.create(name=name) for name in ("Meals", "Taxi", "Trains")]
    Expense.objects.bulk_create(
        Expense(
            owner=owners[number % 2],
            category=[*categories, None][number % 4],
            amount=Decimal(number + 1),
            currency=("EUR", "JPY", "EUR")[number % 3],
            spent_on=dt.date(2026, 1 + number % 3, 1 + number % 28),
            status=Status.values[number % len(Status.values)],
            description=f"Number {number}",
        )
        for number in range(60)
    )
    called("rebuild_totals")
    months.close(CLOSED, by, timezone.now())
    AuthToken.objects.create(user=ada)
    corrupt()
    called("verify_totals")
    called("rebuild_totals")
    return ada


def corrupt() -> Decimal:
    """Double a total by SQL, behind the engine's back; return by how much it is too large now."""
    total = ExpenseTotals.objects.filter(rollup="month", amount__gt=0).earliest("pk")
    with connection.cursor() as cursor:
        cursor.execute("UPDATE expenses_expensetotals SET amount = amount * 2 WHERE id = %s", [total.pk.hex])
    return total.amount
