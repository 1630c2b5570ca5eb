"""Many expenses at once in the admin: whole or not at all, exact, and as many statements for many as for few."""

from __future__ import annotations

import datetime as dt
from decimal import Decimal
from typing import Any

import pytest
from django.contrib.auth import get_user_model
from django.contrib.auth.models import Permission
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from expenses import admin_base, months
from expenses.models import Category, Expense, ExpenseWrite
from tests.integration.expenses.admin_pages import EXPENSES, expense
from tests.integration.expenses.live import assert_totals_are_live

pytestmark = pytest.mark.django_db


def run(client: Client, action: str, *selected: Expense, query: str = "", **data: Any) -> Any:
    given = {"action": action, "_selected_action": [one.pk for one in selected], **data}
    return client.post(f"{EXPENSES}{query}", given, follow=True)


def said(response: Any) -> str:
    return " ".join(str(message) for message in response.context["messages"])


def statuses() -> list[str]:
    return sorted(Expense.objects.values_list("status", flat=True))


@pytest.mark.guarantee("admin: actions on the selected and on all pages", "exact")
@pytest.mark.parametrize(("action", "status"), [("approve", "approved"), ("reject", "rejected")])
def test_the_selected_are_decided_upon_and_no_others(
    admin_client: Client, owner: Any, action: str, status: str
) -> None:
    first, second, draft = expense(owner), expense(owner), expense(owner, status="draft")
    written = second.updated_at
    response = run(admin_client, action, second, draft)
    assert said(response) == f"2 expenses {status}."
    assert statuses() == sorted(["submitted", status, status])
    first.refresh_from_db()
    second.refresh_from_db()
    assert (first.status, second.updated_at > written) == ("submitted", True)
    assert_totals_are_live()
    write = ExpenseWrite.objects.first()
    assert write is not None
    assert (write.actor_name, write.via, write.expenses) == ("admin", f"POST {EXPENSES}", 2)
    assert said(run(admin_client, action, second)) == f"0 expenses {status}. The selected ones were so already."


@pytest.mark.guarantee("admin: actions on the selected and on all pages", "exact")
def test_all_on_all_pages_are_those_that_the_list_was_filtered_to(admin_client: Client, owner: Any) -> None:
    taxi = Category.objects.create(name="Taxi")
    for day in range(1, 61):
        expense(owner, category=taxi, spent_on=dt.date(2026, 1 + day % 2, 1))
    one = expense(owner, currency="JPY", amount=Decimal(5), spent_on=dt.date(2026, 1, 1))
    run(admin_client, "approve", one, query="?month=2026-01&currency=EUR", select_across="1")
    assert Expense.objects.filter(status="approved", currency="EUR", spent_on__month=1).count() == 30
    assert Expense.objects.filter(status="approved").count() == 30
    assert_totals_are_live()
    response = run(admin_client, "reject", one, query="?q=taxi", select_across="1")  # a join
    assert said(response) == "60 expenses rejected."
    assert_totals_are_live()


@pytest.mark.guarantee("admin: actions on the selected and on all pages", "exact")
def test_a_category_is_asked_for_and_then_moved_to(admin_client: Client, owner: Any) -> None:
    taxi, hotel = Category.objects.create(name="Taxi"), Category.objects.create(name="<script>alert(1)</script>")
    both = [expense(owner, category=taxi), expense(owner)]
    page = run(admin_client, "recategorise", *both)
    text = page.content.decode()
    assert "Move 2 expenses" in text
    assert "<script>alert" not in text
    assert "&lt;script&gt;alert" in text
    assert [one.category_id for one in Expense.objects.order_by("id")] == [taxi.pk, None]
    missing = run(admin_client, "recategorise", *both, apply="yes", category="")
    assert "This field is required." in missing.content.decode()
    assert said(run(admin_client, "recategorise", *both, apply="yes", category=hotel.pk)) == "2 expenses moved."
    assert {one.category_id for one in Expense.objects.all()} == {hotel.pk}
    assert_totals_are_live()
    assert said(run(admin_client, "recategorise", both[0], apply="yes", category="none")) == "1 expense moved."
    assert [one.category_id for one in Expense.objects.order_by("id")] == [None, hotel.pk]
    assert_totals_are_live()


def test_all_pages_stay_chosen_while_the_category_is_asked_for(admin_client: Client, owner: Any) -> None:
    hotel = Category.objects.create(name="Hotel")
    rows = [expense(owner) for _ in range(3)]
    expense(owner, currency="JPY", amount=Decimal(1))
    page = run(admin_client, "recategorise", rows[0], query="?currency=EUR", select_across="1")
    assert "Move 3 expenses" in page.content.decode()
    assert 'name="select_across" value="1"' in page.content.decode()
    run(
        admin_client, "recategorise", rows[0],
        query="?currency=EUR", select_across="1", apply="yes", category=hotel.pk,
    )  # fmt: skip
    assert Expense.objects.filter(category=hotel).count() == 3


def test_a_category_that_is_gone_is_no_choice(admin_client: Client, owner: Any) -> None:
    row = expense(owner)
    page = run(admin_client, "recategorise", row, apply="yes", category="12345")
    assert "Select a valid choice" in page.content.decode()
    row.refresh_from_db()
    assert row.category is None


@pytest.mark.django_db(transaction=True)  # a refusal rolls back, also the transaction of a test
@pytest.mark.parametrize("action", ["approve", "reject", "recategorise"])
def test_one_expense_in_a_closed_month_keeps_all_as_they_are(admin_client: Client, owner: Any, action: str) -> None:
    hotel = Category.objects.create(name="Hotel")
    rows = [expense(owner, spent_on=dt.date(2026, month, 1)) for month in (1, 2, 3)]
    months.close(dt.date(2026, 2, 1), None, timezone.now())
    before = [*Expense.objects.values(), ExpenseWrite.objects.count()]
    response = run(admin_client, action, *rows, apply="yes", category=hotel.pk)
    assert "Nothing was written. 2026-02 is closed" in said(response)
    assert [*Expense.objects.values(), ExpenseWrite.objects.count()] == before
    assert_totals_are_live()


@pytest.mark.django_db(transaction=True)
def test_a_total_that_would_leave_its_range_keeps_all_as_they_are(admin_client: Client, owner: Any) -> None:
    most = Decimal("922337203685477")
    hotel = Category.objects.create(name="Hotel")
    expense(owner, amount=most - 5, category=hotel)
    row = expense(get_user_model().objects.create_user("ben"), amount=Decimal(100), spent_on=dt.date(2026, 1, 5))
    response = run(admin_client, "recategorise", row, query="?uncategorised=yes", apply="yes", category=hotel.pk)
    assert "Nothing was written." in said(response)
    row.refresh_from_db()
    assert row.category is None
    assert_totals_are_live()


def test_more_than_a_list_counts_are_refused(admin_client: Client, owner: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(admin_base, "COUNTED", 2)
    rows = [expense(owner) for _ in range(3)]
    for data in ({}, {"apply": "yes", "category": "none"}):
        response = run(admin_client, "recategorise", rows[0], select_across="1", **data)
        assert "These are more than 2 expenses" in said(response)
    assert "These are more than 2" in said(run(admin_client, "approve", rows[0], select_across="1"))
    assert statuses() == ["submitted"] * 3


def test_statements_are_as_many_for_many_expenses_as_for_few(admin_client: Client, owner: Any) -> None:
    hotel = Category.objects.create(name="Hotel")

    def statements(month: int, count: int, action: str) -> int:
        row, *_ = [expense(owner, spent_on=dt.date(2026, month, 1)) for _ in range(count)]
        given = {"action": action, "_selected_action": [row.pk], "select_across": "1", "apply": "yes"}
        with CaptureQueriesContext(connection) as captured:
            admin_client.post(f"{EXPENSES}?month=2026-{month:02}", {**given, "category": hotel.pk})
        assert_totals_are_live()
        return len(captured)

    admin_client.get(EXPENSES)
    for number, action in enumerate(("approve", "reject", "recategorise")):
        assert statements(2 * number + 1, 40, action) == statements(2 * number + 2, 4, action), action


def test_actions_take_the_permission_to_change_and_touch_only_what_is_seen(owner: Any) -> None:
    def staff(name: str, *codenames: str) -> tuple[Client, Any]:
        user = get_user_model().objects.create_user(name, is_staff=True)
        user.user_permissions.set(Permission.objects.filter(codename__in=codenames))
        client = Client()
        client.force_login(user)
        return client, user

    foreign = expense(owner)
    reader, _ = staff("reader", "view_expense", "view_all_expenses")
    run(reader, "approve", foreign)
    own, user = staff("own", "view_expense", "change_expense")
    mine = expense(user)
    run(own, "approve", foreign, mine)
    run(own, "reject", mine, select_across="1")
    foreign.refresh_from_db()
    mine.refresh_from_db()
    assert (foreign.status, mine.status) == ("submitted", "rejected")
