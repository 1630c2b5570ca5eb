"""How long the service waits for its database: the faults "lock stall" and "a paused process"."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from decimal import Decimal
from typing import Any

import httpx
import pytest
from django.contrib.auth.models import User
from django.db import Error, connection, transaction
from knox.models import AuthToken

from config import databases
from expenses.models import Expense
from tests.exactness import assert_totals_match
from tests.processes import PATIENCE, served

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.long]


@pytest.fixture
def expense() -> Any:
    owner = User.objects.create_user("olga")
    return Expense.objects.create(owner=owner, amount=Decimal(10), currency="EUR", spent_on=dt.date(2026, 3, 5))


@contextmanager
def client_of(owner: User) -> Iterator[httpx.Client]:
    """Yield a client of the service, which runs in processes of its own."""
    _instance, token = AuthToken.objects.create(user=owner)
    with (
        served() as address,
        httpx.Client(base_url=address, headers={"Authorization": f"Token {token}"}, timeout=PATIENCE) as client,
    ):
        yield client


@contextmanager
def locked(expense: Any) -> Iterator[None]:
    """Hold a lock on the expense, on SQLite on the whole database."""
    with transaction.atomic():
        Expense.objects.select_for_update().get(pk=expense.pk)
        yield


def assert_unavailable(response: httpx.Response) -> None:
    assert (response.status_code, response.headers["Content-Type"]) == (503, "application/problem+json")
    assert int(response.headers["Retry-After"]) > 0


WRITES: list[Callable[[httpx.Client, str], httpx.Response]] = [
    lambda client, path: client.patch(path, json={"amount": "11.00"}),
    lambda client, path: client.put(path, json={"amount": "11.00", "currency": "EUR", "spent_on": "2026-03-06"}),
    lambda client, path: client.delete(path),
]


@pytest.mark.parametrize(
    "limits",
    [
        pytest.param({"LOCK_SECONDS": "1", "RETRY_SECONDS": "0"}, id="of a lock"),
        # SQLite knows no statements that take too long.
        pytest.param({"LOCK_SECONDS": "0", "STATEMENT_SECONDS": "1"}, id="of a statement", marks=pytest.mark.row_locks),
    ],
)
def test_a_lock_stall_is_503_and_nothing_is_written(
    expense: Any, limits: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in limits.items():
        monkeypatch.setenv(name, value)
    path = f"/api/v1/expenses/{expense.pk}/"
    before = list(Expense.objects.values())
    with client_of(expense.owner) as client:
        with locked(expense):
            for write in WRITES:
                assert_unavailable(write(client, path))
            assert client.get("/api/v1/totals/").json()["results"][0]["sum"] == "10.00"
        assert list(Expense.objects.values()) == before
        assert_totals_match()
        assert client.patch(path, json={"amount": "12.00"}).status_code == 200
    assert_totals_match()


def limited_connection() -> Any:
    """Return a new connection with the limits of the service."""
    other = connection.copy()
    databases.limit_waits(other.settings_dict)
    return other


@pytest.mark.row_locks
def test_a_transaction_of_a_paused_process_is_ended_and_others_go_on(
    expense: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("IDLE_SECONDS", "1")
    paused = limited_connection()
    try:
        paused.set_autocommit(False)
        with paused.cursor() as cursor:
            cursor.execute("UPDATE expenses_expense SET description = 'half' WHERE currency = 'EUR'")
        with locked(expense):  # waits until the server has ended the other
            assert Expense.objects.get().description == ""
        with pytest.raises(Error), paused.cursor() as cursor:
            cursor.execute("SELECT 1")
    finally:
        paused.close()


@pytest.mark.skipif(connection.vendor != "postgresql", reason="these are PostgreSQL's")
@pytest.mark.parametrize(("seconds", "shown"), [("", ["30s", "5s", "1min"]), ("2.5", ["2500ms"] * 3), ("0", ["0"] * 3)])
def test_the_limits_come_with_the_connection(seconds: str, shown: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("STATEMENT_SECONDS", "LOCK_SECONDS", "IDLE_SECONDS"):
        monkeypatch.setenv(name, seconds)
    other = limited_connection()
    try:
        with other.cursor() as cursor:
            for name, value in zip(
                ("statement_timeout", "lock_timeout", "idle_in_transaction_session_timeout"), shown, strict=True
            ):
                cursor.execute(f"SHOW {name}")
                assert cursor.fetchone() == (value,)
    finally:
        other.close()


@pytest.mark.skipif(connection.vendor != "postgresql", reason="the pool is psycopg's")
def test_the_service_answers_from_a_pool(expense: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("POOL_SIZE", "2")
    with client_of(expense.owner) as client:
        for amount in ("11.00", "12.00", "13.00"):
            assert client.patch(f"/api/v1/expenses/{expense.pk}/", json={"amount": amount}).status_code == 200
    assert_totals_match()
