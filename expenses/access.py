"""Who may see and change which expenses."""

from __future__ import annotations

from typing import Any

from django.core.exceptions import PermissionDenied
from django.db.models import QuerySet

from expenses.models import Expense

SEE_ALL = "expenses.view_all_expenses"
ONLY_READ = "expenses.only_read"


def sees_all(user: Any) -> bool:
    """Return whether the user sees everybody's expenses and totals."""
    return bool(user.has_perm(SEE_ALL))


def only_reads(user: Any) -> bool:
    """Return whether the user changes nothing, whatever else is permitted. Superusers, who have all permissions, do."""
    return bool(not user.is_superuser and user.has_perm(ONLY_READ))


class OnlyReads:
    """An authentication backend that permits nothing: to those who change nothing it denies what others permit."""

    def authenticate(self, request: Any, **credentials: Any) -> None:
        """Know nobody."""

    def has_perm(self, user: Any, permission: str, obj: Any = None) -> bool:
        """Return False; raise PermissionDenied, which ends the search, for a permission to do more than to read."""
        action = permission.partition(".")[2]
        if not action.startswith("view_") and permission != ONLY_READ and only_reads(user):
            raise PermissionDenied
        return False


def visible(user: Any) -> QuerySet[Expense]:
    """Return the expenses that the user may see; to him the others do not exist."""
    expenses: QuerySet[Expense] = Expense.objects.all()
    return expenses if sees_all(user) else expenses.filter(owner=user)


def may(user: Any, action: str, expense: Expense) -> bool:
    """Return whether the user may ``change`` or ``delete`` an expense that he sees."""
    return expense.owner_id == user.pk or bool(user.has_perm(f"expenses.{action}_expense"))
