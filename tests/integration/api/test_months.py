"""Closed months over HTTP: who closes, what is refused, and what says so."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from django.contrib.auth.models import User
from rest_framework.test import APIClient

from expenses.models import Category, Expense, ExpenseWrite, Month
from tests.exactness import assert_totals_match
from tests.integration.api.conftest import CATEGORIES, EXPENSES, TOTALS, assert_problem, client_of, permitted

# A refusal rolls back, also the transaction of a test.
pytestmark = pytest.mark.django_db(transaction=True)
MONTHS = "/api/v1/months/"


@pytest.fixture
def closer(db: None) -> User:
    return permitted(User.objects.create_user("clara"), "close_month", "change_category", "delete_category")


@pytest.fixture
def clara(closer: User) -> APIClient:
    return client_of(closer)


def test_a_month_is_closed_and_opened_again(
    clara: APIClient, closer: User, api: APIClient, new: dict[str, Any]
) -> None:
    answer = clara.post(f"{MONTHS}2026-01/close/")
    assert answer.status_code == 200
    closed = answer.json()
    assert {**closed, "closed_at": None} == {
        "month": "2026-01", "closed": True, "closed_at": None, "closed_by": closer.pk, "closed_by_name": "clara",
    }  # fmt: skip
    assert closed["closed_at"]
    assert clara.post(f"{MONTHS}2026-01/close/").json() == closed
    assert api.get(MONTHS).json() == {"count": 1, "next": None, "previous": None, "results": [closed]}
    body = assert_problem(api.post(EXPENSES, new), 409, "month-closed")
    assert "2026-01 is closed" in body["detail"]
    opened = clara.post(f"{MONTHS}2026-01/reopen/")
    assert (opened.status_code, opened.json()) == (
        200,
        {"month": "2026-01", "closed": False, "closed_at": None, "closed_by": None, "closed_by_name": None},
    )
    assert clara.post(f"{MONTHS}2026-01/reopen/").status_code == 200
    assert api.get(MONTHS).json()["results"] == []
    assert api.post(EXPENSES, new).status_code == 201


@pytest.mark.parametrize("action", ["close", "reopen"])
def test_closing_takes_the_permission(api: APIClient, finance: User, action: str) -> None:
    for client, status in ((api, 403), (client_of(finance), 403), (client_of(None), 401)):
        assert_problem(client.post(f"{MONTHS}2026-01/{action}/"), status)
    assert not Month.objects.exists()


@pytest.mark.parametrize("month", ["2026-13", "2026-00", "1899-12", "2100-01", "2026-1", "26-01", "2026-01-01", "abc"])
def test_what_is_no_month_is_not_there(clara: APIClient, month: str) -> None:
    for action in ("close", "reopen"):
        assert_problem(clara.post(f"{MONTHS}{month}/{action}/"), 404)


def test_the_first_and_the_last_month(clara: APIClient) -> None:
    for month in ("1900-01", "2099-12"):
        assert clara.post(f"{MONTHS}{month}/close/").json()["closed"]
    assert [row["month"] for row in clara.get(MONTHS).json()["results"]] == ["2099-12", "1900-01"]


def test_other_methods_and_parameters_are_refused(clara: APIClient) -> None:
    assert_problem(clara.get(f"{MONTHS}2026-01/close/"), 405)
    assert_problem(clara.post(MONTHS), 405)
    assert_problem(clara.post(f"{MONTHS}2026-01/close/?force=1"), 400)
    assert_problem(clara.get(f"{MONTHS}?year=2026"), 400)
    assert_problem(client_of(None).get(MONTHS), 401)


def test_every_write_of_the_api_is_refused_in_a_closed_month(
    clara: APIClient,
    api: APIClient,
    spend: Callable[..., Expense],
    new: dict[str, Any],
    travel: Category,
    food: Category,
) -> None:
    closed, open_ = spend(category=travel), spend(spent_on="2026-02-01")
    clara.post(f"{MONTHS}2026-01/close/")
    before, writes = [*Expense.objects.order_by("pk").values()], ExpenseWrite.objects.count()
    mine, other = f"{EXPENSES}{closed.pk}/", f"{EXPENSES}{open_.pk}/"
    csv = b"id,owner,category,date,amount\n1,olga,Food,2026-01-05,1.00\n"
    options = "id_column=id&owner_column=owner&category_column=category&date_column=date&amount_column=amount"
    for response in (
        api.post(EXPENSES, new),
        api.post(EXPENSES, {**new, "id": "0190a000-0000-7000-8000-000000000001"}),
        api.put(f"{EXPENSES}0190a000-0000-7000-8000-000000000001/", new),
        api.put(mine, {**new, "spent_on": "2026-02-02"}),
        api.patch(mine, {"description": "x"}),
        api.patch(mine, {"spent_on": "2026-02-02"}),
        api.patch(other, {"spent_on": "2026-01-31"}),
        api.delete(mine),
        api.post(f"{EXPENSES}bulk/", [{**new, "spent_on": "2026-02-02"}, new]),
        clara.delete(f"{CATEGORIES}{travel.pk}/"),
        clara.post(f"{CATEGORIES}{travel.pk}/merge/", {"into": food.pk}),
    ):
        assert_problem(response, 409, "month-closed")
    assert api.patch(other, {"spent_on": "2026-02-03"}).status_code == 200
    api.patch(other, {"spent_on": "2026-02-01"})
    imported = client_of(permitted(User.objects.create_user("ina"), "add_expense", "view_all_expenses")).generic(
        "POST", f"{EXPENSES}import/?{options}&currency=EUR", csv, content_type="text/csv"
    )
    assert imported.status_code in (200, 403)
    assert [*Expense.objects.order_by("pk").values()] == [
        {**row, "updated_at": Expense.objects.get(pk=row["id"]).updated_at} for row in before
    ]
    assert ExpenseWrite.objects.count() == writes + 2
    assert_totals_match()


def test_bulk_names_each_row_of_a_closed_month(clara: APIClient, api: APIClient, new: dict[str, Any]) -> None:
    clara.post(f"{MONTHS}2026-01/close/")
    rows = [{**new, "spent_on": day} for day in ("2026-01-31", "2026-02-01", "2026-01-01")]
    body = assert_problem(api.post(f"{EXPENSES}bulk/", rows), 409, "month-closed")
    assert [error["pointer"] for error in body["errors"]] == ["/0/spent_on", "/2/spent_on"]
    assert not Expense.objects.exists()


def test_a_row_that_is_there_already_may_be_sent_again(clara: APIClient, api: APIClient, new: dict[str, Any]) -> None:
    row = {**new, "id": "0190a000-0000-7000-8000-000000000001"}
    assert api.post(EXPENSES, row).status_code == 201
    clara.post(f"{MONTHS}2026-01/close/")
    assert api.post(EXPENSES, row).status_code == 200
    assert api.post(f"{EXPENSES}bulk/", [row]).status_code == 200


def test_totals_say_which_months_are_closed(clara: APIClient, api: APIClient, spend: Callable[..., Expense]) -> None:
    spend()
    first = api.get(TOTALS)
    assert first.json()["closed_months"] == []
    clara.post(f"{MONTHS}2026-01/close/")
    clara.post(f"{MONTHS}2026-03/close/")
    second = api.get(TOTALS)
    assert second.json()["closed_months"] == ["2026-01", "2026-03"]
    assert second["ETag"] != first["ETag"]
    assert api.get(f"{TOTALS}?from=2026-01-31&to=2026-03-01").json()["closed_months"] == ["2026-01"]
