"""Requests at the same time: one row, exact totals, and every answer one of those documented."""

from __future__ import annotations

import json
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.db import connection
from rest_framework.test import APIClient

from expenses.models import Expense
from tests.integration.api.conftest import EXPENSES, TOTALS, client_of

KEY = "0198b5a2-7c1e-7000-8000-00000000000a"
AT_ONCE = 4

pytestmark = pytest.mark.django_db(transaction=True)


def at_once(*requests: Callable[[], Any]) -> list[Any]:
    """Return the responses of requests that start together, each in a thread of its own."""
    barrier = Barrier(len(requests))

    def send(request: Callable[[], Any]) -> Any:
        barrier.wait()
        try:
            return request()
        finally:
            connection.close()

    with ThreadPoolExecutor(len(requests)) as pool:
        return list(pool.map(send, requests))


def total(client: APIClient) -> tuple[str, int]:
    row = client.get(TOTALS).json()["results"][0]
    return row["sum"], row["count"]


def test_the_same_new_expense_sent_several_times_at_once_is_one_row(owner: User, new: dict[str, Any]) -> None:
    clients = [client_of(owner) for _ in range(AT_ONCE)]
    responses = at_once(*(lambda c=c: c.post(EXPENSES, {**new, "id": KEY}) for c in clients))
    assert sorted(r.status_code for r in responses) == [200] * (AT_ONCE - 1) + [201]
    assert len({r.content for r in responses}) == 1
    assert Expense.objects.count() == 1
    assert total(clients[0]) == ("12.50", 1)


def test_different_expenses_put_to_one_id_at_once_are_one_row(owner: User, new: dict[str, Any]) -> None:
    clients = [client_of(owner) for _ in range(AT_ONCE)]
    path = f"{EXPENSES}{KEY}/"
    responses = at_once(
        *(lambda c=c, n=n: c.put(path, {**new, "amount": f"{n}.00"}) for n, c in enumerate(clients, start=1))
    )
    assert sorted(r.status_code for r in responses) == [200] * (AT_ONCE - 1) + [201]
    assert total(clients[0]) == (clients[0].get(path).json()["amount"], 1)


def test_changes_of_different_members_at_once_are_all_kept(owner: User, spend: Any) -> None:
    path = f"{EXPENSES}{spend('10.00').pk}/"
    clients = [client_of(owner) for _ in range(3)]
    changes = [{"amount": "20.00"}, {"description": "changed"}, {"status": "approved"}]
    responses = at_once(*(lambda c=c, x=x: c.patch(path, x) for c, x in zip(clients, changes, strict=True)))
    assert [r.status_code for r in responses] == [200] * 3
    body = clients[0].get(path).json()
    assert (body["amount"], body["description"], body["status"]) == ("20.00", "changed", "approved")
    assert total(clients[0]) == ("20.00", 1)


def test_deleting_and_changing_at_once_leaves_no_total_without_a_row(owner: User, spend: Any) -> None:
    path = f"{EXPENSES}{spend('10.00').pk}/"
    first, second = client_of(owner), client_of(owner)
    deleted, changed = at_once(lambda: first.delete(path), lambda: second.patch(path, {"amount": "5.00"}))
    assert (deleted.status_code, changed.status_code in (200, 404)) == (204, True)
    assert json.loads(first.get(TOTALS).content)["results"] == []
