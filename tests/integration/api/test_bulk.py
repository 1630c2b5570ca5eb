"""Many new expenses in one request: all of them or none, each error with the index of its row."""

from __future__ import annotations

import json
import uuid
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.db import connection
from django.test.utils import CaptureQueriesContext
from rest_framework.test import APIClient

from api.parsers import MAX_BYTES
from expenses.models import Category, Expense
from tests.exactness import assert_totals_match
from tests.integration.api.conftest import EXPENSES, assert_problem, client_of, pointers
from tests.integration.api.test_races import at_once

# A refusal rolls back, also the transaction of a test.
pytestmark = pytest.mark.django_db(transaction=True)

BULK = f"{EXPENSES}bulk/"
New = dict[str, Any]


def key(number: int) -> str:
    return str(uuid.UUID(int=number, version=4))


def rows(number: int, **members: Any) -> list[New]:
    row = {"amount": "12.50", "currency": "EUR", "spent_on": "2026-01-31", **members}
    return [{**row, "id": key(n)} for n in range(number)]


def test_new_expenses_are_stored_and_answered_in_the_order_sent(
    api: APIClient, owner: User, travel: Category, food: Category, new: New
) -> None:
    sent = [
        {**new, "amount": "3", "category": food.pk, "description": "=1+1"},
        {**new, "amount": "1.00", "category": travel.pk, "id": key(9)},
        {**new, "amount": "2.00", "status": "draft", "id": key(1)},
    ]
    response = api.post(BULK, sent)
    body = response.json()
    assert (response.status_code, body["created"], body["unchanged"]) == (201, 3, 0)
    assert [row["amount"] for row in body["results"]] == ["3.00", "1.00", "2.00"]
    assert [row["category_name"] for row in body["results"]] == ["Food", "Travel", None]
    for row in body["results"]:
        assert api.get(f"{EXPENSES}{row['id']}/").json() == row
    assert body["results"][0]["description"] == "=1+1"
    assert set(Expense.objects.values_list("owner", flat=True)) == {owner.pk}
    assert_totals_match()


def test_a_repeat_is_recognised_and_stores_what_is_missing(api: APIClient) -> None:
    first = api.post(BULK, rows(2))
    repeat = api.post(BULK, rows(2))
    assert (repeat.status_code, repeat.json()["created"], repeat.json()["unchanged"]) == (200, 0, 2)
    assert repeat.json()["results"] == first.json()["results"]
    more = api.post(BULK, rows(3)[::-1])
    assert (more.status_code, more.json()["created"], more.json()["unchanged"]) == (201, 1, 2)
    assert [row["id"] for row in more.json()["results"]] == [key(2), key(1), key(0)]
    assert Expense.objects.count() == 3
    assert_totals_match()


def test_an_id_with_other_content_is_409_with_its_index_and_nothing_is_stored(api: APIClient) -> None:
    api.post(BULK, rows(2))
    sent = rows(4)
    sent[1]["amount"] = "12.51"
    problem = assert_problem(api.post(BULK, sent), 409)
    assert [error["pointer"] for error in problem["errors"]] == ["/1/id"]
    assert Expense.objects.count() == 2
    assert_totals_match()


def test_the_id_of_somebody_elses_expense_is_409_though_the_content_is_the_same(api: APIClient, stranger: User) -> None:
    assert client_of(stranger).post(BULK, rows(1)).status_code == 201
    problem = assert_problem(api.post(BULK, rows(2)), 409)
    assert [error["pointer"] for error in problem["errors"]] == ["/0/id"]
    assert Expense.objects.get().owner == stranger


def test_every_fault_is_named_by_row_and_member_and_nothing_is_stored(api: APIClient, new: New) -> None:
    sent: list[Any] = [
        new,
        {**new, "amount": 12.5},
        {**new, "amount": "1.005", "colour": "red"},
        {},
        "x",
        {**new, "category": 999_999},
        {**new, "category": True},
        {**new, "category": 2**70},
        {**new, "description": "a\0b"},
        {**new, "owner": 0, "created_at": "2026-01-01"},
        None,
    ]
    assert pointers(api.post(BULK, sent)) == {
        "/1/amount", "/2/amount", "/2/colour", "/3/amount", "/3/currency", "/3/spent_on", "/4", "/5/category",
        "/6/category", "/7/category", "/8/description", "/9/owner", "/9/created_at", "/10",
    }  # fmt: skip
    assert not Expense.objects.exists()


def test_the_same_id_twice_is_400_and_names_both_rows(api: APIClient) -> None:
    sent = [*rows(2), {**rows(1)[0], "id": key(1).upper()}]
    problem = assert_problem(api.post(BULK, sent), 400)
    assert [(error["pointer"], "1 and 2" in error["detail"]) for error in problem["errors"]] == [("/2/id", True)]
    assert not Expense.objects.exists()


@pytest.mark.parametrize("body", [[], {}, None, "x", 1, {"results": []}], ids=str)
def test_what_is_no_array_of_expenses_is_400(api: APIClient, body: Any) -> None:
    response = api.generic("POST", BULK, json.dumps(body).encode(), content_type="application/json")
    assert "1 to 1,000" in assert_problem(response, 400)["detail"]


@pytest.mark.parametrize("body", [b"", b"[", b"[" * 100_000, b"\xff", b"[{}" * 50_000, b"[NaN]"])
def test_a_body_that_is_no_json_is_400(api: APIClient, body: bytes) -> None:
    assert_problem(api.generic("POST", BULK, body, content_type="application/json"), 400)


def test_a_thousand_typical_expenses_fit_and_one_more_is_refused(api: APIClient, travel: Category) -> None:
    typical = rows(1_001, category=travel.pk, status="approved", description="Taxi to the airport, receipt 1234. " * 10)
    assert len(json.dumps(typical[:1_000])) < MAX_BYTES
    problem = assert_problem(api.post(BULK, typical), 400)
    assert "1 to 1,000" in problem["detail"]
    assert not Expense.objects.exists()
    assert api.post(BULK, typical[:1_000]).json()["created"] == 1_000
    assert_totals_match()


def test_more_than_a_megabyte_is_413(api: APIClient) -> None:
    assert_problem(api.post(BULK, rows(200, description="x" * 9_000)), 413, "too-large")


def test_other_media_types_methods_and_parameters_are_refused(api: APIClient) -> None:
    assert_problem(api.generic("POST", BULK, b"a,b", content_type="text/csv"), 415)
    assert_problem(api.get(BULK), 405)
    assert_problem(api.post(f"{BULK}?strict=true", rows(1)), 400, "invalid-parameters")
    assert_problem(client_of(None).post(BULK, rows(1)), 401)


def test_a_total_that_would_leave_its_range_refuses_all(api: APIClient) -> None:
    assert_problem(api.post(BULK, rows(3, amount="922337203685477.50")), 409, "total-out-of-range")
    assert not Expense.objects.exists()
    assert_totals_match()


MANY = 150  # of which each is in three buckets: the engine writes 500 totals a statement


def test_many_rows_take_as_many_statements_as_few(api: APIClient) -> None:
    categories = [Category.objects.create(name=f"Category {number}").pk for number in range(MANY)]

    def statements(number: int, month: int) -> int:
        sent = rows(number, spent_on=f"2026-{month:02}-01")
        for row, category in zip(sent, categories, strict=False):
            row |= {"id": str(uuid.uuid4()), "category": category}
        with CaptureQueriesContext(connection) as queries:
            assert api.post(BULK, sent).json()["created"] == number
        # SQLite takes 999 values in a statement, and so an INSERT of many rows in parts.
        parts = connection.vendor == "sqlite"
        return len([q for q in queries if not (parts and q["sql"].startswith("INSERT INTO"))])

    statements(1, 1)  # warms whatever is looked up once a process
    assert statements(2, 2) == statements(MANY, 3)


def test_the_same_rows_sent_several_times_at_once_are_stored_once(owner: User) -> None:
    clients = [client_of(owner) for _ in range(3)]
    sent = rows(20)
    orders = [sent, sent[::-1], sent[10:] + sent[:10]]
    responses = at_once(*(lambda c=c, o=o: c.post(BULK, o) for c, o in zip(clients, orders, strict=True)))
    assert sorted(r.status_code for r in responses) == [200, 200, 201]
    assert sum(r.json()["created"] for r in responses) == Expense.objects.count() == 20
    assert_totals_match()
