"""Methods that are not offered, headers that are not believed, bodies that are not unpacked."""

from __future__ import annotations

from typing import Any

import pytest
from django.contrib.auth.models import User
from django.test import Client

from tests.integration.api.conftest import PASSWORD, assert_problem, client_of

pytestmark = pytest.mark.django_db
PAGES = [
    "/", "/login/", "/logout/", "/expenses/", "/expenses/add/", "/admin/", "/admin/login/", "/nowhere", "/favicon.ico",
    "/api/docs/", "/api/schema/", "/api/nowhere", "/api/v1/totals/", "/livez", "/readyz", "/metrics", "/static/nothing",
]  # fmt: skip


@pytest.fixture
def olga() -> User:
    return User.objects.create_user("olga", password=PASSWORD)


def assert_guarded(response: Any) -> None:
    assert response["X-Content-Type-Options"] == "nosniff"
    assert response["Referrer-Policy"] == "same-origin"
    assert response["Cross-Origin-Opener-Policy"] == "same-origin"
    assert "default-src 'none'" in response["Content-Security-Policy"]
    assert "frame-ancestors 'none'" in response["Content-Security-Policy"]
    assert not [name for name in response.headers if name.startswith("Access-Control-")]


@pytest.mark.parametrize("path", PAGES)
@pytest.mark.parametrize("method", ["OPTIONS", "POST", "PUT", "TRACE", "UNHEARD"])
def test_a_method_that_nobody_offers_is_guarded_and_no_error(path: str, method: str) -> None:
    response = Client(raise_request_exception=False).generic(method, path, headers={"Origin": "https://elsewhere.test"})
    assert response.status_code < 500
    assert_guarded(response)


def test_over_https_cookies_are_never_sent_in_the_clear(olga: User, settings: Any) -> None:
    settings.SESSION_COOKIE_SECURE = settings.CSRF_COOKIE_SECURE = True
    client = Client()
    client.get("/login/", secure=True)
    client.post("/login/", {"username": "olga", "password": PASSWORD}, secure=True)
    assert [client.cookies[name]["secure"] for name in ("sessionid", "csrftoken")] == [True, True]


@pytest.mark.parametrize(("proxies", "status"), [(0, 301), (1, 200)])
def test_who_came_by_https_is_told_by_a_proxy_and_by_nobody_else(settings: Any, proxies: int, status: int) -> None:
    settings.SECURE_SSL_REDIRECT = True
    settings.SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https") if proxies else None
    assert Client().get("/login/", headers={"X-Forwarded-Proto": "https"}).status_code == status


def test_a_forwarded_host_is_not_believed(olga: User) -> None:
    headers = {"X-Forwarded-Host": "elsewhere.test", "Forwarded": "host=elsewhere.test"}
    made = client_of(olga).post(
        "/api/v1/expenses/", {"amount": "1", "currency": "EUR", "spent_on": "2026-01-31"}, headers=headers
    )
    assert made["Location"].startswith("http://testserver/")


@pytest.mark.parametrize("encoding", ["gzip", "deflate", "br"])
def test_what_is_compressed_is_not_unpacked(olga: User, encoding: str) -> None:
    headers = {"Content-Encoding": encoding}
    body = {"data": b"\x1f\x8b\x08" + b"\0" * 100, "content_type": "application/json"}
    assert_problem(client_of(olga).generic("POST", "/api/v1/expenses/", headers=headers, **body), 400)
