"""Walking all expenses by cursor: each row that stays comes once, whatever comes and goes meanwhile."""

from __future__ import annotations

import datetime as dt
import uuid
from decimal import Decimal
from itertools import pairwise
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from django.contrib.auth.models import User
from django.core.signing import Signer
from django.db import connection
from django.db.models import QuerySet
from django.test.utils import CaptureQueriesContext
from hypothesis import given, settings
from hypothesis import strategies as st
from rest_framework.test import APIClient

from api.expenses import ORDER
from expenses.models import Category, Expense, Status
from tests.integration.api.conftest import EXPENSES, assert_problem, client_of

WALK = f"{EXPENSES}?pagination=cursor"
MANY = 1_000
LONGEST_REQUEST_LINE = 4094  # gunicorn's limit, which is lower than those of most others

pytestmark = pytest.mark.django_db


def get(client: APIClient, url: str) -> dict[str, Any]:
    response = client.get(url)
    assert response.status_code == 200, response.content
    body: dict[str, Any] = response.json()
    return body


def ids(body: dict[str, Any]) -> list[str]:
    return [row["id"] for row in body["results"]]


def walked(client: APIClient, url: str | None, direction: str = "next") -> list[str]:
    """Return the ids on all pages from an address on; those of a walk back in the order of the list."""
    found: list[str] = []
    while url:
        body = get(client, url)
        found = found + ids(body) if direction == "next" else ids(body) + found
        url = body[direction]
        assert len(found) < MANY, "it goes round in circles"
    return found


def cursor_of(url: str) -> str:
    return parse_qs(urlsplit(url).query)["cursor"][0]


def rows(owners: list[User], categories: list[Category | None]) -> st.SearchStrategy[Expense]:
    """Return expenses that have most of their values in common with others."""
    return st.builds(
        Expense,
        id=st.uuids(version=4),
        owner=st.sampled_from(owners),
        category=st.sampled_from(categories),
        amount=st.sampled_from(["-1", "0", "2.50"]).map(Decimal),
        currency=st.sampled_from(["EUR", "USD"]),
        spent_on=st.sampled_from([dt.date(2026, 1, 31), dt.date(2026, 2, 1)]),
        status=st.sampled_from(Status.values[:2]),
    )


def orderings() -> st.SearchStrategy[str]:
    terms = st.sampled_from([sign + name for name in ORDER for sign in ("", "-")])
    return st.lists(terms, max_size=4, unique_by=lambda term: term.removeprefix("-")).map(",".join)


@pytest.mark.long
def test_a_walk_yields_every_row_that_stays_exactly_once_while_others_come_and_go(
    owner: User, stranger: User, auditor: User, travel: Category, food: Category
) -> None:
    client = client_of(auditor)
    row = rows([owner, stranger], [travel, food, None])

    @settings(max_examples=40)
    @given(
        staying=st.lists(row, min_size=1, max_size=8),
        going=st.lists(row, max_size=4),
        coming=st.lists(st.lists(row, max_size=2), max_size=6),
        ordering=orderings(),
        size=st.integers(1, 4),
        one_time=st.booleans(),
    )
    def check(
        staying: list[Expense],
        going: list[Expense],
        coming: list[list[Expense]],
        ordering: str,
        size: int,
        one_time: bool,
    ) -> None:
        Expense.objects.all().delete()
        Expense.objects.bulk_create([*staying, *going])
        if one_time:
            Expense.objects.update(created_at=dt.datetime(2026, 1, 1, tzinfo=dt.UTC))
        stays = {str(expense.pk) for expense in staying}
        found: list[str] = []
        url: str | None = f"{WALK}&ordering={ordering}&page_size={size}"
        while url:
            body = get(client, url)
            found += ids(body)
            last, url = url, body["next"]
            Expense.objects.bulk_create(coming.pop() if coming else [])
            if going:
                going.pop().delete()
        kept = [key for key in ids(get(client, f"{EXPENSES}?page_size=1000&ordering={ordering}")) if key in stays]
        assert [key for key in found if key in stays] == kept
        assert len(found) == len(set(found))
        while (body := get(client, last))["next"]:  # rows have come after the last page
            last = body["next"]
        assert [key for key in walked(client, last, "previous") if key in stays] == kept

    check()


def test_pages_by_cursor_are_those_of_the_list(api: APIClient, spend: Any) -> None:
    for day in range(1, 8):
        spend(spent_on=dt.date(2026, 1, day))
    whole = get(api, EXPENSES)
    assert whole["count"] == 7
    first = get(api, f"{WALK}&page_size=3")
    second = get(api, first["next"])
    third = get(api, second["next"])
    assert ids(first) + ids(second) + ids(third) == ids(whole)
    assert [page["count"] for page in (first, second, third)] == [None] * 3
    assert (first["previous"], third["next"]) == (None, None)
    assert [ids(get(api, later["previous"])) for later in (second, third)] == [ids(first), ids(second)]
    assert get(api, second["previous"])["previous"] is None
    assert ids(get(api, get(api, second["previous"])["next"])) == ids(second)


def test_one_page_has_no_neighbours(api: APIClient, spend: Any) -> None:
    for expected in (0, 1):
        body = get(api, WALK)
        assert (len(body.pop("results")), body) == (expected, {"count": None, "next": None, "previous": None})
        spend()


def test_the_size_of_a_page_may_change_on_the_way(api: APIClient, spend: Any) -> None:
    for _ in range(6):
        spend()
    first = get(api, f"{WALK}&page_size=1")
    assert ids(first) + walked(api, first["next"].replace("page_size=1", "page_size=4")) == ids(get(api, EXPENSES))


def test_a_page_whose_rows_have_all_gone_leads_back_to_what_is_left(api: APIClient, spend: Any) -> None:
    keys = [spend(spent_on=dt.date(2026, 1, day)).pk for day in range(9, 0, -1)]
    middle = get(api, get(api, f"{WALK}&page_size=3")["next"])
    Expense.objects.filter(pk__in=keys[6:]).delete()
    after = get(api, middle["next"])
    assert (after["results"], after["next"]) == ([], None)
    assert walked(api, after["previous"], "previous") == [str(key) for key in keys[:6]]
    Expense.objects.filter(pk__in=keys[:3]).delete()
    before = get(api, middle["previous"])
    assert (before["results"], before["previous"]) == ([], None)
    assert walked(api, before["next"]) == [str(key) for key in keys[3:6]]


@pytest.mark.parametrize("descending", ["", "-"])
def test_uncategorised_rows_come_first_or_last_and_once(
    api: APIClient, spend: Any, travel: Category, food: Category, descending: str
) -> None:
    for category in (None, travel, None, food, None):
        spend(category=category)
    pages = f"{WALK}&page_size=1&ordering={descending}category_name"
    names = {row["id"]: row["category_name"] for row in get(api, EXPENSES)["results"]}
    expected = [None, None, None, "Food", "Travel"]
    assert [names[key] for key in walked(api, pages)] == (expected[::-1] if descending else expected)


@pytest.mark.parametrize("mangle", [lambda c: c[:-1], lambda c: f"{c}x", lambda c: f"x{c}", lambda c: c.split(":")[0]])
def test_a_cursor_that_was_touched_is_400(api: APIClient, spend: Any, mangle: Any) -> None:
    spend()
    spend()
    url = get(api, f"{WALK}&page_size=1")["next"]
    error = assert_problem(api.get(EXPENSES, {"page_size": 1, "cursor": mangle(cursor_of(url))}), 400)
    assert [wrong["parameter"] for wrong in error["errors"]] == ["cursor"]


@pytest.mark.parametrize("cursor", ["abc", "\x00", ":", "é:é", "1" * 3000, "bnVsbA:x", Signer().sign_object([1, 2, 3])])
def test_a_cursor_that_never_was_is_400(api: APIClient, cursor: str) -> None:
    error = assert_problem(api.get(EXPENSES, {"cursor": cursor}), 400, "invalid-parameters")
    assert [wrong["parameter"] for wrong in error["errors"]] == ["cursor"]


@pytest.mark.parametrize("other", ["&ordering=amount", "&currency=EUR", "&search=a", "&from=2026-01-01"])
def test_a_cursor_of_another_query_is_400(api: APIClient, spend: Any, other: str) -> None:
    spend()
    spend()
    url = get(api, f"{WALK}&page_size=1")["next"]
    assert "another query" in assert_problem(api.get(url + other), 400)["detail"]
    assert get(api, f"{url}&status=")["results"]  # an empty value is none


def test_somebody_elses_cursor_is_400(owner: User, auditor: User, spend: Any) -> None:
    spend()
    spend()
    url = get(client_of(owner), f"{WALK}&page_size=1")["next"]
    assert_problem(client_of(auditor).get(url), 400)


@pytest.mark.parametrize(
    ("query", "parameter"),
    [
        ("pagination=cursor&page=1", "page"),
        ("pagination=offset", "pagination"),
        ("pagination=cursor,page", "pagination"),
        ("pagination=page&cursor=a", "pagination"),
        ("page=1&cursor=a", "page"),
    ],
)
def test_pages_are_asked_for_in_one_way(api: APIClient, query: str, parameter: str) -> None:
    error = assert_problem(api.get(f"{EXPENSES}?{query}"), 400, "invalid-parameters")
    assert [wrong["parameter"] for wrong in error["errors"]] == [parameter]


def test_the_longest_names_fit_into_an_address(auditor: User, spend: Any) -> None:
    widest = User.objects.create(username="\U0001d518" * 150)
    category = Category.objects.create(name="\U0001d518" * 255)
    spend(owner=widest, category=category)
    spend(owner=widest, category=category)
    url = get(client_of(auditor), f"{WALK}&page_size=1&ordering=category_name,owner_name,{','.join(PLAIN)}")["next"]
    assert len(f"GET {url} HTTP/1.1") < LONGEST_REQUEST_LINE
    assert len(get(client_of(auditor), url)["results"]) == 1


PLAIN = [name for name in ORDER if not name.endswith("_name")]


def test_every_page_takes_the_same_few_queries_and_none_counts(api: APIClient, spend: Any) -> None:
    for _ in range(10):
        spend()
    url, taken = f"{WALK}&page_size=2", []
    while url:
        with CaptureQueriesContext(connection) as queries:
            url = get(api, url)["next"]
        taken.append(len(queries))
        assert "COUNT(" not in queries[-1]["sql"].upper()
    assert taken == [4] * 5  # token, two of permissions, rows


def test_a_page_begins_where_the_index_says(api: APIClient, owner: User, stranger: User) -> None:
    days = [dt.date(2025, 1, 1) + dt.timedelta(days=number) for number in range(300)]
    common = {"amount": Decimal(1), "currency": "EUR", "status": "approved"}
    QuerySet(Expense).bulk_create(
        Expense(id=uuid.uuid4(), owner=who, spent_on=day, **common)
        for who, day in [*((owner, day) for day in days), *((stranger, day) for day in days * 5)]
    )
    with connection.cursor() as cursor:
        if connection.vendor != "mysql":  # which would commit
            cursor.execute("ANALYZE")
        url = get(api, f"{WALK}&page_size=5")["next"]
        with CaptureQueriesContext(connection) as queries:
            get(api, url)
        explain = {"sqlite": "EXPLAIN QUERY PLAN", "mysql": "EXPLAIN"}.get(connection.vendor, "EXPLAIN")
        cursor.execute(f"{explain} {queries[-1]['sql']}")
        plan = "\n".join(map(str, cursor.fetchall()))
    assert "expense_owner_recent" in plan
    # By the day the page begins with, and not by reading all rows before it.
    assert {"sqlite": "spent_on<", "postgresql": "spent_on <= ", "mysql": "range"}[connection.vendor] in plan
    assert "B-TREE FOR ORDER BY" not in plan  # SQLite
    assert "Sort" not in plan  # PostgreSQL
    assert "filesort" not in plan  # MariaDB


def test_terms_after_the_id_sort_nothing(api: APIClient, spend: Any) -> None:
    found = [str(spend().pk) for _ in range(3)]
    assert all(one < other for one, other in pairwise(found))  # of version 7, so in the order of time
    assert walked(api, f"{WALK}&page_size=1&ordering=-id,amount") == found[::-1]
