"""The admin: every page answers, what it writes keeps totals exact, and nobody sees what is not theirs."""

from __future__ import annotations

import datetime as dt
import html
import io
import re
from decimal import Decimal
from typing import Any

import pytest
from django.contrib.auth import get_user_model
from django.contrib.auth.models import Group
from django.core.management import call_command
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse

from aggregates.models import Run
from expenses.models import Category, Expense, ExpenseTotals
from tests.integration.expenses.admin_pages import EXPENSES, TOTALS, expense, listed, rows
from tests.integration.expenses.live import assert_totals_are_live

pytestmark = pytest.mark.django_db


def test_every_page_answers(admin_client: Client, owner: Any) -> None:
    one = expense(owner, category=Category.objects.create(name="Taxi"))
    call_command("verify_totals", stdout=io.StringIO())
    objects = [
        one,
        one.category,
        one.owner,
        ExpenseTotals.objects.first(),
        Run.objects.get(totals="expenses.ExpenseTotals"),
        Group.objects.create(name="g"),
    ]
    pages = ["/admin/"]
    for page in objects:
        name = f"admin:{page._meta.app_label}_{page._meta.model_name}"
        pages += [reverse(f"{name}_changelist"), reverse(f"{name}_change", args=[page.pk])]
    pages += [
        f"{EXPENSES}add/",
        "/admin/expenses/category/add/",
        "/admin/auth/user/add/",
        "/admin/aggregates/rollupstate/",
    ]
    pages += [f"{EXPENSES}?q=taxi", f"{EXPENSES}{one.pk}/history/", f"{EXPENSES}{one.pk}/delete/"]
    assert {page: admin_client.get(page, follow=True).status_code for page in pages} == dict.fromkeys(pages, 200)


@pytest.mark.guarantee("admin: add, change, delete", "exact")
def test_adding_changing_and_deleting_keep_totals_exact(admin_client: Client, form: dict[str, Any]) -> None:
    assert admin_client.post(f"{EXPENSES}add/", form).status_code == 302
    one = Expense.objects.get()
    assert_totals_are_live()
    changed = {**form, "amount": "-3", "spent_on": "2026-02-01", "category": ""}
    assert admin_client.post(f"{EXPENSES}{one.pk}/change/", changed).status_code == 302
    one.refresh_from_db()
    assert (one.amount, one.category) == (Decimal(-3), None)
    assert_totals_are_live()
    assert admin_client.post(f"{EXPENSES}{one.pk}/delete/", {"post": "yes"}).status_code == 302
    assert not Expense.objects.exists()
    assert_totals_are_live()


@pytest.mark.guarantee("admin: editing in the list, deleting the selected", "exact")
def test_editing_in_the_list_and_deleting_the_selected_keep_totals_exact(admin_client: Client, owner: Any) -> None:
    both = [expense(owner), expense(owner, spent_on=dt.date(2026, 3, 1))]
    edited = {
        "form-TOTAL_FORMS": "2", "form-INITIAL_FORMS": "2", "_save": "Save",
        "form-0-id": both[1].pk, "form-0-status": "approved", "form-1-id": both[0].pk, "form-1-status": "draft",
    }  # fmt: skip
    assert admin_client.post(EXPENSES, edited).status_code == 302
    assert sorted(Expense.objects.values_list("status", flat=True)) == ["approved", "draft"]
    assert_totals_are_live()
    chosen = {"action": "delete_selected", "_selected_action": [one.pk for one in both], "post": "yes"}
    assert admin_client.post(EXPENSES, chosen).status_code == 302
    assert not Expense.objects.exists()
    assert_totals_are_live()


def test_deleting_a_category_leaves_its_expenses_uncategorised(admin_client: Client, owner: Any) -> None:
    taxi = Category.objects.create(name="Taxi")
    expense(owner, category=taxi)
    assert admin_client.post(f"/admin/expenses/category/{taxi.pk}/delete/", {"post": "yes"}).status_code == 302
    assert Expense.objects.get().category is None
    assert_totals_are_live()


@pytest.mark.guarantee("PROTECT", "exact")
def test_an_owner_with_expenses_cannot_be_deleted(admin_client: Client, owner: Any) -> None:
    expense(owner)
    admin_client.post(f"/admin/auth/user/{owner.pk}/delete/", {"post": "yes"})
    assert get_user_model().objects.filter(pk=owner.pk).exists()
    assert_totals_are_live()


@pytest.mark.parametrize(
    "wrong",
    [
        {"amount": "NaN"}, {"amount": "1.005"}, {"amount": "1.5", "currency": "JPY"}, {"amount": "9" * 20},
        {"amount": "1E+1000000000"}, {"currency": "XXX"}, {"spent_on": "1899-12-31"}, {"spent_on": "2026-02-30"},
        {"status": "gone"}, {"owner": ""}, {"category": "0"}, {"description": "x" * 10_001}, {"description": "a\0b"},
    ],
)  # fmt: skip
def test_a_form_with_a_mistake_comes_back_and_writes_nothing(
    admin_client: Client, form: dict[str, Any], wrong: dict[str, str]
) -> None:
    response = admin_client.post(f"{EXPENSES}add/", {**form, **wrong})
    assert response.status_code == 200
    assert "errorlist" in response.content.decode() or "Please correct" in response.content.decode()
    assert not Expense.objects.exists()


def test_amounts_have_the_digits_of_their_currency(admin_client: Client, owner: Any) -> None:
    for currency, amount, shown in (("EUR", "1234.5", "1234.50"), ("JPY", "100", "100"), ("KWD", "-0.5", "-0.500")):
        one = expense(owner, currency=currency, amount=Decimal(amount))
        assert any(shown in row for row in rows(admin_client, f"{EXPENSES}?currency={currency}"))
        assert any(shown in row for row in rows(admin_client, f"{TOTALS}?currency={currency}"))
        assert f'value="{shown}"' in admin_client.get(f"{EXPENSES}{one.pk}/change/").content.decode()


def test_filters_find_what_they_say(admin_client: Client, owner: Any) -> None:
    taxi, ben = Category.objects.create(name="Taxi"), get_user_model().objects.create_user("ben")
    first = expense(owner, category=taxi, spent_on=dt.date(2026, 1, 31))
    second = expense(ben, spent_on=dt.date(2026, 2, 1), currency="JPY", amount=Decimal(5), status="draft")
    for query, found in {
        "": {first, second},
        "month=2026-01": {first},
        "month=2026-02": {second},
        "month=2026-03": set(),
        "currency=JPY": {second},
        "status__exact=draft": {second},
        f"owner__id__exact={ben.pk}": {second},
        f"category__id__exact={taxi.pk}": {first},
        "uncategorised=yes": {second},
        "uncategorised=no": {first},
        "q=taxi": {first},
        "spent_on__exact=2026-01-31": {first},
    }.items():
        assert listed(admin_client, f"{EXPENSES}?{query}") == {str(one.pk) for one in found}, query


@pytest.mark.parametrize(
    "query", ["month=2026-13", "month=0000-01", "month=x", "currency=1;--", "status__exact=%00&month=x"]
)
def test_a_filter_that_makes_no_sense_is_dropped(admin_client: Client, query: str) -> None:
    response = admin_client.get(f"{EXPENSES}?{query}")
    assert (response.status_code, response.headers["Location"]) == (302, f"{EXPENSES}?e=1")
    assert admin_client.get(f"{TOTALS}?rollup__exact=none").status_code == 302


@pytest.mark.parametrize("rollup", ["day", "month", "overview"])
def test_each_total_links_to_the_very_expenses_behind_it(admin_client: Client, owner: Any, rollup: str) -> None:
    taxi = Category.objects.create(name="Taxi")
    for day in (1, 1, 15, 31):
        expense(owner, category=taxi, spent_on=dt.date(2026, 1, day))
        expense(owner, spent_on=dt.date(2026, 2, min(day, 28)), currency="JPY", amount=Decimal(day))
        expense(owner, spent_on=dt.date(2026, 1, day), status="draft")
    page = admin_client.get(f"{TOTALS}?rollup__exact={rollup}").content.decode()
    links = [html.unescape(link) for link in re.findall(rf'href="({EXPENSES}\?[^"]+)"', page)]
    behind = [listed(admin_client, link) for link in links]
    assert all(behind)
    assert sum(map(len, behind)) == 8
    assert set.union(*behind) == {
        str(pk) for pk in Expense.objects.exclude(status="draft").values_list("pk", flat=True)
    }


def test_a_striped_bucket_is_shown_whole(admin_client: Client, owner: Any) -> None:
    expense(owner)
    total = ExpenseTotals.objects.get(rollup="overview")
    with connection.cursor() as cursor:  # what a writer on another connection would have added
        table = ExpenseTotals._meta.db_table
        columns = "rollup, generation, category_id, currency, status, month, amount, count"
        cursor.execute(
            f"INSERT INTO {table} (id, slot, {columns}) SELECT %s, 9, {columns} FROM {table} WHERE id = %s",
            [ExpenseTotals._meta.pk.get_db_prep_value(value, connection) for value in (expense_key(), total.pk)],
        )
    [row] = rows(admin_client, f"{TOTALS}?rollup__exact=overview")
    assert row[-3:] == ["25.00", "2", "show"]


def expense_key() -> Any:
    return Expense._meta.pk.get_default()


def test_an_emptied_bucket_is_shown_as_empty(admin_client: Client, owner: Any) -> None:
    expense(owner).delete()
    assert [row[-3:] for row in rows(admin_client, TOTALS)] == [["–", "0", "empty"]]


def test_totals_and_runs_are_read_only(admin_client: Client, owner: Any) -> None:
    expense(owner)
    total = ExpenseTotals.objects.first()
    assert total is not None
    for url in (
        f"{TOTALS}add/",
        f"{TOTALS}{total.pk}/delete/",
        "/admin/aggregates/run/add/",
        "/admin/aggregates/rollupstate/add/",
    ):
        assert admin_client.post(url, {"post": "yes"}).status_code == 403
    assert admin_client.post(f"{TOTALS}{total.pk}/change/", {"count": "7"}).status_code == 403
    assert admin_client.post(TOTALS, {"action": "delete_selected", "_selected_action": [total.pk]}).status_code in {
        200,
        302,
    }
    assert_totals_are_live()


def test_a_run_shows_what_it_found(admin_client: Client, owner: Any) -> None:
    expense(owner, category=Category.objects.create(name="<script>"))
    with connection.cursor() as cursor:
        cursor.execute(f"UPDATE {ExpenseTotals._meta.db_table} SET amount = amount + 10000 WHERE rollup = 'month'")
    with pytest.raises(SystemExit):
        call_command("verify_totals", stdout=io.StringIO())
    page = admin_client.get(
        f"/admin/aggregates/run/{Run.objects.get(totals='expenses.ExpenseTotals').pk}/change/"
    ).content.decode()
    for text in ("<td>month</td>", "amount: 13.5", "amount: 12.5", "amount: -1"):
        assert text in page


def test_a_list_takes_the_same_number_of_statements_whatever_it_shows(admin_client: Client, owner: Any) -> None:
    def statements(url: str) -> int:
        with CaptureQueriesContext(connection) as captured:
            assert admin_client.get(url).status_code == 200
        return len(captured)

    def many(count: int) -> None:
        for number in range(count):
            somebody = get_user_model().objects.create_user(f"u{get_user_model().objects.count()}")
            expense(
                somebody,
                category=Category.objects.create(name=f"c{somebody.pk}"),
                spent_on=dt.date(2026, 1, number + 1),
            )

    for url in (EXPENSES, TOTALS):
        many(2)
        few = statements(url)
        many(10)
        assert statements(url) == few
