"""Pages on which people write expenses: add, change, delete. A row that is there is locked first."""

from __future__ import annotations

import datetime as dt
import uuid
from collections.abc import Callable
from typing import Any

from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.core.exceptions import PermissionDenied
from django.db import IntegrityError, router
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils import timezone
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_http_methods
from uuid_utils.compat import uuid7

from aggregates import transactions
from aggregates.exceptions import TotalOutOfRange
from expenses.access import may, only_reads, visible
from expenses.dashboard.filters import COMMON_CURRENCIES
from expenses.dashboard.forms import ExpenseForm
from expenses.models import Expense
from expenses.months import MonthClosed

GET_OR_POST = require_http_methods(["GET", "HEAD", "POST"])


@GET_OR_POST
@never_cache
@login_required
def add(request: HttpRequest) -> HttpResponse:
    """Add an expense of the user's own. The form brings its id along, so that sending it twice adds one."""
    owner = _writer(request)
    if request.method != "POST":
        return _form(request, ExpenseForm(initial=_suggested(owner, timezone.localdate())), uuid7())
    key = _key(request.POST.get("key", ""))
    own = Expense.objects.filter(pk=key, owner=owner.pk)
    if not own.exists():
        form, stored = _stored(lambda: ExpenseForm(request.POST, instance=Expense(id=key, owner=owner)))
        if not (stored or own.exists()):
            return _form(request, form, key)
    messages.success(request, f"Added: {own.get()}.")
    return redirect("dashboard:add" if "another" in request.POST else "dashboard:expenses")


@GET_OR_POST
@never_cache
@login_required
def change(request: HttpRequest, key: uuid.UUID) -> HttpResponse:
    """Change an expense."""
    user = _writer(request)
    if request.method != "POST":
        return _form(request, ExpenseForm(instance=_found(user, "change", key)))
    form, stored = _stored(lambda: ExpenseForm(request.POST, instance=_found(user, "change", key, lock=True)))
    if not stored:
        return _form(request, form)
    messages.success(request, f"Changed: {form.instance}.")
    return redirect("dashboard:expenses")


@GET_OR_POST
@never_cache
@login_required
def delete(request: HttpRequest, key: uuid.UUID) -> HttpResponse:
    """Ask whether to delete an expense; delete it."""
    user = _writer(request)
    expense = _found(user, "delete", key)
    problem = ""
    if request.method == "POST":
        try:
            _run(lambda: _found(user, "delete", key, lock=True).delete())
        except MonthClosed as error:
            problem = f"Nothing was deleted. {error}"
        else:
            messages.success(request, f"Deleted: {expense}.")
            return redirect("dashboard:expenses")
    return render(request, "dashboard/delete.html", {"expense": expense, "problem": problem})


def _stored(make: Callable[[], ExpenseForm]) -> tuple[ExpenseForm, bool]:
    """Save the form that ``make`` returns; return it, with what was wrong, and whether it was saved."""
    made: list[ExpenseForm] = []

    def operation() -> bool:
        made.append(make())
        if made[-1].is_valid():
            made[-1].save()
        return made[-1].is_valid()

    saved = False
    try:
        saved = _run(operation)
    except MonthClosed as error:
        made[-1].add_error("spent_on", f"Nothing was written. {error}")
    except TotalOutOfRange as error:
        made[-1].add_error("amount", f"Nothing was written. {error}")
    except IntegrityError:
        made[-1].add_error(None, "Something this refers to was changed or deleted meanwhile. Nothing was written.")
    return made[-1], saved


def _run(operation: Callable[[], Any]) -> Any:
    return transactions.run(operation, using=router.db_for_write(Expense))


def _found(user: Any, action: str, key: uuid.UUID, *, lock: bool = False) -> Expense:
    """Return an expense that the user may change or delete. Raises Http404, PermissionDenied."""
    found = visible(user)
    expense = (found.select_for_update() if lock else found.select_related("category")).filter(pk=key).first()
    if expense is None:
        raise Http404
    if not may(user, action, expense):
        raise PermissionDenied(f"You may see this expense, but not {action} it.")
    return expense


def _writer(request: HttpRequest) -> Any:
    """Return the user. Raises PermissionDenied for one who changes nothing."""
    if only_reads(request.user):
        raise PermissionDenied("Auditors change nothing.")
    return request.user


def _key(text: str) -> uuid.UUID:
    """Return the id that a form brings along; a new one where it brings none."""
    try:
        return uuid.UUID(text)
    except ValueError:
        return uuid7()


def _suggested(user: Any, today: dt.date) -> dict[str, Any]:
    """Return what a new expense probably has: today's date, and the currency of the latest one."""
    latest = Expense.objects.filter(owner=user).values_list("currency", flat=True).first()
    return {"spent_on": today, "currency": latest or COMMON_CURRENCIES[0]}


def _form(request: HttpRequest, form: ExpenseForm, key: uuid.UUID | None = None) -> HttpResponse:
    context = {"form": form, "key": key, "expense": form.instance, "currencies": COMMON_CURRENCIES}
    return render(request, "dashboard/form.html", context)
