"""Each operation of the schema: who may call it, how a stranger is answered, what its answers carry."""

from __future__ import annotations

import re
import uuid
from decimal import Decimal
from typing import Any

import pytest
from django.contrib.auth.models import Permission, User
from django.test import Client
from django.urls import get_resolver
from django.urls.resolvers import URLPattern, URLResolver
from drf_spectacular.generators import SchemaGenerator
from rest_framework.test import APIClient

from aggregates.models import Run
from expenses.models import Expense
from tests.integration.api.conftest import assert_problem, client_of

pytestmark = pytest.mark.django_db
PATHS = SchemaGenerator().get_schema(public=True)["paths"]
OPERATIONS = sorted((path, method) for path, methods in PATHS.items() for method in methods)
V1 = "/api/v1"
# What everybody may who is logged in, each on the own rows alone; whatever else there is takes a permission.
OF_EVERYBODY = {
    *((f"{V1}/auth/{name}/", "post") for name in ("login", "logout", "logoutall")),
    *((f"{V1}/categories/{rest}", "get") for rest in ("", "{id}/")),
    *((f"{V1}/expenses/", method) for method in ("get", "post")),
    (f"{V1}/expenses/bulk/", "post"),
    *((f"{V1}/expenses/{{id}}/", method) for method in ("get", "put", "patch", "delete")),
    (f"{V1}/expenses/{{id}}/history/", "get"),
    (f"{V1}/months/", "get"),
    (f"{V1}/totals/", "get"),
}
ALL = "view_all_expenses"
# What takes permissions, and which.
NEEDED = {
    (f"{V1}/categories/", "post"): {"add_category"},
    **{(f"{V1}/categories/{{id}}/", method): {"change_category"} for method in ("put", "patch")},
    (f"{V1}/categories/{{id}}/", "delete"): {"delete_category"},
    (f"{V1}/categories/{{id}}/merge/", "post"): {"change_category", "delete_category"},
    (f"{V1}/expenses/import/", "post"): {"add_expense", ALL},
    **{(f"{V1}/months/{{month}}/{what}/", "post"): {"close_month"} for what in ("close", "reopen")},
    (f"{V1}/totals/rebuild/", "post"): {"change_run"},
    (f"{V1}/totals/rebuild/{{id}}/", "get"): {"view_run"},
    **{(f"{V1}/totals/rebuild/{{id}}/", method): {"change_run"} for method in ("post", "delete")},
    **{(f"{V1}/totals/verify/{rest}", "get"): {"view_run", ALL} for rest in ("", "{id}/")},
    (f"{V1}/totals/verify/", "post"): {"change_run", ALL},
    **{(f"{V1}/totals/verify/{{id}}/", method): {"change_run", ALL} for method in ("post", "delete")},
}
PRIVILEGED = sorted(NEEDED)
OTHERS = ("get", "post", "put", "patch", "delete", "options", "trace")
# Addresses that the schema leaves out, and why: it, its page, probes, and what answers where nothing is.
BESIDES = {"api/schema/", "api/docs/", "livez", "readyz", "metrics", "^api(?:/.*)?$"}


def filled(path: str, key: object | None = None) -> str:
    """Return an address with an id that nothing has, or with this one."""
    number = 2**31 - 1 if "/categories/" in path else uuid.UUID(int=7)
    return re.sub(r"\{id\}", str(key or number), path).replace("{month}", "2026-01")


def called(client: Any, path: str, method: str, **more: Any) -> Any:
    return client.generic(method.upper(), path, **more)


def test_every_operation_is_known_here() -> None:
    assert sorted([*OF_EVERYBODY, *NEEDED]) == OPERATIONS


def test_every_address_of_the_api_is_in_the_schema() -> None:
    def routes(patterns: Any, before: str = "") -> Any:
        for pattern in patterns:
            if isinstance(pattern, URLResolver):
                yield from routes(pattern.url_patterns, f"{before}{pattern.pattern}")
            elif isinstance(pattern, URLPattern):
                yield f"{before}{pattern.pattern}"

    found = {
        re.sub(r"<\w+:(\w+)>", lambda at: "{id}" if at[1] in ("id", "pk") else f"{{{at[1]}}}", route)
        for route in routes(get_resolver().url_patterns)
        if not route.startswith(("admin/", "expenses/", "login/", "logout/")) and route not in ("", "favicon.ico")
    }
    assert found == {path.lstrip("/") for path in PATHS} | BESIDES


@pytest.mark.parametrize(("path", "method"), OPERATIONS)
def test_who_is_unknown_is_401(path: str, method: str) -> None:
    if path.endswith("/login/"):
        assert_problem(called(APIClient(), path, method, data=b"{}", content_type="application/json"), 400)
        return
    for client in (APIClient(), APIClient(headers={"authorization": "Token " + "0" * 64})):
        assert_problem(called(client, filled(path), method), 401)


@pytest.mark.parametrize(("path", "method"), PRIVILEGED)
@pytest.mark.parametrize("is_staff", [False, True], ids=["user", "staff"])
def test_what_takes_a_permission_is_403_without(owner: User, path: str, method: str, is_staff: bool) -> None:
    User.objects.filter(pk=owner.pk).update(is_staff=is_staff)
    assert_problem(called(client_of(owner), filled(path), method), 403)
    assert not Run.objects.exists()


@pytest.mark.parametrize(("path", "method"), PRIVILEGED)
def test_it_takes_each_permission_and_no_other(owner: User, path: str, method: str) -> None:
    ours = Permission.objects.filter(content_type__app_label__in=("aggregates", "expenses"))
    needed = ours.filter(codename__in=NEEDED[path, method])
    assert len(needed) == len(NEEDED[path, method])
    for missing in needed:
        owner.user_permissions.set(Permission.objects.exclude(pk=missing.pk).exclude(codename="only_read"))
        assert_problem(called(client_of(owner), filled(path), method), 403)
    owner.user_permissions.set(needed)
    assert called(client_of(owner), filled(path), method).status_code != 403


@pytest.mark.parametrize("path", sorted(PATHS))
def test_methods_that_are_not_offered_are_405_and_change_nothing(owner: User, path: str, spend: Any) -> None:
    own = spend()
    owner.user_permissions.set(Permission.objects.exclude(codename="only_read"))
    client = client_of(owner)
    for method in OTHERS:
        if method not in PATHS[path]:
            response = called(client, filled(path), method)
            assert_problem(response, 405)
            assert set(response["Allow"].lower().split(", ")) - {"head"} == set(PATHS[path])
    assert Expense.objects.get() == own


@pytest.mark.parametrize(("path", "method"), [one for one in OPERATIONS if one[1] == "get"])
def test_head_tells_what_get_tells_and_sends_no_body(owner: User, path: str, method: str, spend: Any) -> None:
    owner.user_permissions.set(Permission.objects.exclude(codename="only_read"))
    key = spend().pk if path.startswith(f"{V1}/expenses/") else None
    client = client_of(owner)
    got, head = (client.get(filled(path, key)), client.head(filled(path, key)))
    assert (head.status_code, head.content) == (got.status_code, b"")
    assert {name for name in head.headers if name != "Content-Length"} == {
        name for name in got.headers if name != "Content-Length"
    }


@pytest.mark.parametrize("operation", [one for one in OPERATIONS if one[0].startswith(f"{V1}/expenses/{{id}}")])
@pytest.mark.parametrize("permissions", [(), ("add_expense", "change_expense", "delete_expense", "view_expense")])
def test_what_is_somebody_elses_is_not_there(
    owner: User,
    stranger: User,
    spend: Any,
    new: dict[str, Any],
    operation: tuple[str, str],
    permissions: tuple[str, ...],
) -> None:
    path, method = operation
    owner.user_permissions.set(Permission.objects.filter(codename__in=permissions))
    theirs = spend("98.76", owner=stranger, description="secret")
    response = getattr(client_of(owner), method)(filled(path, theirs.pk), new if method in ("put", "patch") else None)
    assert_problem(response, 409 if method == "put" else 404)
    assert not re.search(rb"98\.76|secret|stefan", response.content)
    before = Expense.objects.get(pk=theirs.pk)
    assert (before.owner, before.description, before.amount) == (stranger, "secret", Decimal("98.76"))


@pytest.mark.parametrize(("path", "method"), OPERATIONS)
def test_every_answer_is_private_sniffed_by_nobody_and_of_no_other_origin(owner: User, path: str, method: str) -> None:
    for client in (APIClient(), client_of(owner)):
        response = called(client, filled(path), method, headers={"Origin": "https://elsewhere.example"})
        assert "private" in response["Cache-Control"] or "no-store" in response["Cache-Control"]
        assert {"Authorization", "Cookie"} <= set(re.split(r",\s*", response["Vary"]))
        assert_guarded(response)


def assert_guarded(response: Any) -> None:
    """Check the headers that every answer of the service carries."""
    assert response["X-Content-Type-Options"] == "nosniff"
    assert response["Referrer-Policy"] == "same-origin"
    assert response["Cross-Origin-Opener-Policy"] == "same-origin"
    assert "default-src 'none'" in response["Content-Security-Policy"]
    assert "frame-ancestors 'none'" in response["Content-Security-Policy"]
    assert not [name for name in response.headers if name.lower().startswith("access-control-")]


@pytest.mark.parametrize("format_", ["csv", "jsonl"])
def test_an_export_is_a_file_and_no_page(api: APIClient, spend: Any, format_: str) -> None:
    spend()
    response = api.get(f"{V1}/totals/?format={format_}")
    assert response.getvalue()  # read to its end, so that no cursor is left open
    assert response["Content-Disposition"] == f'attachment; filename="totals.{format_}"'
    assert "html" not in response["Content-Type"]
    assert_guarded(response)


@pytest.mark.parametrize("members", [{"is_superuser": True}, {"owner_id": 1}, {"created_at": "2020-01-01T00:00:00Z"}])
def test_no_member_is_set_that_is_not_offered(api: APIClient, new: dict[str, Any], members: dict[str, Any]) -> None:
    assert_problem(api.post(f"{V1}/expenses/", {**new, **members}), 400, "validation-error")
    assert_problem(api.post(f"{V1}/expenses/bulk/", [{**new, **members}]), 400, "validation-error")
    assert not Expense.objects.exists()


def test_a_session_begins_anew_with_a_login(owner: User) -> None:
    client = Client()
    session = client.session
    session["planted"] = "by somebody else"
    session.save()
    client.cookies["sessionid"] = before = session.session_key
    client.post("/login/", {"username": "olga", "password": "correct horse battery"})
    assert client.get("/").status_code == 200
    after = client.cookies["sessionid"].value
    assert after != before
    assert client.cookies["sessionid"]["httponly"]
    assert client.cookies["sessionid"]["samesite"] == "Lax"
    stolen = Client()
    stolen.cookies["sessionid"] = before
    assert stolen.get("/").status_code == 302


def test_a_changed_password_ends_the_sessions(owner: User) -> None:
    client = Client()
    client.force_login(owner)
    owner.set_password("another horse battery")
    owner.save()
    assert client.get("/").status_code == 302
