"""What every answer carries, whom the service believes, and who may call what."""

from __future__ import annotations

import re
import uuid
from pathlib import Path
from typing import Any

import pytest
from django.contrib.auth.models import Permission, User
from django.test import Client
from drf_spectacular.generators import SchemaGenerator
from rest_framework.test import APIClient

from aggregates.models import Run
from tests.integration.api.conftest import PASSWORD, assert_problem, client_of

pytestmark = pytest.mark.django_db
PATHS = SchemaGenerator().get_schema(public=True)["paths"]
OPERATIONS = sorted((path, method) for path, methods in PATHS.items() for method in methods)
# What everybody may who is logged in, on rows of one's own; whatever else there is takes a permission.
FREE = re.compile(
    r"/api/v1/(auth/\w+/ post|categories/(\{id\}/)? get|expenses/ (get|post)|expenses/bulk/ post"
    r"|expenses/\{id\}/ (get|put|patch|delete)|expenses/\{id\}/history/ get|months/ get|totals/ get)"
)
PRIVILEGED = [one for one in OPERATIONS if not FREE.fullmatch(" ".join(one))]
PAGES = [
    "/", "/login/", "/logout/", "/expenses/", "/expenses/add/", "/admin/", "/admin/login/", "/nowhere", "/favicon.ico",
    "/api/docs/", "/api/schema/", "/api/nowhere", "/api/v1/totals/", "/livez", "/readyz", "/metrics", "/static/nothing",
]  # fmt: skip


@pytest.fixture
def olga() -> User:
    return User.objects.create_user("olga", password=PASSWORD)


def address(path: str) -> str:
    """Return a path of the schema with a key that nothing has."""
    key = "2147483647" if "/categories/" in path else str(uuid.UUID(int=7))
    return path.replace("{id}", key).replace("{month}", "2026-01")


def assert_guarded(response: Any) -> None:
    assert response["X-Content-Type-Options"] == "nosniff"
    assert response["Referrer-Policy"] == "same-origin"
    assert response["Cross-Origin-Opener-Policy"] == "same-origin"
    assert "default-src 'none'" in response["Content-Security-Policy"]
    assert "frame-ancestors 'none'" in response["Content-Security-Policy"]
    assert not [name for name in response.headers if name.startswith("Access-Control-")]


@pytest.mark.parametrize("path", PAGES)
@pytest.mark.parametrize("method", ["GET", "HEAD", "OPTIONS", "POST", "TRACE"])
def test_every_answer_is_guarded_and_let_read_by_no_other_origin(path: str, method: str) -> None:
    response = Client(raise_request_exception=False).generic(method, path, headers={"Origin": "https://elsewhere.test"})
    assert response.status_code < 500
    assert_guarded(response)


def test_a_mistake_and_a_strange_host_are_guarded_and_tell_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*arguments: Any) -> None:
        raise RuntimeError("secret of the code")

    strange = Client().get("/login/", headers={"Host": "elsewhere.test"})
    monkeypatch.setattr("expenses.dashboard.views.LoginView.dispatch", fail)
    mistake = Client(raise_request_exception=False).get("/login/")
    assert (strange.status_code, mistake.status_code) == (400, 500)
    for response in (strange, mistake):
        assert_guarded(response)
        assert not re.search(rb"secret of|Traceback|ALLOWED_HOSTS|elsewhere", response.content)


def test_a_static_file_is_guarded_and_of_no_other_origin(settings: Any, tmp_path: Path) -> None:
    (tmp_path / "some.css").write_text("p {}")
    settings.STATIC_ROOT, settings.WHITENOISE_AUTOREFRESH = tmp_path, True
    response = Client().get("/static/some.css", headers={"Origin": "https://elsewhere.test"})
    assert b"".join(response.streaming_content) == b"p {}"
    response.close()
    assert_guarded(response)


def test_a_login_gives_out_another_session_than_came_with_it(olga: User) -> None:
    client = Client()
    session = client.session
    session["planted"] = True
    session.save()
    client.cookies["sessionid"] = session.session_key
    client.post("/login/", {"username": "olga", "password": PASSWORD})
    given = client.cookies["sessionid"]
    assert given.value != session.session_key
    assert (given["httponly"], given["samesite"]) == (True, "Lax")
    planted = Client()
    planted.cookies["sessionid"] = session.session_key
    assert planted.get("/").status_code == 302


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


@pytest.mark.parametrize(
    "elsewhere", ["https://elsewhere.test/", "//elsewhere.test", "/\\elsewhere.test", "javascript:x"]
)
def test_no_address_leads_elsewhere(olga: User, elsewhere: str) -> None:
    client = Client()
    answers = [
        client.post("/admin/login/", {"username": "olga", "password": PASSWORD, "next": elsewhere}),
        client.post(f"/logout/?next={elsewhere}", {"next": elsewhere}),
        client.get(f"/?{elsewhere}"),
        client.get(f"/admin/?{elsewhere}"),
    ]
    for response in answers:
        assert not re.match(r"(https?:)?[/\\]{2}(?!testserver)|javascript", response.headers.get("Location", "/"))


@pytest.mark.parametrize(("path", "method"), OPERATIONS)
def test_who_is_unknown_is_refused(path: str, method: str) -> None:
    body = {"data": b"{}", "content_type": "application/json"}
    response = APIClient().generic(method.upper(), address(path), **body)
    assert_problem(response, 400 if path.endswith("/login/") else 401)


@pytest.mark.parametrize(("path", "method"), PRIVILEGED)
@pytest.mark.parametrize("is_staff", [False, True], ids=["user", "staff"])
def test_what_is_not_everybodys_takes_a_permission(olga: User, path: str, method: str, is_staff: bool) -> None:
    User.objects.filter(pk=olga.pk).update(is_staff=is_staff)
    # Of the own rows, which give none over what is everybody's.
    olga.user_permissions.set(Permission.objects.filter(codename__in=["view_expense", "view_category", "add_expense"]))
    assert_problem(client_of(olga).generic(method.upper(), address(path)), 403)
    assert not Run.objects.exists()


@pytest.mark.parametrize("encoding", ["gzip", "deflate", "br"])
def test_what_is_compressed_is_not_unpacked(olga: User, encoding: str) -> None:
    headers = {"Content-Encoding": encoding}
    body = {"data": b"\x1f\x8b\x08" + b"\0" * 100, "content_type": "application/json"}
    assert_problem(client_of(olga).generic("POST", "/api/v1/expenses/", headers=headers, **body), 400)
