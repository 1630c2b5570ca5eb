"""Nobody sees a digit of anybody else: whatever others store, every answer stays the same to the byte."""

from __future__ import annotations

import datetime as dt
import re
import uuid
from decimal import Decimal
from typing import Any
from urllib.parse import urlencode

import pytest
from django.contrib.auth.models import User
from drf_spectacular.generators import SchemaGenerator
from hypothesis import given, settings
from hypothesis import strategies as st
from rest_framework.test import APIClient

from api.expenses import ORDER
from api.totals import COLUMNS
from expenses.models import Category, Expense, Status
from expenses.reports import KEYS
from tests.integration.api.conftest import EXPENSES, TOTALS, assert_problem, client_of, permitted

pytestmark = pytest.mark.django_db

DAYS = [dt.date(2026, 1, 31), dt.date(2026, 2, 1), dt.date(2026, 2, 15)]
EDGES = ["2026-01-01", "2026-01-31", "2026-02-01", "2026-02-16", "2026-03-01"]
AS_OF = re.compile(rb'"as_of":"[^"]*"')
OF_THE_REQUEST = {"x-request-id", "content-length"}  # the time is shorter on a full second
PATHS = SchemaGenerator().get_schema(public=True)["paths"]
READ = sorted(path for path, methods in PATHS.items() if "get" in methods)


def asked(path: str) -> set[str]:
    """Return the query parameters that the schema has for a path."""
    return {p["name"] for p in PATHS[path]["get"].get("parameters", ()) if p["in"] == "query"}


def read(response: Any) -> bytes:
    return b"".join(response.streaming_content) if response.streaming else response.content


def seen(client: APIClient, url: str, tags: str = "") -> tuple[int, dict[str, str], bytes]:
    """Return everything of an answer that does not tell the time."""
    response = client.get(url, headers={"If-None-Match": tags} if tags else {})
    body = read(response)
    headers = {name: value for name, value in response.headers.items() if name.lower() not in OF_THE_REQUEST}
    return response.status_code, headers, AS_OF.sub(b"", body)


def expenses(owner: User, categories: list[Category | None]) -> st.SearchStrategy[list[Expense]]:
    return st.lists(
        st.builds(
            Expense,
            id=st.uuids(version=4),
            owner=st.just(owner),
            category=st.sampled_from(categories),
            amount=st.integers(-(10**6), 10**6).map(Decimal),
            currency=st.sampled_from(["EUR", "JPY", "KWD"]),
            spent_on=st.sampled_from(DAYS),
            status=st.sampled_from(Status.values),
            description=st.sampled_from(["taxi", "a hotel", ""]),
        ),
        max_size=6,
    )


def some(values: list[Any], most: int = 2) -> st.SearchStrategy[str]:
    return st.lists(st.sampled_from(values), unique=True, max_size=most).map(lambda found: ",".join(map(str, found)))


def signed(names: Any) -> list[str]:
    return [sign + name for name in names for sign in ("", "-")]


def parameters(users: list[User], categories: list[Category]) -> dict[str, st.SearchStrategy[str]]:
    """Return what each parameter may be given; those without an entry are left out."""
    return {
        "owner": some([user.pk for user in users]),
        "category": some([*(category.pk for category in categories), "none"]),
        "currency": some(["EUR", "JPY", "KWD"]),
        "status": some(Status.values),
        "from": st.sampled_from(["", *EDGES]),
        "to": st.sampled_from(["", *EDGES]),
        "search": st.sampled_from(["", "taxi", "o"]),
        "group_by": some(list(KEYS), 3),
        "compare": st.sampled_from(["", "", "previous"]),
        "ordering": some(sorted({*signed(ORDER), *signed(COLUMNS)})),
        "format": st.sampled_from(["", "json", "csv", "jsonl"]),
        "page": st.sampled_from(["", "", "1", "2"]),
        "page_size": st.sampled_from(["", "1", "2"]),
        "pagination": st.sampled_from(["", "cursor"]),
    }


@st.composite
def addresses(draw: Any, keys: list[Any], values: dict[str, st.SearchStrategy[str]]) -> str:
    path: str = draw(st.sampled_from([*READ, "/api/v1/totals/", "/api/v1/expenses/"]))
    names = sorted(asked(path) & set(values))
    chosen = draw(st.lists(st.sampled_from(names), unique=True, max_size=4)) if names else []
    query = urlencode({name: draw(values[name]) for name in chosen})
    return path.replace("{id}", str(draw(st.sampled_from(keys)))) + (f"?{query}" if query else "")


@pytest.mark.long
@pytest.mark.parametrize("permissions", [(), ("view_run",)], ids=["an owner", "an owner who may read runs"])
def test_no_answer_depends_on_what_others_store(
    owner: User, stranger: User, travel: Category, food: Category, permissions: tuple[str, ...]
) -> None:
    owner = permitted(owner, *permissions)
    client, other = client_of(owner), client_of(stranger)
    categories = [travel, food, None]
    theirs_always, unknown = uuid.uuid4(), uuid.uuid4()

    @settings(max_examples=60)
    @given(
        mine=expenses(owner, categories),
        theirs=st.tuples(*[expenses(stranger, categories)] * 2),
        data=st.data(),
    )
    def check(mine: list[Expense], theirs: tuple[list[Expense], list[Expense]], data: Any) -> None:
        Expense.objects.all().delete()
        Expense.objects.bulk_create(mine)
        keys = [unknown, theirs_always, travel.pk, *(row.pk for rows in (mine, *theirs) for row in rows)]
        values = parameters([owner, stranger], [travel, food])
        urls = data.draw(st.lists(addresses(keys, values), min_size=1, max_size=6), label="addresses")
        Expense.objects.bulk_create(theirs[0])
        tags = ", ".join(filter(None, (seen(other, url)[1].get("ETag") for url in urls)))
        before = [(url, seen(client, url, tags)) for url in urls]
        Expense.objects.filter(owner=stranger).delete()
        Expense.objects.bulk_create(theirs[1])
        assert [(url, seen(client, url, tags)) for url in urls] == before

    check()


@pytest.mark.parametrize("headers", [{}, {"If-Match": "*"}, {"If-Match": '"a"'}, {"If-None-Match": "*"}], ids=str)
@pytest.mark.parametrize("method", ["get", "patch", "delete", "post", "options"])
def test_an_expense_of_somebody_else_is_refused_in_the_words_of_one_that_never_was(
    api: APIClient, stranger: User, spend: Any, method: str, headers: dict[str, str]
) -> None:
    theirs, never = spend("9876.54", owner=stranger, description="secret").pk, uuid.uuid4()
    said = []
    for key in (theirs, never):
        answer = getattr(api, method)(f"{EXPENSES}{key}/", headers=headers)
        headers_ = {name: value for name, value in answer.headers.items() if name.lower() not in OF_THE_REQUEST}
        said.append((answer.status_code, answer.content.replace(str(key).encode(), b""), headers_))
    assert said[0] == said[1]


@pytest.mark.parametrize("new_amount", ["9876.54", "1.00"])
def test_an_id_that_is_taken_is_refused_without_a_word_of_what_took_it(
    api: APIClient, stranger: User, spend: Any, new: dict[str, Any], new_amount: str
) -> None:
    theirs = spend("9876.54", owner=stranger, description="secret", spent_on="2026-01-31")
    body = {**new, "amount": new_amount}
    refused = [
        api.put(f"{EXPENSES}{theirs.pk}/", body),
        api.post(EXPENSES, {**body, "id": str(theirs.pk)}),
        api.post(f"{EXPENSES}bulk/", [{**body, "id": str(theirs.pk)}]),
    ]
    for response in refused:
        assert_problem(response, 409)
        assert not re.search(rb"9876|secret|stefan", response.content)
    theirs.refresh_from_db()
    assert (theirs.owner, theirs.amount) == (stranger, Decimal("9876.54"))


def test_a_total_out_of_range_by_what_others_store_tells_none_of_it(
    api: APIClient, stranger: User, spend: Any, new: dict[str, Any]
) -> None:
    spend("922337203685476.77", owner=stranger)
    response = api.post(EXPENSES, {**new, "amount": "900000000000000.00", "spent_on": "2026-01-15"})
    assert response.status_code in (201, 409)
    assert b"922337203685476" not in response.content


def test_what_the_filters_choose_is_ones_own_in_every_format(api: APIClient, stranger: User, spend: Any) -> None:
    spend("9876.54", owner=stranger, description="secret")
    for path in (EXPENSES, f"{EXPENSES}?pagination=cursor", TOTALS, f"{TOTALS}?format=csv", f"{TOTALS}?format=jsonl"):
        response = api.get(path, {"owner": stranger.pk} if "?" not in path else {})
        assert not re.search(rb"9876|secret|stefan", read(response))
