"""A real year of a real parliament: imported, read through the API, edited in every way, verified."""

from __future__ import annotations

import datetime as dt
import json
import os
import random
import subprocess
import sys
from decimal import Decimal
from pathlib import Path

import pytest
from django.contrib.admin import helpers
from django.contrib.auth.models import User
from django.db import transaction
from django.urls import reverse

from expenses.models import Category, Expense, ExpenseTotals, Status
from tests.exactness import assert_totals_match
from tests.processes import ROOT, environment, manage

DATA = Path(os.environ.get("SHARED_DATA", ROOT.parent / "shared" / "data"))
FILE = DATA / "senate-expenses-2020.csv"
EDITS = 2_000
SEED = int(os.environ.get("SEED", "20201231"))

pytestmark = [
    pytest.mark.long,
    pytest.mark.django_db(transaction=True),
    pytest.mark.skipif(not FILE.exists(), reason=f"no {FILE.name} beside the checkout"),
]


def import_file():
    return subprocess.run(
        [
            sys.executable, "manage.py", "import_expenses", str(FILE), "--delimiter", ";", "--encoding", "latin-1",
            "--decimal-comma", "--date-format", "%d/%m/%Y", "--id-column", "COD_DOCUMENTO", "--owner-column", "SENADOR",
            "--category-column", "TIPO_DESPESA", "--date-column", "DATA", "--amount-column", "VALOR_REEMBOLSADO",
            "--currency", "BRL",
        ],
        cwd=ROOT, env=environment(), capture_output=True, text=True, timeout=120, check=False,
    )  # fmt: skip


@pytest.fixture
def expected():
    return json.loads((DATA / "senate-expenses-2020.expected.json").read_text(encoding="utf-8"))


@pytest.fixture
def accountant(client):
    user = User.objects.create_superuser("accountant")
    client.force_login(user)
    return client


def totals(client, **query):
    """Return all rows of an answer, page by page."""
    url, rows = "/api/v1/totals/", []
    response = client.get(url, query)
    while True:
        assert response.status_code == 200, response.content
        page = response.json()
        rows += page["results"]
        if page["next"] is None:
            return rows
        response = client.get(page["next"])


def by(rows, key):
    return {row[key]: {"sum": row["sum"], "count": row["count"]} for row in rows}


def test_the_file_goes_in_and_the_totals_are_those_computed_elsewhere(accountant, expected):
    imported = import_file()
    assert imported.returncode == 1, imported.stderr
    for rejected in expected["rows_rejected"]:
        assert f"line {rejected['line']}" in imported.stdout + imported.stderr
    assert Expense.objects.count() == expected["rows_accepted"]

    (grand,) = totals(accountant)
    assert (grand["currency"], grand["sum"], grand["count"]) == ("BRL", "19406724.57", 13_800)
    assert by(totals(accountant, group_by="category"), "category_name") == expected["by_category"]
    assert by(totals(accountant, group_by="month"), "month") == expected["by_month"]
    assert by(totals(accountant, group_by="owner"), "owner_name") == expected["by_owner"]
    assert by(totals(accountant, group_by="year"), "year").keys() == {month[:4] for month in expected["by_month"]}

    before = list(ExpenseTotals.objects.order_by("pk").values())
    again = import_file()
    assert again.returncode == 1
    assert "13800" in again.stdout
    assert list(ExpenseTotals.objects.order_by("pk").values()) == before
    assert manage("verify_totals").returncode == 0


class Editor:
    """Random edits through every path that the service offers; each method is one."""

    def __init__(self, client, pick):
        self.client = client
        self.pick = pick
        self.keys = list(Expense.objects.order_by("pk").values_list("pk", flat=True))
        self.categories = list(Category.objects.order_by("pk"))
        self.owners = list(User.objects.order_by("pk")[:20])

    def some(self, most=20):
        """Return the keys of a few expenses, deleted ones among them."""
        return self.pick.sample(self.keys, self.pick.randint(1, most))

    def one(self):
        """Return one expense that is there."""
        while True:
            found = Expense.objects.filter(pk=self.pick.choice(self.keys)).first()
            if found:
                return found

    def amount(self):
        return Decimal(self.pick.randrange(-500_000, 500_000)) / 100

    def day(self):
        return dt.date(2019, 12, 1) + dt.timedelta(days=self.pick.randrange(420))

    def category(self):
        return self.pick.choice([*self.categories, None])

    def new(self):
        expense = Expense(
            owner=self.pick.choice(self.owners),
            category=self.category(),
            amount=self.amount(),
            currency=self.pick.choice(["BRL", "BRL", "EUR"]),
            spent_on=self.day(),
            status=self.pick.choice(Status.values),
        )
        self.keys.append(expense.pk)
        return expense

    def save_new(self):
        self.new().save()

    def save_all_fields(self):
        expense = self.one()
        expense.amount, expense.category, expense.spent_on = self.amount(), self.category(), self.day()
        expense.owner, expense.status = self.pick.choice(self.owners), self.pick.choice(Status.values)
        expense.save()

    def save_update_fields(self):
        expense = self.one()
        expense.amount, expense.status, expense.spent_on = self.amount(), Status.APPROVED, self.day()
        expense.save(update_fields=self.pick.choice([["amount"], ["status", "spent_on"], ["description"]]))

    def save_stale(self):
        stale = self.one()
        Expense.objects.filter(pk=stale.pk).update(amount=self.amount())
        stale.description = "edited elsewhere"
        stale.save()

    def save_and_roll_back(self):
        expense = self.one()
        expense.amount = self.amount()
        with transaction.atomic():
            expense.save()
            transaction.set_rollback(True)

    def delete(self):
        self.one().delete()

    def update(self):
        Expense.objects.filter(pk__in=self.some()).update(
            **self.pick.choice(
                [{"amount": self.amount()}, {"category": self.category()}, {"status": self.pick.choice(Status.values)}]
            )
        )

    def bulk_create(self):
        Expense.objects.bulk_create([self.new() for _ in range(self.pick.randint(1, 10))])

    def bulk_create_again(self):
        known = list(Expense.objects.filter(pk__in=self.some(5)))
        Expense.objects.bulk_create([*known, self.new()], ignore_conflicts=True)

    def bulk_update(self):
        expenses = list(Expense.objects.filter(pk__in=self.some()))
        for expense in expenses:
            expense.amount, expense.spent_on, expense.category = self.amount(), self.day(), self.category()
        Expense.objects.bulk_update(expenses, ["amount", "spent_on", "category"], batch_size=7)

    def queryset_delete(self):
        Expense.objects.filter(pk__in=self.some(4)).delete()

    def api_post(self):
        body = {"amount": "12.34", "currency": "BRL", "spent_on": self.day().isoformat(), "status": "submitted"}
        response = self.client.post("/api/v1/expenses/", body, content_type="application/json")
        assert response.status_code == 201, response.content
        self.keys.append(Expense._meta.pk.to_python(response.json()["id"]))

    def api_patch(self):
        body = {"amount": f"{self.amount():.2f}", "status": self.pick.choice(Status.values)}
        response = self.client.patch(self.url(self.one()), body, content_type="application/json")
        assert response.status_code == 200, response.content

    def api_delete(self):
        assert self.client.delete(self.url(self.one())).status_code == 204

    def url(self, expense):
        return f"/api/v1/expenses/{expense.pk}/"

    def admin_change(self):
        expense = self.one()
        form = {
            "owner": expense.owner_id,
            "category": expense.category_id or "",
            "amount": f"{self.amount():.2f}",
            "currency": expense.currency,
            "spent_on": self.day().isoformat(),
            "status": expense.status,
            "description": "",
        }
        response = self.client.post(reverse("admin:expenses_expense_change", args=[expense.pk]), form)
        assert response.status_code == 302, response.context["adminform"].form.errors

    def admin_delete_selected(self):
        chosen = [str(expense.pk) for expense in Expense.objects.filter(pk__in=self.some(3))]
        form = {"action": "delete_selected", helpers.ACTION_CHECKBOX_NAME: chosen, "post": "yes"}
        if chosen:
            assert self.client.post(reverse("admin:expenses_expense_changelist"), form).status_code == 302


CHEAP = [name for name in vars(Editor) if name.split("_")[0] in {"save", "delete", "update", "bulk", "queryset"}]
VIEWS = [name for name in vars(Editor) if name.split("_")[0] in {"api", "admin"}]


@pytest.mark.parametrize("seed", [SEED])  # in the test's name, so that a failure tells it
def test_two_thousand_edits_by_every_path_leave_no_drift(accountant, seed):
    import_file()
    editor = Editor(accountant, random.Random(seed))
    for turn in range(EDITS):
        getattr(editor, editor.pick.choice(CHEAP if turn % 10 else VIEWS))()
    verified = manage("verify_totals")
    assert verified.returncode == 0, verified.stdout
    assert_totals_match()
