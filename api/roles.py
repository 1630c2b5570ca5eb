"""Which permissions a role has. Roles are Django's groups; ``manage.py create_roles`` makes them."""

from __future__ import annotations

from collections.abc import Mapping

from django.contrib.auth.models import Group, Permission
from django.db import transaction
from django.db.models import Q

from api.access import ONLY_READ, SEE_ALL

OWN = (
    "expenses.view_expense",
    "expenses.view_category",
    "expenses.view_expensetotals",
    "expenses.view_expensewrite",
    "expenses.view_expenseimage",
)
CHANGE_EXPENSES = ("expenses.add_expense", "expenses.change_expense", "expenses.delete_expense")
CHANGE_CATEGORIES = ("expenses.add_category", "expenses.change_category", "expenses.delete_category")
READ_RUNS = ("aggregates.view_run", "aggregates.view_rollupstate")
READ_TRAIL = ("expenses.view_month", "auditlog.view_logentry")
ACCOUNTS = tuple(
    f"auth.{action}_{model}" for model in ("user", "group") for action in ("add", "change", "delete", "view")
)
FINANCE = (
    *OWN, *CHANGE_EXPENSES, SEE_ALL, *CHANGE_CATEGORIES, *READ_RUNS, *READ_TRAIL, "expenses.close_month",
)  # fmt: skip
ROLES: Mapping[str, tuple[str, ...]] = {
    "owner": (*OWN, *CHANGE_EXPENSES),
    "finance": FINANCE,
    "auditor": (*OWN, SEE_ALL, *READ_RUNS, *READ_TRAIL, ONLY_READ),
    "administrator": (*FINANCE, "aggregates.change_run", *ACCOUNTS),
}


class PermissionMissing(Exception):
    """A role needs a permission that the database does not have: run ``manage.py migrate`` first."""


def create(using: str) -> dict[str, int]:
    """Make the groups of all roles, each with its permissions and no others; return how many each has.

    Nothing changes where they are there already; members stay. Raises PermissionMissing.
    """
    with transaction.atomic(using=using):
        counts = {}
        for name, wanted in ROLES.items():
            permissions = _found(wanted, using)
            Group.objects.using(using).get_or_create(name=name)[0].permissions.set(permissions)
            counts[name] = len(permissions)
        return counts


def _found(wanted: tuple[str, ...], using: str) -> list[Permission]:
    asked = Q()
    for full_name in wanted:
        app, codename = full_name.split(".")
        asked |= Q(content_type__app_label=app, codename=codename)
    found = list(Permission.objects.using(using).filter(asked).select_related("content_type"))
    there = {f"{permission.content_type.app_label}.{permission.codename}" for permission in found}
    if missing := sorted(set(wanted) - there):
        raise PermissionMissing(f"There is no permission {', '.join(missing)}: run manage.py migrate first.")
    return found
