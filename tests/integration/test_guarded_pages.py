"""Every answer carries the headers that guard it: pages, errors, files, redirects and probes alike."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from django.conf import settings
from django.contrib.auth.models import User
from django.test import Client

from tests.integration.api.test_every_operation import assert_guarded

pytestmark = pytest.mark.django_db
PATHS = (
    "/", "/login/", "/expenses/", "/expenses/add/", "/nowhere", "/favicon.ico", "/admin/", "/admin/login/",
    "/admin/nowhere/", "/admin/expenses/expense/export/", "/api/docs/", "/api/schema/", "/api/nowhere", "/livez",
    "/readyz", "/metrics", "//evil.example/admin", "/static/nowhere.css",
)  # fmt: skip
PEOPLE = ("/", "/expenses/", "/expenses/add/", "/admin/", "/admin/expenses/expense/", "/admin/auth/user/")


@pytest.fixture
def root() -> Client:
    client = Client(raise_request_exception=False)
    client.force_login(User.objects.create_superuser("root"))
    return client


@pytest.fixture
def files(tmp_path: Path) -> Iterator[str]:
    """Serve a folder of static files; yield the address of one."""
    (tmp_path / "page.css").write_text("p {}")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(settings, "STATIC_ROOT", tmp_path)
        yield "/static/page.css"


@pytest.mark.parametrize("path", PATHS)
def test_every_answer_is_guarded(root: Client, path: str) -> None:
    for client in (Client(), root):
        for method in ("GET", "HEAD", "POST", "OPTIONS", "TRACE"):
            assert_guarded(client.generic(method, path, headers={"Origin": "https://elsewhere.example"}))


def test_a_file_is_guarded_and_of_no_other_origin(files: str) -> None:
    response: Any = Client().get(files)
    assert b"".join(response.streaming_content) == b"p {}"
    assert_guarded(response)


@pytest.mark.parametrize("path", ["/", "/api/v1/totals/", "/livez"])
def test_another_host_is_refused_without_a_word_of_the_settings(path: str) -> None:
    response = Client().get(path, headers={"Host": "evil.example"})
    assert response.status_code == 400
    assert b"ALLOWED_HOSTS" not in response.content
    assert b"evil" not in response.content
    assert_guarded(response)


def test_a_mistake_is_a_plain_page(root: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_arguments: Any, **_more: Any) -> None:
        raise RuntimeError("a secret of mine")

    monkeypatch.setattr("expenses.dashboard.listing.expenses", fail)
    response = root.get("/expenses/")
    assert response.status_code == 500
    assert b"a secret of mine" not in response.content
    assert b"Traceback" not in response.content
    assert_guarded(response)


def test_no_debug_is_on_unless_it_is_asked_for() -> None:
    assert settings.DEBUG is False
    assert settings.USE_X_FORWARDED_HOST is False
    assert settings.SESSION_COOKIE_HTTPONLY is True


@pytest.mark.parametrize("path", PEOPLE)
def test_a_page_for_people_is_kept_by_nobody(root: Client, path: str) -> None:
    response = root.get(path, follow=True)
    assert response.status_code == 200
    assert {"no-store", "private"} <= set(response["Cache-Control"].replace(" ", "").split(","))


@pytest.mark.parametrize("path", ["/", "/expenses/", "/expenses/add/", "/admin/", "/admin/expenses/expense/import/"])
def test_who_is_unknown_is_sent_to_log_in(path: str) -> None:
    for method in ("GET", "POST"):
        response = Client().generic(method, path)
        assert (response.status_code, response.get("Location", "").partition("?")[0].rpartition("/login/")[1]) in (
            (302, "/login/"),
            (405, ""),
        )


@pytest.mark.parametrize(
    "path", ["//evil.example", "//evil.example/%2e%2e", "/\\evil.example", "///evil.example/expenses"]
)
def test_no_address_leads_elsewhere(root: Client, path: str) -> None:
    for client in (Client(), root):
        location = client.get(path).get("Location", "")
        assert not location.startswith(("http", "//", "/\\"))


@pytest.mark.parametrize("elsewhere", ["https://evil.example/", "//evil.example", "/\\evil.example", "javascript:x"])
def test_the_admin_leads_nobody_elsewhere_after_a_login(elsewhere: str) -> None:
    User.objects.create_superuser("root", password="correct horse battery")
    client = Client()
    given = {"username": "root", "password": "correct horse battery"}
    sent = client.post(f"/admin/login/?next={elsewhere}", {**given, "next": elsewhere})
    assert (sent.status_code, sent["Location"]) == (302, "/admin/")


@pytest.mark.parametrize("path", ["/logout/", "/admin/logout/"])
def test_no_link_logs_anybody_out(root: Client, path: str) -> None:
    assert root.get(path).status_code == 405
    assert root.get("/admin/").status_code == 200
