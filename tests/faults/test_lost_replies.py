"""The connection to PostgreSQL is cut around a COMMIT: the answer says that it is in doubt, a repeat writes once."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Iterator
from typing import Any

import httpx
import pytest
from django.contrib.auth.models import User
from django.db import connection

from expenses.models import Expense
from tests.exactness import assert_totals_match
from tests.faults.client import CSV, EXPENSES, IMPORT, IMPORTS, NOTHING, OWNER, ROLES
from tests.faults.crew import at_work
from tests.faults.proxy import Cut, Proxy, proxied
from tests.faults.service import Service, client_of, serving
from tests.integration.api.conftest import permitted
from tests.processes import environment

pytestmark = [pytest.mark.long, pytest.mark.row_locks, pytest.mark.django_db(transaction=True)]

NEW = {"amount": "12.50", "currency": "EUR", "spent_on": "2026-01-31"}
KEY = "0198b5a2-7c1e-7000-8000-00000000000a"
FILE = f"{','.join(ROLES)}\n1,{OWNER},,2026-01-31,12.50,one,draft\n2,{OWNER},,2026-01-31,3,two,approved\n"


@pytest.fixture(scope="module")
def proxy() -> Iterator[Proxy]:
    settings = connection.settings_dict
    with proxied(settings["HOST"], int(settings["PORT"])) as proxy:
        yield proxy


@pytest.fixture
def service(proxy: Proxy, transactional_db: None) -> Iterator[Service]:
    """The service, which knows the database by the proxy's address alone."""
    settings = connection.settings_dict
    usual = f"{settings['HOST']}:{settings['PORT']}"
    url = environment()["DATABASE_URL"].replace(usual, f"127.0.0.1:{proxy.port}")
    with serving("--workers=1", DATABASE_URL=url, POOL_SIZE="2") as service:
        yield service


@pytest.fixture
def olga() -> User:
    return permitted(User.objects.create_user(OWNER), *IMPORTS)


REPEATABLE: list[tuple[str, Callable[[httpx.Client], httpx.Response], int]] = [
    ("key", lambda c: c.post(EXPENSES, json=NEW, headers={"Idempotency-Key": uuid.UUID(KEY).hex}), 1),
    ("id", lambda c: c.post(EXPENSES, json={**NEW, "id": KEY}), 1),
    ("put", lambda c: c.put(f"{EXPENSES}{KEY}/", json=NEW), 1),
    ("bulk key", lambda c: c.post(f"{EXPENSES}bulk/", json=[NEW] * 3, headers={"Idempotency-Key": "many"}), 3),
    (
        "bulk ids",
        lambda c: c.post(f"{EXPENSES}bulk/", json=[{**NEW, "id": KEY}, {**NEW, "id": str(uuid.UUID(int=9))}]),
        2,
    ),
    ("import", lambda c: c.post(IMPORT, content=FILE, headers=CSV), 2),
]


def test_a_write_whose_commit_is_cut_off_is_in_doubt_and_its_repeat_writes_once(
    service: Service, proxy: Proxy, olga: User
) -> None:
    made = len(proxy.made)
    with client_of(service, olga) as client:
        for cut in Cut:
            for name, write, rows in REPEATABLE:
                proxy.cut_next(cut)
                doubtful = write(client)
                assert_in_doubt(doubtful)
                stored = Expense.objects.count()
                assert stored == (rows if cut is Cut.AFTER else 0), f"{name}, {cut.value}"
                assert_totals_match()
                assert write(client).is_success
                assert Expense.objects.count() == rows, f"{name}, {cut.value}"
                assert_totals_match()
                forget_all(client)
    assert proxy.made[made:] == [cut for cut in Cut for _ in REPEATABLE]


def forget_all(client: httpx.Client) -> None:
    """Delete all expenses, and the keys of requests."""
    from api.models import IdempotencyKey  # noqa: PLC0415 - used here alone

    Expense.objects.all().delete()
    IdempotencyKey.objects.all().delete()


@pytest.mark.parametrize("cut", Cut, ids=lambda cut: cut.name.lower())
def test_changes_whose_commit_is_cut_off_are_settled_by_their_repeat(
    service: Service, proxy: Proxy, olga: User, cut: Cut
) -> None:
    with client_of(service, olga) as client:
        path = f"{EXPENSES}{client.post(EXPENSES, json=NEW).json()['id']}/"
        for write, again in (
            (lambda: client.patch(path, json={"amount": "7.00"}), {200}),
            (lambda: client.delete(path), {204, 404}),
        ):
            before = list(Expense.objects.values("amount"))
            proxy.cut_next(cut)
            assert_in_doubt(write())
            assert (list(Expense.objects.values("amount")) == before) == (cut is Cut.BEFORE)
            assert_totals_match()
            assert write().status_code in again
            assert_totals_match()
    assert not Expense.objects.exists()


def test_no_write_is_lost_or_doubled_while_connections_are_cut(
    service: Service, proxy: Proxy, olga: User, seed: int, *, full: bool
) -> None:
    made = len(proxy.made)
    with at_work(service, seed, olga, []) as crew:
        crew.begin()
        for _ in range(24 if full else 8):
            proxy.cut_next(crew.pick.choice(list(Cut)))
            crew.go_on(5)
    assert crew.journal.doubts <= len(proxy.made) - made, "a cut leaves one write in doubt, at most"


def assert_in_doubt(response: Any) -> None:
    assert response.status_code == 503, response.text
    assert response.headers["Content-Type"] == "application/problem+json"
    assert int(response.headers["Retry-After"]) > 0
    assert NOTHING not in response.json()["detail"]
