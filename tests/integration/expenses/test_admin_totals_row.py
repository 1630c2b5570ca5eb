"""The list of expenses says what all its pages come to: from totals, the same as the expenses add up to."""

from __future__ import annotations

import datetime as dt
import itertools
import random
from collections import defaultdict
from decimal import Decimal
from typing import Any
from urllib.parse import urlencode

import pytest
from django.contrib.auth import get_user_model
from django.contrib.auth.models import Permission
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from aggregates.models import RollupState
from expenses import admin_base
from expenses.admin_totals_row import TOO_LARGE
from expenses.models import Category, Expense, Status
from tests.integration.expenses.admin_pages import EXPENSES, expense, over

pytestmark = pytest.mark.django_db


def asked(client: Client, **query: Any) -> Any:
    """Return what the list says that its expenses come to."""
    response = client.get(f"{EXPENSES}?{urlencode(query)}")
    assert response.status_code == 200, response.headers
    assert b'id="totals-row"' in response.content
    return response.context["totals_row"]


def sums(row: Any) -> dict[str, tuple[int, Decimal]]:
    return {shown["currency"]: (shown["count"], Decimal(shown["sum"])) for shown in row.sums}


def live(expenses: Any) -> dict[str, tuple[int, Decimal]]:
    """Return the same from the expenses, drafts left out, in plain Python."""
    found: defaultdict[str, list[Decimal]] = defaultdict(list)
    for one in expenses:
        if one.status != Status.DRAFT:
            found[one.currency].append(one.amount)
    return {currency: (len(amounts), sum(amounts, Decimal(0))) for currency, amounts in found.items()}


@pytest.fixture
def ledger(owner: Any) -> dict[str, list[str]]:
    """Two hundred expenses of two owners, and the values that filters have for them."""
    chance = random.Random(7)
    owners = [owner, get_user_model().objects.create_user("ben")]
    categories = [Category.objects.create(name="Taxi"), Category.objects.create(name="Hotel"), None]
    for _ in range(200):
        expense(
            chance.choice(owners),
            category=chance.choice(categories),
            currency=chance.choice(["EUR", "JPY"]),
            amount=Decimal(chance.randint(-50, 500)),
            status=chance.choice(Status.values),
            spent_on=dt.date(2026, chance.randint(1, 3), chance.randint(1, 28)),
        )
    return {
        "owner__id__exact": [str(one.pk) for one in owners],
        "category__id__exact": [str(one.pk) for one in categories if one],
        "uncategorised": ["yes"],
        "other_than": ["none", *(f"{one.pk}{rest}" for one in categories if one for rest in ("", ",none"))],
        "currency": ["EUR", "JPY", "USD"],
        "status__exact": list(Status.values),
        "status__in": ["approved,draft,submitted"],
        "month": ["2026-01", "2026-02", "2027-01"],
        "spent_on__exact": ["2026-01-05"],
        "spent_on_from": ["2026-01-10", "2026-02-01"],
        "spent_on_to": ["2026-02-14", "2026-01-01"],
    }


def test_it_is_what_the_expenses_of_the_list_add_up_to(admin_client: Client, ledger: dict[str, list[str]]) -> None:
    choices = [(name, value) for name, values in ledger.items() for value in values]
    queries = [{}, *({name: value} for name, value in choices)]
    pairs = itertools.combinations(choices, 2)
    queries += random.Random(3).sample([dict(pair) for pair in pairs if pair[0][0] != pair[1][0]], 40)
    for query in queries:
        response = admin_client.get(f"{EXPENSES}?{urlencode(query)}")
        row = response.context["totals_row"]
        assert not row.problem, query
        assert sums(row) == live(response.context["cl"].queryset), query


def test_a_sum_past_64_bits_is_exact_and_on_sqlite_not_told_but_why(admin_client: Client, owner: Any) -> None:
    most = Decimal("922337203685477.00")
    for month in (1, 2):
        expense(owner, amount=most, spent_on=dt.date(2026, month, 1))
    row = asked(admin_client)
    if connection.vendor == "sqlite":
        assert (row.sums, row.problem) == ([], TOO_LARGE)
    else:
        assert sums(row) == {"EUR": (2, 2 * most)}
    assert sums(asked(admin_client, month="2026-01")) == {"EUR": (1, most)}


def test_all_categories_but_some_are_chosen_by_a_link_and_named(
    admin_client: Client, ledger: dict[str, list[str]]
) -> None:
    taxi = ledger["category__id__exact"][0]
    response = admin_client.get(f"{EXPENSES}?other_than={taxi},none")
    assert {one.category.name for one in response.context["cl"].queryset} == {"Hotel"}
    assert "Other than Taxi, uncategorised" in response.content.decode()
    assert "other_than" not in admin_client.get(EXPENSES).content.decode()
    for wrong in ("x", "1,", "9" * 19, "\u0661"):
        assert admin_client.get(EXPENSES, {"other_than": wrong})["Location"].endswith("?e=1"), wrong


def test_it_comes_from_totals_and_no_statement_sums_expenses(
    admin_client: Client, ledger: dict[str, list[str]]
) -> None:
    query = {"month": "2026-01", "owner__id__exact": ledger["owner__id__exact"][0]}
    with CaptureQueriesContext(connection) as captured:
        assert asked(admin_client, **query).sums
    over_expenses = [sql.upper() for sql in over(Expense, captured)]
    assert over_expenses
    assert not [sql for sql in over_expenses if "SUM(" in sql or "AVG(" in sql]
    assert any("SUM(" in one["sql"].upper() for one in captured)


def test_several_owners_and_statuses_in_one_address_are_added(
    admin_client: Client, ledger: dict[str, list[str]]
) -> None:
    ada, ben = ledger["owner__id__exact"]
    url = f"{EXPENSES}?owner__id__exact={ada}&owner__id__exact={ben}&status__exact=approved&status__exact=draft"
    response = admin_client.get(url)
    assert sums(response.context["totals_row"]) == live(response.context["cl"].queryset)
    assert response.context["totals_row"].note == "Drafts in this list are in no total."


def test_it_says_which_drafts_it_leaves_out(admin_client: Client, owner: Any) -> None:
    expense(owner)
    expense(owner, status="draft")
    assert asked(admin_client).note == "Drafts in this list are in no total."
    assert asked(admin_client, status__exact="approved").note == ""
    drafts = asked(admin_client, status__exact="draft")
    assert (drafts.note, drafts.sums) == ("Drafts are in no total.", [])


@pytest.mark.parametrize(
    ("query", "reason"),
    [
        ({"q": "taxi"}, "a search"),
        ({"uncategorised": "no"}, "“with category”"),
        ({"amount__gt": "5"}, "amount__gt=5"),
        ({"description__contains": "<script>"}, "description__contains=<script>"),
    ],
)
def test_what_totals_cannot_tell_is_not_told_but_why(
    admin_client: Client, owner: Any, query: dict[str, str], reason: str
) -> None:
    expense(owner)
    row = asked(admin_client, **query)
    assert row.sums == []
    assert row.problem == f"No totals: they cannot be narrowed by {reason}. Clear that to see them."
    assert b"<script>" not in admin_client.get(f"{EXPENSES}?{urlencode(query)}").content


def test_totals_that_were_not_found_clean_are_not_shown(admin_client: Client, owner: Any) -> None:
    expense(owner)
    RollupState.objects.all().delete()
    row = asked(admin_client)
    assert row.sums == []
    assert "not found clean yet" in row.problem


def test_filters_that_exclude_each_other_leave_nothing(admin_client: Client, owner: Any) -> None:
    taxi = Category.objects.create(name="Taxi")
    expense(owner, category=taxi)
    for query in (
        {"month": "2026-01", "spent_on__exact": "2026-02-01"},
        {"spent_on_from": "2026-02-01", "spent_on_to": "2026-01-01"},
        {"category__id__exact": taxi.pk, "uncategorised": "yes"},
    ):
        row = asked(admin_client, **query)
        assert (row.sums, row.note) == ([], "No expense can be in this list.")


def test_staff_see_the_totals_of_their_own_expenses_alone(owner: Any) -> None:
    user = get_user_model().objects.create_user("staff", is_staff=True)
    user.user_permissions.set(Permission.objects.filter(codename="view_expense"))
    expense(owner, currency="JPY", amount=Decimal(7))
    expense(user)
    client = Client()
    client.force_login(user)
    assert sums(asked(client)) == {"EUR": (1, Decimal("12.5"))}
    assert sums(asked(client, owner__id__exact=owner.pk)) == {}


@pytest.mark.parametrize("query", ["spent_on_from=2026-13-01", "spent_on_to=x", "spent_on_from=01/02/2026"])
def test_days_that_are_none_are_dropped(admin_client: Client, query: str) -> None:
    response = admin_client.get(f"{EXPENSES}?{query}")
    assert (response.status_code, response.headers["Location"]) == (302, f"{EXPENSES}?e=1")


def test_a_long_list_is_counted_up_to_a_bound(
    admin_client: Client, owner: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    for _ in range(3):
        expense(owner)
    monkeypatch.setattr(admin_base, "COUNTED", 3)
    assert "more than" not in admin_client.get(EXPENSES).content.decode()
    monkeypatch.setattr(admin_base, "COUNTED", 2)
    with CaptureQueriesContext(connection) as captured:
        page = admin_client.get(EXPENSES).content.decode()
    assert "more than 2 expenses" in " ".join(page.split())
    assert "Filter to at most 2 to select all of them." in page
    counts = [sql for sql in over(Expense, captured) if "COUNT(*)" in sql]
    assert counts
    assert all("LIMIT 3" in sql for sql in counts)


def test_a_popup_to_choose_from_has_no_totals(admin_client: Client, owner: Any) -> None:
    expense(owner)
    assert b'id="totals-row"' not in admin_client.get(f"{EXPENSES}?_popup=1").content
