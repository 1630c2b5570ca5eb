"""The owners' own pages: the list behind a number, and adding, changing and deleting an expense."""

from __future__ import annotations

import datetime as dt
import re
import uuid
from decimal import Decimal
from typing import Any

import pytest
from django.contrib.auth.models import Permission, User
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from aggregates.models import RollupState
from expenses import months
from expenses.models import Category, Expense
from tests.integration.expenses.admin_pages import expense
from tests.integration.expenses.dashboard_pages import LIST, listed, logged_in, text_of
from tests.integration.expenses.live import assert_totals_are_live

pytestmark = pytest.mark.django_db

ADD = "/expenses/add/"


@pytest.fixture
def client(owner: User) -> Client:
    return logged_in(owner)


@pytest.fixture
def new() -> dict[str, Any]:
    return {
        "spent_on": "2026-01-31", "amount": "12.50", "currency": "EUR", "category": "", "status": "submitted",
        "description": "Airport",
    }  # fmt: skip


def sums(page: str) -> dict[str, str]:
    return dict(re.findall(r'data-testid="sum-(\w+)" data-value="([^"]+)"', page))


def version_of(client: Client, one: Expense) -> str:
    return re.findall(r'name="version" value="([^"]*)"', text_of(client, f"/expenses/{one.pk}/"))[0]


def test_filters_find_what_they_say_with_its_totals(client: Client, owner: User) -> None:
    taxi, meals = Category.objects.create(name="Taxi"), Category.objects.create(name="Meals")
    one = expense(owner, category=taxi, amount=Decimal(10), spent_on=dt.date(2026, 1, 31))
    two = expense(owner, category=meals, amount=Decimal(5), spent_on=dt.date(2026, 2, 1), status="approved")
    yen = expense(owner, amount=Decimal(7), currency="JPY", spent_on=dt.date(2026, 3, 1))
    draft = expense(owner, amount=Decimal(99), spent_on=dt.date(2026, 3, 1), status="draft")
    expense(User.objects.create_user("ben"))
    for query, found, totals in [
        ("", {one, two, yen, draft}, {"EUR": "15.00", "JPY": "7"}),
        ("currency=JPY", {yen}, {"JPY": "7"}),
        (f"category={taxi.pk}", {one}, {"EUR": "10.00"}),
        ("category=none", {yen, draft}, {"JPY": "7"}),
        (f"other_than={taxi.pk}", {two, yen, draft}, {"EUR": "5.00", "JPY": "7"}),
        (f"other_than={taxi.pk},none", {two}, {"EUR": "5.00"}),
        ("other_than=none", {one, two}, {"EUR": "15.00"}),
        ("status=draft", {draft}, {}),
        ("status=approved,rejected", {two}, {"EUR": "5.00"}),
        ("from=2026-01-31&to=2026-02-01", {one}, {"EUR": "10.00"}),
        ("from=2026-02-01", {two, yen, draft}, {"EUR": "5.00", "JPY": "7"}),
        ("to=2026-02-02", {one, two}, {"EUR": "15.00"}),
        ("owner=ben", {one, two, yen, draft}, {"EUR": "15.00", "JPY": "7"}),
    ]:
        assert listed(client, f"{LIST}?{query}") == {str(row.pk) for row in found}, query
        assert sums(text_of(client, f"{LIST}?{query}")) == totals, query


@pytest.mark.parametrize(
    "query",
    [
        "page=0", "page=abc", "page=-1", "page=99999", "page=%EF%BC%91", "category=x", "other_than=1,,2",
        "from=2026-13-01", "category=99999999999999999999", "status=gone",
    ],
)  # fmt: skip
def test_a_query_that_makes_no_sense_is_told_so(client: Client, query: str) -> None:
    assert 'role="alert"' in text_of(client, f"{LIST}?{query}", status=400)


def test_pages_follow_each_other_and_end(client: Client, owner: User) -> None:
    rows = Expense.objects.bulk_create(
        Expense(owner=owner, amount=Decimal(1), currency="EUR", spent_on=dt.date(2026, 1, 1)) for _ in range(101)
    )
    assert listed(client, f"{LIST}?currency=EUR") == {str(row.pk) for row in rows}
    last = text_of(client, f"{LIST}?currency=EUR&page=3")
    assert 'rel="next"' not in last
    assert "?currency=EUR&amp;page=2" in last
    assert 'id="empty"' in text_of(client, f"{LIST}?page=4", status=404)


def test_a_page_takes_as_many_queries_for_many_rows_as_for_few(client: Client, owner: User) -> None:
    def statements() -> int:
        with CaptureQueriesContext(connection) as queries:
            text_of(client, LIST)
        return len(queries)

    for index in range(3):
        expense(owner, category=Category.objects.create(name=f"c{index}"))
    few = statements()
    for index in range(20):
        expense(owner, category=Category.objects.create(name=f"d{index}"))
    assert statements() == few


def test_without_expenses_it_says_what_to_do(client: Client) -> None:
    assert f'href="{ADD}"' in text_of(client, LIST).partition('id="empty"')[2]
    assert "No expense matches" in text_of(client, f"{LIST}?currency=EUR")


def test_the_list_is_there_while_totals_are_not_ready(client: Client, owner: User) -> None:
    one = expense(owner)
    RollupState.objects.all().delete()
    assert listed(client, LIST) == {str(one.pk)}
    assert 'id="not-ready"' in text_of(client, LIST)


def test_an_added_expense_is_the_users_and_in_the_totals(client: Client, owner: User, new: dict[str, Any]) -> None:
    assert client.post(ADD, new)["Location"] == LIST
    one = Expense.objects.get()
    assert (one.owner, one.amount, one.description) == (owner, Decimal("12.50"), "Airport")
    assert "Added: 12.50 EUR" in text_of(client, LIST)
    assert client.post(ADD, {**new, "another": "1"})["Location"] == ADD
    assert_totals_are_live()


def test_a_form_that_is_sent_twice_adds_one_expense(client: Client, new: dict[str, Any]) -> None:
    key = re.findall(r'name="key" value="([^"]+)"', text_of(client, ADD))[0]
    assert [client.post(ADD, {**new, "key": key}).status_code for _ in range(2)] == [302, 302]
    assert str(Expense.objects.get().pk) == key
    assert_totals_are_live()


@pytest.mark.django_db(transaction=True)  # what is refused is rolled back
def test_the_id_of_somebody_elses_expense_is_of_no_use(client: Client, new: dict[str, Any]) -> None:
    foreign = expense(User.objects.create_user("ben"), description="Ben's")
    assert client.post(ADD, {**new, "key": str(foreign.pk)}).status_code == 200
    assert Expense.objects.get().description == "Ben's"
    assert_totals_are_live()


@pytest.mark.parametrize(
    "wrong",
    [
        {"amount": "NaN"}, {"amount": "1.005"}, {"amount": "1.5", "currency": "JPY"}, {"amount": "9" * 20},
        {"amount": "1E+1000000000"}, {"amount": ""}, {"currency": "XXX"}, {"spent_on": "1899-12-31"},
        {"spent_on": "2026-02-30"}, {"status": "gone"}, {"category": "0"}, {"description": "x" * 10_001},
        {"description": "a\0b"}, {"currency": ""},
    ],
)  # fmt: skip
def test_a_form_with_a_mistake_comes_back_and_writes_nothing(
    client: Client, new: dict[str, Any], wrong: dict[str, str]
) -> None:
    response = client.post(ADD, {**new, **wrong})
    assert response.status_code == 200
    assert 'id="form-errors"' in response.content.decode()
    assert 'class="t-wrong"' in response.content.decode()
    assert not Expense.objects.exists()


def test_an_expense_is_changed_and_deleted(client: Client, owner: User, new: dict[str, Any]) -> None:
    one = expense(owner)
    changed = {**new, "amount": "-3", "currency": "eur", "version": version_of(client, one)}
    assert client.post(f"/expenses/{one.pk}/", changed)["Location"] == LIST
    one.refresh_from_db()
    assert (one.amount, one.currency) == (Decimal(-3), "EUR")
    assert_totals_are_live()
    assert client.get(f"/expenses/{one.pk}/delete/").status_code == 200
    assert client.post(f"/expenses/{one.pk}/delete/")["Location"] == LIST
    assert not Expense.objects.exists()
    assert_totals_are_live()


def test_what_was_written_meanwhile_is_not_written_over(client: Client, owner: User, new: dict[str, Any]) -> None:
    one = expense(owner)
    seen = version_of(client, one)
    one.amount = Decimal(99)
    one.save()
    assert "changed meanwhile" in client.post(f"/expenses/{one.pk}/", {**new, "version": seen}).content.decode()
    one.refresh_from_db()
    assert one.amount == Decimal(99)


@pytest.mark.django_db(transaction=True)  # what is refused is rolled back
def test_closed_months_are_not_written(client: Client, owner: User, new: dict[str, Any]) -> None:
    one = expense(owner, spent_on=dt.date(2026, 1, 31))
    version = version_of(client, one)
    months.close(dt.date(2026, 1, 1), owner, timezone.now())
    for url, form in (
        (ADD, new),
        (f"/expenses/{one.pk}/", {**new, "version": version}),
        (f"/expenses/{one.pk}/delete/", {}),
    ):
        response = client.post(url, form)
        assert response.status_code == 200
        assert "2026-01 is closed" in response.content.decode()
    assert Expense.objects.get().amount == Decimal("12.5")
    assert_totals_are_live()


def test_somebody_elses_expense_does_not_exist(client: Client, new: dict[str, Any]) -> None:
    foreign = expense(User.objects.create_user("ben"))
    for key in (foreign.pk, uuid.uuid4()):
        for url in (f"/expenses/{key}/", f"/expenses/{key}/delete/"):
            assert client.get(url).status_code == 404
            assert client.post(url, new).status_code == 404
    assert Expense.objects.get() == foreign


def test_who_changes_nothing_is_offered_nothing_and_refused(new: dict[str, Any]) -> None:
    auditor = User.objects.create_user("audra")
    auditor.user_permissions.add(*Permission.objects.filter(codename__in=["view_all_expenses", "only_read"]))
    client, one = logged_in(auditor), expense(auditor)
    assert 'id="add-expense"' not in text_of(client, LIST)
    for url in (ADD, f"/expenses/{one.pk}/", f"/expenses/{one.pk}/delete/"):
        assert client.get(url).status_code == 403
        assert client.post(url, new).status_code == 403
    assert Expense.objects.get().amount == Decimal("12.5")


def test_who_sees_everybodys_changes_only_what_he_may(owner: User, new: dict[str, Any]) -> None:
    reader = User.objects.create_user("rita")
    reader.user_permissions.add(Permission.objects.get(codename="view_all_expenses"))
    one = expense(owner)
    assert listed(logged_in(reader), f"{LIST}?owner=ada") == {str(one.pk)}
    assert logged_in(reader).get(f"/expenses/{one.pk}/").status_code == 403
    reader.user_permissions.add(Permission.objects.get(codename="change_expense"))
    assert logged_in(reader).get(f"/expenses/{one.pk}/").status_code == 200


def test_a_form_of_another_site_writes_nothing(owner: User, new: dict[str, Any]) -> None:
    client = Client(enforce_csrf_checks=True)
    client.force_login(owner)
    assert client.post(ADD, new).status_code == 403
    assert not Expense.objects.exists()


@pytest.mark.parametrize(
    ("url", "status", "said"),
    [
        ("/expenses/nothing/", 404, "There is no such page"),
        (f"{LIST}{uuid.UUID(int=1)}/", 404, "There is no such page"),
        ("/admin/aggregates/run/rebuild/", 403, "You may not see this page"),
    ],
)
def test_a_page_that_is_not_there_or_not_for_you_says_so_and_leads_back(url: str, status: int, said: str) -> None:
    clerk = User.objects.create_user("clerk", is_staff=True)
    page = text_of(logged_in(clerk), url, status=status)
    assert said in page
    assert '<a href="/">' in page
