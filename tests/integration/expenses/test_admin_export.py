"""The list of expenses as a file: what it shows, all pages, safe for spreadsheets."""

from __future__ import annotations

import csv
import datetime as dt
import html
import io
import re
from decimal import Decimal
from typing import Any

import pytest
from django.contrib.auth import get_user_model
from django.contrib.auth.models import Permission
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from expenses.models import Category, Expense
from tests.integration.expenses.admin_pages import EXPENSES, expense, over

pytestmark = pytest.mark.django_db
EXPORT = f"{EXPENSES}export/"


def exported(client: Client, url: str = EXPORT) -> list[dict[str, str]]:
    response: Any = client.get(url)
    assert response.status_code == 200
    assert response.streaming
    assert response.headers["Content-Disposition"] == 'attachment; filename="expenses.csv"'
    return list(csv.DictReader(io.StringIO(b"".join(response.streaming_content).decode())))


def test_it_has_all_pages_of_the_filtered_list_in_its_order(admin_client: Client, owner: Any) -> None:
    rows = [expense(owner, spent_on=dt.date(2026, 1, 1 + day % 28), amount=Decimal(day)) for day in range(60)]
    expense(owner, spent_on=dt.date(2026, 2, 1))
    page = admin_client.get(f"{EXPENSES}?month=2026-01&o=4&p=2").content.decode()
    [link] = re.findall(r'id="export-link" href="([^"]+)"', page)
    found = exported(admin_client, html.unescape(link))
    assert [row["id"] for row in found] == [str(one.pk) for one in sorted(rows, key=lambda one: one.amount)]
    assert [row["id"] for row in exported(admin_client, f"{EXPORT}?q=nothing")] == []


def test_text_is_no_formula_and_amounts_are_numbers(admin_client: Client) -> None:
    owner = get_user_model().objects.create_user("@da")
    for start in ("=", "+", "-", "@", "\t", "\r", "\n", "\uff1d", "\uff0b", "\uff0d", "\uff20"):
        category = Category.objects.create(name=f"{start}1+1")
        expense(owner, category=category, description=f"{start}cmd", amount=Decimal("-3"))
    found = exported(admin_client)
    assert {row["amount"] for row in found} == {"-3.00"}
    assert {row["owner"] for row in found} == {"'@da"}
    assert {row["category"][0] + row["description"][0] for row in found} == {"''"}
    expense(owner, amount=Decimal(100), currency="JPY", description="plain", spent_on=dt.date(2026, 3, 1))
    [plain] = [row for row in exported(admin_client) if row["currency"] == "JPY"]
    assert [plain[name] for name in ("date", "amount", "status", "description", "category")] == [
        "2026-03-01", "100", "submitted", "plain", "",
    ]  # fmt: skip


def test_it_reads_the_expenses_once_and_counts_nothing(admin_client: Client, owner: Any) -> None:
    expense(owner)
    with CaptureQueriesContext(connection) as captured:
        exported(admin_client)
    [statement] = over(Expense, captured)
    assert "COUNT(" not in statement


def test_it_takes_the_permission_to_see_expenses_and_has_only_those_that_are_seen(owner: Any) -> None:
    user = get_user_model().objects.create_user("staff", is_staff=True)
    client = Client()
    client.force_login(user)
    assert client.get(EXPORT).status_code == 403
    user.user_permissions.set(Permission.objects.filter(codename="view_expense"))
    expense(owner)
    mine = expense(user)
    assert [row["id"] for row in exported(client)] == [str(mine.pk)]
    assert Client().get(EXPORT).status_code == 302


def test_a_filter_that_makes_no_sense_leads_back_to_the_list(admin_client: Client) -> None:
    response = admin_client.get(f"{EXPORT}?month=2026-13")
    assert (response.status_code, response.headers["Location"]) == (302, f"{EXPENSES}?e=1")
