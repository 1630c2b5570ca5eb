"""Rates of ABUSE: the 11th wrong password is answered with 429, by account and by address."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from axes.models import AccessAttempt
from django.contrib.auth import authenticate
from django.contrib.auth.hashers import MD5PasswordHasher
from django.contrib.auth.models import User
from django.core.management import call_command
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils import timezone
from rest_framework.test import APIClient

from tests.integration.api.conftest import PASSWORD, assert_problem

pytestmark = pytest.mark.django_db

LOGIN = "/api/v1/auth/login/"
ALLOWED = 10
COOL_OFF = timedelta(minutes=15)


def attempt(password: str = "wrong", *, name: str = "olga", address: str = "192.0.2.1", **more: Any) -> Any:
    return APIClient(REMOTE_ADDR=address).post(LOGIN, {"username": name, "password": password}, **more)


def addresses(number: int) -> list[str]:
    return [f"198.51.100.{i}" for i in range(number)]


def lock_account(name: str = "olga") -> None:
    for address in addresses(ALLOWED):
        assert_problem(attempt(name=name, address=address), 401)
    assert_problem(attempt(name=name, address="203.0.113.1"), 429)


def age(by: timedelta) -> None:
    AccessAttempt.objects.update(attempt_time=timezone.now() - by)


def test_the_11th_wrong_password_for_an_account_is_429_wherever_it_comes_from(owner: User) -> None:
    lock_account()
    response = attempt(PASSWORD, address="203.0.113.2")
    assert_problem(response, 429, "too-many-requests")
    assert 0 < int(response["Retry-After"]) <= COOL_OFF.total_seconds()


def test_the_11th_wrong_password_from_an_address_is_429_whatever_the_account(owner: User) -> None:
    for i in range(ALLOWED):
        assert_problem(attempt(name=f"guess-{i}"), 401)
    assert_problem(attempt(name="another"), 429)
    assert_problem(attempt(PASSWORD), 429)
    assert attempt(PASSWORD, address="192.0.2.2").status_code == 200


def test_accounts_that_are_there_and_those_that_are_not_get_the_same_answers(owner: User) -> None:
    answers = {}
    for name in ("olga", "nobody"):
        responses = [attempt(name=name, address=address) for address in addresses(ALLOWED + 2)]
        answers[name] = [(r.status_code, r.content) for r in responses]
        AccessAttempt.objects.all().delete()
    assert answers["olga"] == answers["nobody"]


def test_as_much_is_computed_for_accounts_that_are_not_there(owner: User, monkeypatch: pytest.MonkeyPatch) -> None:
    hashed: list[str] = []
    encode = MD5PasswordHasher.encode

    def counting(self: Any, password: str, *more: Any) -> str:
        hashed.append(password)
        return encode(self, password, *more)

    monkeypatch.setattr(MD5PasswordHasher, "encode", counting)
    for name in ("olga", "nobody"):
        for address in addresses(ALLOWED + 1):
            attempt(name=name, address=address)
        assert len(hashed) == ALLOWED + 1
        attempt(name=name, address="203.0.113.1")  # locked out: not even looked at
        assert len(hashed) == ALLOWED + 1
        hashed.clear()
        AccessAttempt.objects.all().delete()


def test_a_right_password_forgives_the_account_its_wrong_ones(owner: User) -> None:
    for _ in range(2):
        for address in addresses(ALLOWED):
            assert_problem(attempt(address=address), 401)
        assert attempt(PASSWORD).status_code == 200


def test_a_right_password_for_ones_own_account_does_not_forgive_an_address_the_others(owner: User) -> None:
    for i in range(ALLOWED):
        assert_problem(attempt(name=f"guess-{i}"), 401)
    assert attempt(PASSWORD).status_code == 200
    assert_problem(attempt(name="another"), 429)


def test_a_lock_out_ends_after_the_cool_off_and_counting_begins_anew(owner: User) -> None:
    lock_account()
    age(COOL_OFF - timedelta(minutes=1))
    locked = attempt(PASSWORD)
    assert_problem(locked, 429)
    assert 0 < int(locked["Retry-After"]) <= 60
    age(COOL_OFF)
    assert_problem(attempt(), 401)
    assert attempt(PASSWORD).status_code == 200


def test_who_is_locked_out_writes_nothing_and_is_not_locked_out_for_longer(owner: User) -> None:
    lock_account()
    old = AccessAttempt.objects.create(username="other", failures_since_start=1)
    AccessAttempt.objects.filter(pk=old.pk).update(attempt_time=timezone.now() - 2 * COOL_OFF)
    stored = list(AccessAttempt.objects.order_by("pk").values())
    with CaptureQueriesContext(connection) as queries:
        assert_problem(attempt(address="203.0.113.3"), 429)
    statements = [query["sql"] for query in queries if not query["sql"].startswith(("SAVEPOINT", "RELEASE"))]
    assert all(statement.startswith("SELECT") for statement in statements), statements
    assert list(AccessAttempt.objects.order_by("pk").values()) == stored


def test_the_admin_answers_with_a_page(owner: User) -> None:
    lock_account()
    response = Client(REMOTE_ADDR="192.0.2.9").post("/admin/login/", {"username": "olga", "password": PASSWORD})
    assert response.status_code == 429
    assert response["Content-Type"].startswith("text/html")
    assert int(response["Retry-After"]) > 0
    assert "Too many wrong passwords" in response.content.decode()


def test_wrong_passwords_in_the_admin_count_as_well(owner: User) -> None:
    for address in addresses(ALLOWED):
        Client(REMOTE_ADDR=address).post("/admin/login/", {"username": "olga", "password": "wrong"})
    assert_problem(attempt(), 429)


@pytest.mark.parametrize("page", ["/login/", "/admin/login/"])
def test_a_name_of_any_length_is_wrong_and_counts(owner: User, page: str) -> None:
    for length in (151, 255, 256, 100_000):
        guess = {"username": "u" * length, "password": "wrong"}
        assert [Client().post(page, guess).status_code for _ in range(2)] == [200, 200]
    assert sum(AccessAttempt.objects.values_list("failures_since_start", flat=True)) == 8
    for _ in range(ALLOWED - 8):
        assert_problem(attempt(address="127.0.0.1"), 401)
    assert_problem(attempt(address="127.0.0.1"), 429)


def test_clients_whose_address_is_unknown_do_not_lock_out_each_other(owner: User) -> None:
    for i in range(ALLOWED + 1):
        assert_problem(attempt(name=f"guess-{i}", address=""), 401)
    assert attempt(PASSWORD, address="").status_code == 200


def test_an_open_account_is_let_in_by_a_command(owner: User) -> None:
    lock_account()
    call_command("axes_reset_username", "olga")
    assert attempt(PASSWORD).status_code == 200


def test_code_that_asks_without_a_request_is_not_counted(owner: User) -> None:
    lock_account()
    assert authenticate(username="olga", password="wrong") is None
    assert authenticate(username="olga", password=PASSWORD) == owner


def test_a_password_is_stored_nowhere(owner: User) -> None:
    attempt("a secret of mine")
    Client().post("/admin/login/", {"username": "olga", "password": "a secret of mine"})
    assert AccessAttempt.objects.count() == 2
    assert "secret" not in str(list(AccessAttempt.objects.values()))
