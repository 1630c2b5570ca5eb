"""Logging in and out on pages."""

from __future__ import annotations

import pytest
from django.contrib.auth.models import User
from django.test import Client

pytestmark = pytest.mark.django_db

PASSWORD = "correct horse battery"
ALLOWED = 10


@pytest.fixture
def olga(db: None) -> User:
    return User.objects.create_user("olga", password=PASSWORD)


def log_in(client: Client, password: str = PASSWORD, **more: str) -> tuple[int, str]:
    response = client.post("/login/", {"username": "olga", "password": password, **more})
    return response.status_code, response.get("Location", "")


def test_who_logs_in_comes_to_the_dashboard_or_where_he_wanted_to(olga: User) -> None:
    assert log_in(Client()) == (302, "/")
    assert log_in(Client(), next="/expenses/?currency=EUR") == (302, "/expenses/?currency=EUR")


@pytest.mark.parametrize(
    "elsewhere", ["https://example.com/", "//example.com", "javascript:alert(1)", "/\\example.com"]
)
def test_nobody_is_led_away_from_the_service(olga: User, elsewhere: str) -> None:
    assert log_in(Client(), next=elsewhere) == (302, "/")


def test_who_is_logged_in_is_not_asked_again(olga: User) -> None:
    client = Client()
    client.force_login(olga)
    assert client.get("/login/")["Location"] == "/"


def test_a_wrong_password_says_no_more_than_that(olga: User) -> None:
    said = [
        Client().post("/login/", {"username": name, "password": "wrong"}).content.decode() for name in ("olga", "olaf")
    ]
    assert "Name or password is wrong" in said[0]
    assert "Name or password is wrong" in said[1]


def test_after_some_wrong_passwords_the_right_one_has_to_wait(olga: User) -> None:
    client = Client()
    assert [log_in(client, "wrong")[0] for _ in range(ALLOWED + 1)] == [200] * ALLOWED + [429]
    response = client.post("/login/", {"username": "olga", "password": PASSWORD})
    assert response.status_code == 429
    assert int(response["Retry-After"]) > 0
    assert client.get("/").status_code == 302


def test_a_form_of_another_site_logs_nobody_in_or_out(olga: User) -> None:
    client = Client(enforce_csrf_checks=True)
    assert log_in(client)[0] == 403
    client.force_login(olga)
    assert client.post("/logout/").status_code == 403
    assert client.get("/").status_code == 200


def test_logging_out_ends_the_session(olga: User) -> None:
    client = Client()
    client.force_login(olga)
    assert client.get("/logout/").status_code == 405
    assert "You have logged out" in client.post("/logout/").content.decode()
    assert client.get("/").status_code == 302
