"""What the roles may do. They are groups, made by ``manage.py create_roles``."""

from __future__ import annotations

import io
import json
from collections.abc import Callable
from typing import Any

import pytest
from django.contrib.auth.models import Group, Permission, User
from django.core.management import CommandError, call_command
from django.test import Client
from rest_framework.test import APIClient

from api.roles import ROLES
from expenses.models import Category, Expense
from tests.integration.api.conftest import CATEGORIES, EXPENSES, TOTALS, assert_problem, client_of, permitted

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def roles(db: None) -> None:
    call_command("create_roles", stdout=io.StringIO())


def having(role: str, name: str = "rolf", **more: Any) -> User:
    user = User.objects.create_user(name, **more)
    user.groups.add(Group.objects.get(name=role))
    return user


def writes(client: APIClient, own: Expense, new: dict[str, Any]) -> list[Any]:
    """Return the answers to every kind of write of expenses."""
    one = f"{EXPENSES}{own.pk}/"
    return [
        client.post(EXPENSES, new),
        client.post(f"{EXPENSES}bulk/", [new]),
        client.put(one, new),
        client.patch(one, {"amount": "1.00"}),
        client.delete(one),
    ]


def test_each_role_has_its_permissions_and_a_repeat_changes_nothing() -> None:
    group = Group.objects.get(name="owner")
    group.permissions.add(Permission.objects.get(codename="view_all_expenses"))
    member = having("owner")
    printed = io.StringIO()
    call_command("create_roles", stdout=printed)
    for name, wanted in ROLES.items():
        permissions = Group.objects.get(name=name).permissions.select_related("content_type")
        assert {f"{p.content_type.app_label}.{p.codename}" for p in permissions} == set(wanted)
        assert f"{name}: {len(wanted)} permissions" in printed.getvalue()
    assert member.groups.get() == group


def test_without_the_permissions_no_role_is_made() -> None:
    Group.objects.all().delete()
    Permission.objects.filter(codename="only_read").delete()
    with pytest.raises(CommandError, match="only_read: run manage") as caught:
        call_command("create_roles")
    assert caught.value.returncode == 2
    assert not Group.objects.exists()


def test_an_owner_sees_and_changes_the_own_expenses_alone(spend: Callable[..., Expense], new: dict[str, Any]) -> None:
    user = having("owner")
    foreign, own = spend(), spend(owner=user)
    client = client_of(user)
    assert [row["id"] for row in client.get(EXPENSES).json()["results"]] == [str(own.pk)]
    assert_problem(client.patch(f"{EXPENSES}{foreign.pk}/", {"amount": "1.00"}), 404)
    assert [r.status_code for r in writes(client, own, new)] == [201, 201, 200, 200, 204]
    assert_problem(client.post(CATEGORIES, {"name": "Mine"}), 403)


def test_finance_sees_and_changes_everybodys(spend: Callable[..., Expense], new: dict[str, Any]) -> None:
    foreign = spend()
    client = client_of(having("finance"))
    assert client.get(EXPENSES).json()["results"][0]["id"] == str(foreign.pk)
    assert [r.status_code for r in writes(client, foreign, new)] == [201, 201, 200, 200, 204]
    assert client.post(CATEGORIES, {"name": "Travel"}).status_code == 201
    assert client.get(f"{TOTALS}verify/").status_code == 200
    assert_problem(client.post(f"{TOTALS}rebuild/"), 403)


def test_an_auditor_sees_everything_and_changes_nothing_not_even_the_own(
    spend: Callable[..., Expense], new: dict[str, Any]
) -> None:
    user = having("auditor")
    foreign, own = spend(), spend(owner=user)
    client = client_of(user)
    before = list(Expense.objects.order_by("pk").values())
    assert {row["id"] for row in client.get(EXPENSES).json()["results"]} == {str(foreign.pk), str(own.pk)}
    assert [client.get(path).status_code for path in (TOTALS, CATEGORIES, f"{TOTALS}verify/")] == [200, 200, 200]
    for response in [*writes(client, own, new), *writes(client, foreign, new)]:
        assert_problem(response, 403)
    assert list(Expense.objects.order_by("pk").values()) == before


def test_an_auditor_changes_nothing_whatever_else_is_permitted(travel: Category, new: dict[str, Any]) -> None:
    everything = [permission.codename for permission in Permission.objects.all()]
    user = permitted(having("auditor"), *everything)
    client = client_of(user)
    file = client.post(f"{EXPENSES}import/?currency=EUR", b"id\n1\n", content_type="text/csv")
    answers = [file, client.post(CATEGORIES, {"name": "x"}), client.delete(f"{CATEGORIES}{travel.pk}/")]
    answers += [client.post(f"{TOTALS}{run}/") for run in ("verify", "rebuild")]
    for response in answers:
        assert_problem(response, 403)


def test_an_auditor_logs_in_and_out(db: None) -> None:
    having("auditor", password="a long password")
    credentials = {"username": "rolf", "password": "a long password"}
    for path in ("logout", "logoutall"):
        token = APIClient().post("/api/v1/auth/login/", credentials).json()["token"]
        client = APIClient(headers={"authorization": f"Token {token}"})
        assert client.post(f"/api/v1/auth/{path}/").status_code == 204
    assert APIClient().post("/api/v1/auth/login/", credentials).status_code == 200


def test_an_auditor_changes_nothing_in_the_admin_either(spend: Callable[..., Expense]) -> None:
    user = having("auditor", is_staff=True)
    own = spend(owner=user)
    client = Client()
    client.force_login(user)
    address = f"/admin/expenses/expense/{own.pk}/"
    assert client.get(f"{address}change/").status_code == 200
    for path in (f"{address}change/", f"{address}delete/", "/admin/expenses/expense/add/"):
        assert client.post(path, {"post": "yes"}).status_code == 403
    assert Expense.objects.filter(pk=own.pk).exists()


def test_an_administrator_rebuilds_and_keeps_accounts(db: None) -> None:
    client = client_of(having("administrator", is_staff=True))
    assert client.post(f"{TOTALS}rebuild/").status_code == 200
    pages = Client()
    pages.force_login(User.objects.get(username="rolf"))
    assert pages.get("/admin/auth/user/add/").status_code == 200


def test_a_superuser_is_no_auditor(new: dict[str, Any]) -> None:
    assert client_of(User.objects.create_superuser("root")).post(EXPENSES, new).status_code == 201


def test_the_command_tells_in_json_how_many_permissions_each_has() -> None:
    printed = io.StringIO()
    call_command("create_roles", "--format", "json", stdout=printed)
    counts = {name: {"permissions": len(wanted)} for name, wanted in ROLES.items()}
    assert json.loads(printed.getvalue()) == {"roles": counts}
