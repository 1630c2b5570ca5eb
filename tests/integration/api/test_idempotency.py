"""Requests that are repeated with an Idempotency-Key."""

from __future__ import annotations

from typing import Any

import pytest
from django.contrib.auth.models import User
from django.db import connection
from django.test.utils import CaptureQueriesContext
from rest_framework.test import APIClient

from api.models import IdempotencyKey
from expenses.models import Category, Expense
from tests.integration.api.conftest import EXPENSES, assert_problem, client_of
from tests.integration.api.test_races import at_once, total

pytestmark = pytest.mark.django_db


def post(client: APIClient, data: Any, key: str = "k-1") -> Any:
    return client.post(EXPENSES, data, headers={"Idempotency-Key": key})


def same(first: Any, second: Any) -> bool:
    headers = ("Location", "ETag", "Content-Type")
    return (first.status_code, first.content, *map(first.get, headers)) == (
        second.status_code,
        second.content,
        *map(second.get, headers),
    )


def test_a_replay_gets_the_same_response_and_leaves_one_row(api: APIClient, new: dict[str, Any]) -> None:
    first, second = post(api, new), post(api, dict(reversed(new.items())))
    assert first.status_code == 201
    assert same(first, second)
    assert Expense.objects.count() == 1
    assert total(api) == ("12.50", 1)


def test_a_replay_is_answered_as_it_was_whatever_happened_since(
    api: APIClient, new: dict[str, Any], travel: Category
) -> None:
    first = post(api, {**new, "category": travel.pk})
    travel.delete()
    Expense.objects.all().delete()
    assert same(first, post(api, {**new, "category": first.json()["category"]}))
    assert not Expense.objects.exists()


def test_the_same_key_with_another_body_is_422(api: APIClient, new: dict[str, Any]) -> None:
    post(api, new)
    body = assert_problem(post(api, {**new, "amount": "12.51"}), 422, "key-reused")
    assert "take a new key" in body["detail"]
    assert Expense.objects.count() == 1


def test_somebody_elses_key_is_a_key_of_ones_own(api: APIClient, stranger: User, new: dict[str, Any]) -> None:
    mine, other = post(api, new), post(client_of(stranger), {**new, "amount": "1.00"})
    assert (mine.json()["owner_name"], other.json()["owner_name"]) == ("olga", "stefan")
    assert (mine.status_code, other.status_code) == (201, 201)


def test_without_a_key_a_repeat_is_another_expense(api: APIClient, new: dict[str, Any]) -> None:
    assert api.post(EXPENSES, new).status_code == api.post(EXPENSES, new).status_code == 201
    assert Expense.objects.count() == 2


def test_what_was_refused_is_not_kept_and_can_be_mended(api: APIClient, new: dict[str, Any]) -> None:
    assert_problem(post(api, {**new, "amount": "x"}), 400)
    assert not IdempotencyKey.objects.exists()
    assert post(api, new).status_code == 201


@pytest.mark.parametrize("key", ["", "k" * 256, "ключ", "a\tb"])
def test_a_key_that_cannot_be_kept_is_400(api: APIClient, new: dict[str, Any], key: str) -> None:
    assert "255 printable" in assert_problem(post(api, new, key), 400)["detail"]
    assert not Expense.objects.exists()


def test_the_longest_key_is_kept(api: APIClient, new: dict[str, Any]) -> None:
    assert same(post(api, new, "k" * 255), post(api, new, "k" * 255))


@pytest.mark.django_db(transaction=True)
def test_two_at_once_leave_one_row_and_get_the_same_response(owner: User, new: dict[str, Any]) -> None:
    clients = [client_of(owner) for _ in range(4)]
    first, *others = at_once(*(lambda c=c: post(c, new) for c in clients))
    assert first.status_code == 201
    assert all(same(first, other) for other in others)
    assert Expense.objects.count() == IdempotencyKey.objects.count() == 1
    assert total(clients[0]) == ("12.50", 1)


def test_a_replay_costs_no_more_than_looking_it_up(api: APIClient, new: dict[str, Any]) -> None:
    post(api, new)
    with CaptureQueriesContext(connection) as queries:
        post(api, new)
    assert not [query for query in queries if "expenses_expense" in query["sql"]]


def many(new: dict[str, Any], number: int) -> list[dict[str, Any]]:
    return [{**new, "description": str(index)} for index in range(number)]


def bulk(client: APIClient, data: Any, key: str = "k-1") -> Any:
    return client.post(f"{EXPENSES}bulk/", data, headers={"Idempotency-Key": key})


def test_a_replay_of_many_rows_gets_the_same_response(api: APIClient, new: dict[str, Any], travel: Category) -> None:
    sent = [{**row, "category": travel.pk} for row in many(new, 3)]
    first = bulk(api, sent)
    assert (first.status_code, first.json()["created"]) == (201, 3)
    travel.delete()  # so that the rows could not be stored any more
    Expense.objects.filter(description="1").delete()
    assert same(first, bulk(api, sent))
    assert Expense.objects.count() == 2


def test_a_key_is_of_one_address(api: APIClient, new: dict[str, Any]) -> None:
    bulk(api, many(new, 2))
    assert_problem(bulk(api, many(new, 3)), 422, "key-reused")
    assert_problem(post(api, new), 422, "key-reused")
    assert_problem(bulk(api, many(new, 2), "k" * 256), 400)
    assert Expense.objects.count() == 2


@pytest.mark.django_db(transaction=True)  # a refusal rolls back, also the transaction of a test
def test_many_rows_that_were_refused_are_not_kept_and_can_be_mended(api: APIClient, new: dict[str, Any]) -> None:
    assert_problem(bulk(api, [new, {**new, "amount": "x"}]), 400)
    taken = {**new, "id": post(api, new, "k-2").json()["id"], "amount": "9.00"}
    assert_problem(bulk(api, [new, taken]), 409)
    assert not IdempotencyKey.objects.filter(key="k-1").exists()
    assert bulk(api, many(new, 2)).json()["created"] == 2


@pytest.mark.django_db(transaction=True)
def test_many_rows_sent_twice_at_once_are_stored_once(owner: User, new: dict[str, Any]) -> None:
    clients = [client_of(owner) for _ in range(3)]
    first, *others = at_once(*(lambda c=c: bulk(c, many(new, 5)) for c in clients))
    assert first.status_code == 201
    assert all(same(first, other) for other in others)
    assert (Expense.objects.count(), IdempotencyKey.objects.count()) == (5, 1)
    assert total(clients[0]) == ("62.50", 5)
