"""The history of an expense over HTTP."""

from __future__ import annotations

import uuid
from collections.abc import Callable
from typing import Any

from django.contrib.auth.models import User
from django.db import connection
from django.test.utils import CaptureQueriesContext
from rest_framework.test import APIClient

from expenses.models import Category, Expense, ExpenseWrite
from tests.integration.api.conftest import CATEGORIES, EXPENSES, assert_problem, client_of, permitted


def history(client: APIClient, key: Any, query: str = "") -> list[dict[str, Any]]:
    response = client.get(f"{EXPENSES}{key}/history/{query}")
    assert response.status_code == 200, response.content
    results: list[dict[str, Any]] = response.json()["results"]
    return results


def test_who_wrote_when_from_what_to_what(
    api: APIClient, owner: User, finance: User, new: dict[str, Any], travel: Category
) -> None:
    key = api.post(EXPENSES, new).json()["id"]
    client_of(finance).patch(f"{EXPENSES}{key}/", {"amount": "7.00", "category": travel.pk, "status": "approved"})
    api.delete(f"{EXPENSES}{key}/")
    gone, change, made = history(api, key)
    image = {
        "owner": owner.pk, "category": None, "category_name": None, "amount": "12.50", "currency": "EUR",
        "spent_on": "2026-01-31", "status": "submitted", "description": "",
    }  # fmt: skip
    later = {**image, "amount": "7.00", "category": travel.pk, "category_name": "Travel", "status": "approved"}
    assert [made.pop("at") < change.pop("at") < gone.pop("at")] == [True]
    assert made == {
        "kind": "created", "actor": owner.pk, "actor_name": "olga", "via": f"POST {EXPENSES}", "changed": [],
        "before": None, "after": image,
    }  # fmt: skip
    assert change == {
        "kind": "changed", "actor": finance.pk, "actor_name": "fin", "via": f"PATCH {EXPENSES}{key}/",
        "changed": ["category", "amount", "status"], "before": image, "after": later,
    }  # fmt: skip
    assert gone == {
        "kind": "deleted", "actor": owner.pk, "actor_name": "olga", "via": f"DELETE {EXPENSES}{key}/", "changed": [],
        "before": later, "after": None,
    }  # fmt: skip


def test_set_writes_are_in_it(
    api: APIClient, owner: User, new: dict[str, Any], travel: Category, food: Category
) -> None:
    rows = api.post(f"{EXPENSES}bulk/", [{**new, "category": travel.pk}, new]).json()["results"]
    editor = client_of(permitted(owner, "change_category", "delete_category"))
    assert editor.post(f"{CATEGORIES}{travel.pk}/merge/", {"into": food.pk}).json()["moved"] == 1
    merged, made = history(api, rows[0]["id"])
    assert (made["kind"], made["via"]) == ("created", f"POST {EXPENSES}bulk/")
    assert (merged["kind"], merged["changed"]) == ("changed", ["category"])
    assert (merged["before"]["category"], merged["after"]["category"]) == (travel.pk, food.pk)
    assert (merged["before"]["category_name"], merged["after"]["category_name"]) == (None, "Food")
    editor.delete(f"{CATEGORIES}{food.pk}/")
    assert history(api, rows[0]["id"])[0]["after"]["category"] is None
    assert len(history(api, rows[1]["id"])) == 1


def test_what_another_owner_did_is_not_there(
    api: APIClient, auditor: User, stranger: User, spend: Callable[..., Expense]
) -> None:
    other = spend(owner=stranger)
    key = other.pk
    assert_problem(api.get(f"{EXPENSES}{key}/history/"), 404)
    assert len(history(client_of(auditor), key)) == 1
    other.delete()
    assert_problem(api.get(f"{EXPENSES}{key}/history/"), 404)
    assert len(history(client_of(auditor), key)) == len(history(client_of(stranger), key)) == 2
    assert_problem(api.get(f"{EXPENSES}{uuid.uuid4()}/history/"), 404)
    assert_problem(client_of(None).get(f"{EXPENSES}{key}/history/"), 401)


def test_an_expense_from_before_the_trail_has_none(api: APIClient, spend: Callable[..., Expense]) -> None:
    expense = spend()
    ExpenseWrite.objects.all().delete()
    assert history(api, expense.pk) == []


def test_pages_and_a_constant_number_of_statements(api: APIClient, spend: Callable[..., Expense]) -> None:
    expense = spend()

    def statements() -> int:
        with CaptureQueriesContext(connection) as queries:
            assert history(api, expense.pk)
        return len(queries)

    api.patch(f"{EXPENSES}{expense.pk}/", {"description": "0"})
    few = statements()
    for number in range(5):
        api.patch(f"{EXPENSES}{expense.pk}/", {"description": str(number)})
    assert statements() == few
    last = history(api, expense.pk, "?page=4&page_size=2")
    assert [write["kind"] for write in last] == ["created"]
    assert_problem(api.get(f"{EXPENSES}{expense.pk}/history/?page=9"), 404)
    assert_problem(api.get(f"{EXPENSES}{expense.pk}/history/?page_size=0"), 400)
    assert_problem(api.delete(f"{EXPENSES}{expense.pk}/history/"), 405)
