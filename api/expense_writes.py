"""Writes of expenses: each locks its row first, in the transaction that ``run`` opens and retries after conflicts."""

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
Check = Callable[[Expense | None], None]
"""Raises where the locked row, or that there is none, is not what the client expects."""


def run(operation: Callable[[], T]) -> T:
    """Run one of the operations below, and what belongs to it, in a transaction; return what it returns.

    Once more where another request has inserted the same id meanwhile: it finds it now.
    """
    try:
        return transactions.run(operation, using=router.db_for_write(Expense))
    except IntegrityError:
        return transactions.run(operation, using=router.db_for_write(Expense))


def create(user: Any, data: Any, make: MakeSerializer) -> tuple[Expense, bool]:
    """Store a new expense of the user; return it, and whether it is new.

    With an id of the client's own a repeat is recognised: the same content gives the stored row,
    anything else raises the 409.
    """
    serializer = make(data=data)
    serializer.is_valid(raise_exception=True)
    existing = _locked(serializer.validated_data.get("id"))
    if existing is None:
        return _stored(Expense(owner=user), serializer.validated_data), True
    wanted = Expense(**serializer.validated_data)
    if existing.owner_id != user.pk or any(getattr(existing, n) != getattr(wanted, n) for n in CONTENT):
        raise _taken(existing.pk)
    return existing, False


def put(key: uuid.UUID, user: Any, data: Any, make: MakeSerializer, check: Check) -> tuple[Expense, bool]:
    """Create the expense with that id, or replace it; return it, and whether it is new.

    Raises the 409 where the id is that of an expense the user does not see.
    """
    existing = _locked(key)
    if existing is not None:
        if not visible(user).filter(pk=key).exists():
            raise _taken(key)
        _require(user, "change", existing)
    check(existing)
    serializer = make(existing, data=data)
    serializer.is_valid(raise_exception=True)
    return _stored(existing or Expense(id=key, owner=user), serializer.validated_data), existing is None


def change(key: uuid.UUID, user: Any, data: Any, make: MakeSerializer, check: Check) -> Expense:
    """Change the given members of an expense; return it. Raises Http404, PermissionDenied."""
    expense = _visible_and_locked(key, user)
    _require(user, "change", expense)
    check(expense)
    serializer = make(expense, data=data, partial=True)
    serializer.is_valid(raise_exception=True)
    return _stored(expense, serializer.validated_data)


def delete(key: uuid.UUID, user: Any, check: Check) -> None:
    """Delete an expense. Raises Http404, PermissionDenied."""
    expense = _visible_and_locked(key, user)
    _require(user, "delete", expense)
    check(expense)
    expense.delete()


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
