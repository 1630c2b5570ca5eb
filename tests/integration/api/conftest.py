"""Users, their clients, and expenses to ask about."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable
from decimal import Decimal
from typing import Any

import pytest
from django.contrib.auth.models import Permission, User
from knox.models import AuthToken
from rest_framework.test import APIClient

from expenses.models import Category, Expense

EXPENSES = "/api/v1/expenses/"
CATEGORIES = "/api/v1/categories/"
TOTALS = "/api/v1/totals/"
PASSWORD = "correct horse battery"


def permitted(user: User, *codenames: str) -> User:
    user.user_permissions.add(*Permission.objects.filter(codename__in=codenames))
    return User.objects.get(pk=user.pk)  # permissions are kept on the instance


def client_of(user: User | None) -> APIClient:
    client = APIClient()
    if user is not None:
        _instance, token = AuthToken.objects.create(user=user)
        client.credentials(HTTP_AUTHORIZATION=f"Token {token}")
    return client


def assert_problem(response: Any, status: int, slug: str | None = None) -> dict[str, Any]:
    """Check that a response is a well-formed problem, and return its body."""
    assert response.status_code == status, response.content[:500]
    assert response["Content-Type"] == "application/problem+json"
    body = response.json()
    assert set(body) >= {"type", "title", "status", "detail"}
    assert body["status"] == status
    if slug:
        assert body["type"] == f"/problems/{slug}"
    return body


def pointers(response: Any) -> set[str]:
    return {error["pointer"] for error in assert_problem(response, 400)["errors"]}


@pytest.fixture
def owner(db: None) -> User:
    return User.objects.create_user("olga", password=PASSWORD)


@pytest.fixture
def stranger(db: None) -> User:
    return User.objects.create_user("stefan", password=PASSWORD)


@pytest.fixture
def auditor(db: None) -> User:
    return permitted(User.objects.create_user("audra"), "view_all_expenses")


@pytest.fixture
def finance(db: None) -> User:
    return permitted(User.objects.create_user("fin"), "view_all_expenses", "change_expense", "delete_expense")


@pytest.fixture
def api(owner: User) -> APIClient:
    """Return the owner's client."""
    return client_of(owner)


@pytest.fixture
def travel(db: None) -> Category:
    return Category.objects.create(name="Travel")


@pytest.fixture
def food(db: None) -> Category:
    return Category.objects.create(name="Food")


@pytest.fixture
def spend(owner: User) -> Callable[..., Expense]:
    """Return a function that stores an expense, of the owner unless told otherwise."""

    def store(amount: str = "10.00", **values: Any) -> Expense:
        defaults = {"owner": owner, "currency": "EUR", "spent_on": dt.date(2026, 1, 15)}
        return Expense.objects.create(**{**defaults, "amount": Decimal(amount), **values})

    return store


@pytest.fixture
def new() -> dict[str, Any]:
    """Return the least that an expense needs."""
    return {"amount": "12.50", "currency": "EUR", "spent_on": "2026-01-31"}
