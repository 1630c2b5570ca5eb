"""Logging in and out, and who is turned away."""

from __future__ import annotations

import datetime as dt
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.utils import timezone
from knox.models import AuthToken
from rest_framework.test import APIClient

from tests.integration.api.conftest import CATEGORIES, EXPENSES, PASSWORD, TOTALS, assert_problem, client_of, pointers

LOGIN, LOGOUT, LOGOUT_ALL = (f"/api/v1/auth/{name}/" for name in ("login", "logout", "logoutall"))


def login(password: str = PASSWORD, username: str = "olga") -> Any:
    return APIClient().post(LOGIN, {"username": username, "password": password})


def test_a_password_buys_a_token_that_opens_the_api(owner: User) -> None:
    response = login()
    client = APIClient(headers={"authorization": f"Token {response.json()['token']}"})
    assert response.status_code == 200
    assert dt.datetime.fromisoformat(response.json()["expiry"]) > timezone.now()
    assert client.get(EXPENSES).status_code == 200


def test_a_token_is_stored_hashed(owner: User) -> None:
    token = login().json()["token"]
    stored = AuthToken.objects.get()
    assert token not in (stored.digest, stored.token_key)


def test_a_wrong_password_and_an_unknown_user_get_the_same_401(owner: User) -> None:
    wrong, unknown = login("wrong"), login(username="nobody")
    assert_problem(wrong, 401)
    assert wrong["WWW-Authenticate"] == "Token"
    assert wrong.content == unknown.content


def test_an_inactive_user_gets_no_token_and_loses_the_old_ones(owner: User) -> None:
    client = client_of(owner)
    User.objects.update(is_active=False)
    assert_problem(login(), 401)
    assert_problem(client.get(EXPENSES), 401)


@pytest.mark.parametrize(
    ("body", "at_fault"),
    [
        ({}, {"/username", "/password"}),
        ({"username": "olga", "password": 5}, {"/password"}),
        ({"username": "a\x00b", "password": "x"}, {"/username"}),
        ({"username": ["olga"], "password": "x", "remember": True}, {"/username", "/remember"}),
    ],
)
def test_credentials_are_two_texts(db: None, body: dict[str, Any], at_fault: set[str]) -> None:
    assert pointers(APIClient().post(LOGIN, body)) == at_fault


@pytest.mark.parametrize("path", [EXPENSES, CATEGORIES, TOTALS, LOGOUT_ALL, LOGOUT])
def test_without_credentials_the_answer_is_401(db: None, path: str) -> None:
    response = APIClient().post(path) if "auth" in path else APIClient().get(path)
    assert_problem(response, 401)
    assert response["WWW-Authenticate"] == "Token"


@pytest.mark.parametrize(
    "header", ["Token", "Token x", "Token a b", "Token \xff", "Token \x00", "Basic b2xnYTp4", "Bearer x", ""]
)
def test_credentials_that_are_none_are_401(db: None, header: str) -> None:
    assert_problem(APIClient().get(EXPENSES, HTTP_AUTHORIZATION=header), 401)


def test_an_expired_token_is_401(owner: User) -> None:
    client = client_of(owner)
    AuthToken.objects.update(expiry=timezone.now() - dt.timedelta(seconds=1))
    assert_problem(client.get(EXPENSES), 401)


def test_logging_out_revokes_this_token_alone(owner: User) -> None:
    here, there = client_of(owner), client_of(owner)
    assert here.post(LOGOUT).status_code == 204
    assert_problem(here.get(EXPENSES), 401)
    assert there.get(EXPENSES).status_code == 200


def test_logging_out_everywhere_revokes_all_of_ones_own_tokens(owner: User, stranger: User) -> None:
    here, there, theirs = client_of(owner), client_of(owner), client_of(stranger)
    assert here.post(LOGOUT_ALL).status_code == 204
    assert_problem(there.get(EXPENSES), 401)
    assert theirs.get(EXPENSES).status_code == 200


def test_a_changed_password_revokes_the_tokens_of_its_user_alone(owner: User, stranger: User) -> None:
    mine, theirs = client_of(owner), client_of(stranger)
    owner.first_name = "Olga"
    owner.save()
    assert mine.get(EXPENSES).status_code == 200
    owner.set_password("another horse battery")
    owner.save()
    assert_problem(mine.get(EXPENSES), 401)
    assert theirs.get(EXPENSES).status_code == 200


def test_a_session_reads_and_needs_a_csrf_token_to_write(owner: User, new: dict[str, Any]) -> None:
    client = APIClient(enforce_csrf_checks=True)
    client.force_login(owner)
    assert client.get(EXPENSES).status_code == 200
    assert_problem(client.post(EXPENSES, new), 403)
    assert_problem(client.post(LOGIN, {"username": "olga", "password": PASSWORD}), 403)


def test_a_form_of_a_session_is_415(owner: User) -> None:
    client = APIClient(enforce_csrf_checks=True)
    client.force_login(owner)
    client.cookies["csrftoken"] = "a" * 32
    body = b'--x\r\nContent-Disposition: form-data; name="amount"\r\n\r\n1\r\n--x--\r\n'
    response = client.generic("POST", EXPENSES, body, "multipart/form-data; boundary=x", HTTP_X_CSRFTOKEN="a" * 32)
    assert_problem(response, 415)


def test_a_session_with_a_csrf_token_writes(owner: User, new: dict[str, Any]) -> None:
    client = APIClient(enforce_csrf_checks=True)
    client.force_login(owner)
    client.cookies["csrftoken"] = "a" * 32
    assert client.post(EXPENSES, new, HTTP_X_CSRFTOKEN="a" * 32).status_code == 201


def test_the_answer_to_a_login_is_never_stored(owner: User) -> None:
    assert "no-store" in login()["Cache-Control"]
