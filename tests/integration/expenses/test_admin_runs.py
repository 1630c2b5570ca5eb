"""Verify and rebuild in the service's admin: in its theme, under its policy, with the permissions of the API."""

from __future__ import annotations

import datetime as dt
from decimal import Decimal
from typing import Any

import pytest
from auditlog.models import LogEntry
from django.contrib.auth import get_user_model
from django.contrib.auth.models import Permission
from django.db import connection
from django.test import Client

from aggregates.models import Run
from expenses.models import Category, ExpenseTotals
from tests.integration.expenses.admin_pages import expense, rows
from tests.integration.expenses.live import assert_totals_are_live

pytestmark = pytest.mark.django_db

RUNS = "/admin/aggregates/run/"
LABEL = ExpenseTotals._meta.label


@pytest.fixture
def drifted(owner: Any) -> None:
    """Expenses of two months, and a total that is wrong."""
    for month in (1, 2):
        category = Category.objects.create(name=f"<script>{month}</script>")
        expense(owner, category=category, spent_on=dt.date(2026, month, 1), amount=Decimal(10))
    with connection.cursor() as cursor:
        cursor.execute(
            f"UPDATE {ExpenseTotals._meta.db_table} SET amount = amount + 10000 WHERE rollup = 'month' AND month = %s",
            ["2026-01-01"],
        )


def staff(*permissions: str) -> Client:
    user = get_user_model().objects.create_user(f"staff{get_user_model().objects.count()}", is_staff=True)
    user.user_permissions.set(Permission.objects.filter(codename__in=permissions))
    client = Client()
    client.force_login(user)
    return client


def begun(client: Client, kind: str) -> Run:
    answer = client.post(f"{RUNS}{kind}/", {"totals": LABEL})
    assert answer.status_code == 302
    return Run.objects.get(totals=LABEL, kind=kind)


def test_drift_is_seen_repaired_and_gone(admin_client: Client, drifted: None) -> None:
    for kind in ("verify", "rebuild"):
        assert f'id="begin-{kind}"' in admin_client.get(RUNS).content.decode()
        form = admin_client.get(f"{RUNS}{kind}/").content.decode()
        assert f'<option value="{LABEL}"' in form
        run = begun(admin_client, kind)
        page = admin_client.post(f"{RUNS}{run.pk}/step/", follow=True).content.decode()
        assert "Complete: 1 bucket drifted." in " ".join(page.split())
        for cell in ("month", "amount: 11.0000, count: 1", "amount: 10.0000, count: 1", "amount: -1.0000, count: 0"):
            assert f"<td>{cell}</td>" in page
    assert_totals_are_live()
    [entry] = LogEntry.objects.filter(content_type__model="run")
    assert str(entry.actor) == "admin"
    Run.objects.filter(kind="verify").delete()
    run = begun(admin_client, "verify")
    page = admin_client.post(f"{RUNS}{run.pk}/step/", follow=True).content.decode()
    assert "Complete: no drift." in page
    assert {row[1] for row in rows(admin_client, RUNS)} == {"Verify", "Rebuild"}


def test_what_shows_sums_takes_the_permission_to_see_everybody(admin_client: Client, drifted: None) -> None:
    run = begun(admin_client, "verify")
    admin_client.post(f"{RUNS}{run.pk}/step/")
    worker = staff("view_run", "change_run")
    assert 'id="begin-verify"' not in worker.get(RUNS).content.decode()
    assert worker.get(f"{RUNS}verify/").status_code == 403
    assert worker.get(f"{RUNS}rebuild/").status_code == 200
    for url in (f"{RUNS}{run.pk}/progress/", f"{RUNS}{run.pk}/change/"):
        assert "amount: 10.0000" not in worker.get(url).content.decode()
        assert "amount: 10.0000" in staff("view_run", "view_all_expenses").get(url).content.decode()
    assert worker.post(f"{RUNS}{run.pk}/cancel/").status_code == 403
