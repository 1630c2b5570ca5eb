"""The dashboard as a page: what it says where there is nothing, something wrong, or somebody else's to show."""

from __future__ import annotations

import datetime as dt
import io
from typing import Any

import pytest
from django.contrib.auth.models import Permission, User
from django.core.management import call_command
from django.db import connection
from django.test import Client
from django.utils import timezone

from aggregates.models import RollupState
from expenses import months
from expenses.models import Category, ExpenseTotals
from tests.integration.expenses.admin_pages import expense
from tests.integration.expenses.dashboard_pages import LIST, logged_in, table, text_of, values
from tests.integration.test_policy import HANDLER, SCRIPT, policy

pytestmark = pytest.mark.django_db

MARKUP = "<script>alert('x')</script>"
RANGE = "from=2026-01-01&to=2026-04-01"
PAGES = ["/", "/admin/"]


@pytest.fixture
def client_of_owner(owner: User) -> Client:
    return logged_in(owner)


def test_staff_are_sent_to_the_admin_with_their_filters(admin_client: Client) -> None:
    response = admin_client.get("/?currency=EUR&status=approved")
    assert (response.status_code, response["Location"]) == (302, "/admin/?currency=EUR&status=approved")


def test_who_is_not_logged_in_is_asked_to_and_comes_back(owner: User) -> None:
    response = Client().get("/?currency=EUR")
    assert (response.status_code, response["Location"]) == (302, "/login/?next=/%3Fcurrency%3DEUR")


def test_without_expenses_it_says_what_to_do(client_of_owner: Client, admin_client: Client) -> None:
    own, admin = text_of(client_of_owner, "/"), text_of(admin_client, "/admin/")
    assert 'id="empty"' in own
    assert 'href="/expenses/add/"' in own
    assert 'id="empty"' in admin
    assert "/admin/expenses/expense/add/" in admin
    assert "import_expenses" in admin


def test_drafts_alone_are_as_good_as_nothing(client_of_owner: Client, owner: User) -> None:
    expense(owner, status="draft")
    assert 'id="empty"' in text_of(client_of_owner, "/")


def test_filters_that_match_nothing_say_so_and_can_be_cleared(client_of_owner: Client, owner: User) -> None:
    expense(owner)
    page = text_of(client_of_owner, "/?currency=CHF")
    assert 'id="no-matches"' in page
    assert 'id="clear-filters"' in page


@pytest.mark.parametrize("address", PAGES)
@pytest.mark.parametrize(
    ("query", "said"),
    [
        ("from=abc", "Take a date that exists"), ("from=2026-02-30", "Take a date that exists"),
        ("from=20260101", "Take a date that exists"), ("from=1899-12-31", "Take a date from 1900-01-01"),
        ("to=2100-01-02", "Take a date after"), ("from=2026-02-01&to=2026-02-01", "Take a day after"),
        ("currency=XXX", "Take an ISO 4217 code"), ("currency=%E2%82%AC", "Take an ISO 4217 code"),
        ("currency=1;--", "Take an ISO 4217 code"), ("status=paid", "Take one of"), ("status=draft", "Take one of"),
        ("status=approved,", "Take one of"), ("currency=" + ",".join(["EUR"] * 101), "Take at most 100"),
    ],
)  # fmt: skip
def test_a_filter_that_makes_no_sense_is_told_so(owner: User, address: str, query: str, said: str) -> None:
    expense(owner)
    user = owner if address == "/" else User.objects.create_superuser("root")
    page = text_of(logged_in(user), f"{address}?{query}", status=400)
    assert said in page
    assert 'id="filter-errors"' in page
    assert "aria-invalid" in page
    assert 'id="months"' not in page


@pytest.mark.parametrize("name", ["nobody", "x" * 151, "a%00b"])
def test_an_owner_that_there_is_not_is_told_so(admin_client: Client, owner: User, name: str) -> None:
    assert 'id="filter-errors"' in text_of(admin_client, f"/admin/?owner={name}", status=400)


def test_who_sees_only_his_own_has_no_filter_by_owner(client_of_owner: Client, owner: User) -> None:
    ben = User.objects.create_user("ben")
    expense(owner, spent_on=dt.date(2026, 1, 1))
    expense(ben, spent_on=dt.date(2026, 1, 1), currency="JPY")
    page = text_of(client_of_owner, f"/?owner=ben&{RANGE}")
    assert 'id="filter-owner"' not in page
    assert values(page)["total-EUR"] == "12.50"
    assert "JPY" not in page
    assert "ben" not in page


def test_staff_who_see_only_their_own_see_no_others_in_the_admin(owner: User) -> None:
    staff = User.objects.create_user("sam", is_staff=True)
    staff.user_permissions.add(Permission.objects.get(codename="view_expense"))
    expense(owner, currency="JPY", spent_on=dt.date(2026, 1, 1))
    expense(staff, spent_on=dt.date(2026, 1, 1))
    page = text_of(logged_in(staff), f"/admin/?{RANGE}&owner=ada")
    assert "JPY" not in page
    assert values(page)["total-EUR"] == "12.50"


@pytest.mark.parametrize("address", PAGES)
def test_it_says_when_its_numbers_were_right(owner: User, address: str) -> None:
    client = logged_in(owner if address == "/" else User.objects.create_superuser("root"))
    expense(owner)
    page = text_of(client, address)
    assert "Current as of" in page
    assert "not verified yet" in page
    call_command("verify_totals", stdout=io.StringIO())
    assert "verified <time" in text_of(client, address)


def test_drift_that_was_found_is_in_plain_sight(client_of_owner: Client, owner: User) -> None:
    expense(owner)
    with connection.cursor() as cursor:
        cursor.execute(f"UPDATE {ExpenseTotals._meta.db_table} SET amount = amount + 10000 WHERE rollup = 'month'")
    assert 'id="drift"' not in text_of(client_of_owner, "/")
    with pytest.raises(SystemExit):
        call_command("verify_totals", stdout=io.StringIO())
    assert 'id="drift"' in text_of(client_of_owner, "/")
    call_command("rebuild_totals", stdout=io.StringIO())
    call_command("verify_totals", stdout=io.StringIO())
    assert 'id="drift"' not in text_of(client_of_owner, "/")


@pytest.mark.parametrize("address", PAGES)
def test_totals_that_are_not_ready_are_not_shown(owner: User, address: str) -> None:
    client = logged_in(owner if address == "/" else User.objects.create_superuser("root"))
    expense(owner)
    RollupState.objects.all().delete()
    page = text_of(client, address, status=503)
    assert 'id="not-ready"' in page
    assert ("rebuild_totals" in page) == (address == "/admin/")
    call_command("rebuild_totals", stdout=io.StringIO())
    assert 'id="months"' in text_of(client, f"{address}?from=2026-01-01&to=2026-02-01")


def test_what_can_be_administered_is_still_reachable(admin_client: Client, owner: User) -> None:
    expense(owner)
    for page in (text_of(admin_client, "/admin/"), text_of(admin_client, "/admin/?from=x", status=400)):
        assert 'href="/admin/expenses/category/"' in page
        assert 'href="/admin/auth/user/"' in page


def test_closed_months_are_marked(client_of_owner: Client, owner: User) -> None:
    expense(owner, spent_on=dt.date(2026, 1, 31))
    months.close(dt.date(2026, 1, 1), owner, timezone.now())
    heads = [row[0] for row in table(text_of(client_of_owner, f"/?{RANGE}"), "table-EUR")]
    assert heads == ["Month", "January 2026 closed", "February 2026", "March 2026", "All"]


def test_markup_is_text_on_every_page() -> None:
    user: Any = User.objects.create(username=MARKUP)
    root = User.objects.create_superuser(f"{MARKUP}root")
    category = Category.objects.create(name=MARKUP)
    one = expense(user, category=category, description=MARKUP, spent_on=dt.date(2026, 1, 5))
    query = f"?{RANGE}"
    own = ["/", LIST, "/expenses/add/", f"/expenses/{one.pk}/", f"/expenses/{one.pk}/delete/"]
    pages = [logged_in(user).get(f"{address}{query}") for address in own]
    pages += [logged_in(user).get(f"{LIST}?from=%3Cscript%3E&status=%3Cscript%3Ealert('x')%3C/script%3E")]
    pages += [logged_in(root).get(f"/admin/{query}"), logged_in(root).get(f"{LIST}{query}&category={category.pk}")]
    for page in pages:
        assert page.status_code in (200, 400)
        assert "<script>" not in page.content.decode()


def test_no_page_has_a_script_or_a_style_that_the_policy_would_stop(owner: User) -> None:
    client = logged_in(owner)
    one = expense(owner, spent_on=dt.date(2026, 1, 5))
    own = [f"/?{RANGE}", LIST, "/expenses/add/", f"/expenses/{one.pk}/", f"/expenses/{one.pk}/delete/", "/?from=x"]
    pages = [client.get(address) for address in own] + [Client().get("/login/"), client.post("/logout/")]
    for page in pages:
        text = page.content.decode()
        assert policy(page)["style-src"] == policy(page)["script-src"] == {"'self'"}
        assert all("src=" in attributes and not inside.strip() for attributes, inside in SCRIPT.findall(text))
        assert not HANDLER.search(text)
        assert " style=" not in text
        assert "<style" not in text


def test_what_is_somebodys_is_kept_by_nobody(client_of_owner: Client) -> None:
    for address in ("/", LIST, "/expenses/add/"):
        assert "no-store" in client_of_owner.get(address)["Cache-Control"]
        assert "private" in client_of_owner.get(address)["Cache-Control"]
