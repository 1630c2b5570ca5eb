"""Whoever may not see everybody's expenses works on the own ones, in the admin too."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest
from django.contrib.auth import get_user_model
from django.contrib.auth.models import Permission
from django.test import Client

from expenses.models import Expense, ExpenseTotals
from tests.integration.expenses.admin_pages import EXPENSES, TOTALS, expense, listed

pytestmark = pytest.mark.django_db


def staff(*codenames: str) -> tuple[Client, Any]:
    user = get_user_model().objects.create_user(f"staff{get_user_model().objects.count()}", is_staff=True)
    user.user_permissions.set(Permission.objects.filter(codename__in=codenames, content_type__app_label="expenses"))
    client = Client()
    client.force_login(user)
    return client, user


def test_staff_without_the_permission_see_and_change_only_their_own(owner: Any) -> None:
    client, user = staff("view_expense", "change_expense", "add_expense", "delete_expense", "view_expensetotals")
    foreign, own = expense(owner, currency="JPY", amount=Decimal(7)), expense(user)
    assert listed(client, EXPENSES) == {str(own.pk)}
    assert client.get(f"{EXPENSES}{foreign.pk}/change/").status_code == 302
    client.post(EXPENSES, {"action": "delete_selected", "_selected_action": [foreign.pk], "post": "yes"})
    assert Expense.objects.filter(pk=foreign.pk).exists()
    for rollup in ("month", "day", "overview"):
        page = client.get(f"{TOTALS}?rollup__exact={rollup}").content.decode()
        assert "JPY" not in page
    assert client.get(f"{TOTALS}{ExpenseTotals.objects.filter(owner=owner)[0].pk}/change/").status_code == 302


def test_what_staff_without_the_permission_add_is_theirs(owner: Any, form: dict[str, Any]) -> None:
    client, user = staff("add_expense", "view_category")
    assert client.post(f"{EXPENSES}add/", form).status_code == 302
    assert Expense.objects.get().owner == user


def test_staff_with_the_permission_see_everybody(owner: Any) -> None:
    client, _ = staff("view_expense", "view_all_expenses")
    one = expense(owner)
    assert listed(client, EXPENSES) == {str(one.pk)}
