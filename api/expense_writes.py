"""Writes of expenses: each locks its row first and is one transaction, retried after conflicts."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Mapping
from typing import Any, TypeVar

from django.db import IntegrityError, router
from django.http import Http404
from rest_framework.exceptions import PermissionDenied
from rest_framework.serializers import BaseSerializer

from aggregates import transactions
from api.access import may, visible
from api.problems import Problem
from expenses.models import Expense

T = TypeVar("T")
CONTENT = ("category_id", "amount", "currency", "spent_on", "status", "description")
MakeSerializer = Callable[..., BaseSerializer[Expense]]


def create(serializer: BaseSerializer[Expense], user: Any) -> tuple[Expense, bool]:
    """Store a new expense of the user; return it, and whether it is new.

    With an id of the client's own a repeat is recognised: the same content gives the stored row,
    anything else raises the 409.
    """

    def operation() -> tuple[Expense, bool]:
        existing = _locked(serializer.validated_data.get("id"))
        if existing is None:
            return _stored(Expense(owner=user), serializer.validated_data), True
        wanted = Expense(**serializer.validated_data)
        if existing.owner_id != user.pk or any(getattr(existing, n) != getattr(wanted, n) for n in CONTENT):
            raise _taken(existing.pk)
        return existing, False

    return _once_more(operation)


def put(key: uuid.UUID, user: Any, data: Any, make: MakeSerializer) -> tuple[Expense, bool]:
    """Create the expense with that id, or replace it; return it, and whether it is new.

    Raises the 409 where the id is that of an expense the user does not see.
    """

    def operation() -> tuple[Expense, bool]:
        existing = _locked(key)
        if existing is not None:
            if not visible(user).filter(pk=key).exists():
                raise _taken(key)
            _require(user, "change", existing)
        serializer = make(existing, data=data)
        serializer.is_valid(raise_exception=True)
        return _stored(existing or Expense(id=key, owner=user), serializer.validated_data), existing is None

    return _once_more(operation)


def change(key: uuid.UUID, user: Any, data: Any, make: MakeSerializer) -> Expense:
    """Change the given members of an expense; return it. Raises Http404, PermissionDenied."""

    def operation() -> Expense:
        expense = _visible_and_locked(key, user)
        _require(user, "change", expense)
        serializer = make(expense, data=data, partial=True)
        serializer.is_valid(raise_exception=True)
        return _stored(expense, serializer.validated_data)

    return _run(operation)


def delete(key: uuid.UUID, user: Any) -> None:
    """Delete an expense. Raises Http404, PermissionDenied."""

    def operation() -> None:
        expense = _visible_and_locked(key, user)
        _require(user, "delete", expense)
        expense.delete()

    _run(operation)


def _run(operation: Callable[[], T]) -> T:
    return transactions.run(operation, using=router.db_for_write(Expense))


def _once_more(operation: Callable[[], T]) -> T:
    """Run the operation again where another request has inserted the same id meanwhile: it finds it now."""
    try:
        return _run(operation)
    except IntegrityError:
        return _run(operation)


def _stored(expense: Expense, values: Mapping[str, Any]) -> Expense:
    for name, value in values.items():
        setattr(expense, name, value)
    expense.save()
    return expense


def _locked(key: uuid.UUID | None) -> Expense | None:
    if key is None:
        return None
    expense: Expense | None = Expense.objects.select_for_update().filter(pk=key).first()
    return expense


def _visible_and_locked(key: uuid.UUID, user: Any) -> Expense:
    expense = visible(user).select_for_update().filter(pk=key).first()
    if expense is None:
        raise Http404
    return expense


def _require(user: Any, action: str, expense: Expense) -> None:
    if not may(user, action, expense):
        raise PermissionDenied(f"You may see this expense, but not {action} it.")


def _taken(key: uuid.UUID) -> Problem:
    return Problem(409, f"The id {key} is taken by an expense with other content.")
