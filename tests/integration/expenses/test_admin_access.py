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


def test_owners_are_looked_up_by_those_who_see_everybody_and_their_accounts_are_not_seen(owner: Any) -> None:
    expense(owner)
    asked = {"app_label": "expenses", "model_name": "expense", "field_name": "owner", "term": "a"}
    client, _ = staff("view_expense")
    assert client.get("/admin/autocomplete/", asked).status_code == 403
    assert b"owner__id__exact" not in client.get(EXPENSES).content
    client, _ = staff("view_expense", "view_all_expenses")
    assert str(owner.pk) in [found["id"] for found in client.get("/admin/autocomplete/", asked).json()["results"]]
    assert b"owner__id__exact" in client.get(EXPENSES).content
    assert client.get("/admin/auth/user/").status_code == 403


def test_the_history_of_an_expense_is_seen_by_who_sees_the_expense(owner: Any) -> None:
    client, user = staff("view_expense")
    own, foreign = expense(user), expense(owner)
    link = f"{EXPENSES}{own.pk}/history/"
    assert link in client.get(f"{EXPENSES}{own.pk}/change/").content.decode()
    page = client.get(link, follow=True)
    assert page.status_code == 200
    assert page.context["cl"].result_count == 1
    assert client.get(f"{EXPENSES}{foreign.pk}/history/", follow=True).context["cl"].result_count == 0


def test_staff_with_the_permission_see_everybody(owner: Any) -> None:
    client, _ = staff("view_expense", "view_all_expenses")
    one = expense(owner)
    assert listed(client, EXPENSES) == {str(one.pk)}
