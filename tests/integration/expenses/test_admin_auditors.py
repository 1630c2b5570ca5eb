"""Who changes nothing changes nothing in the admin either, whatever other groups permit."""

from __future__ import annotations

from typing import Any

import pytest
from django.contrib.auth.models import Permission, User
from django.core.files.uploadedfile import SimpleUploadedFile
from django.test import Client

from aggregates.models import Run
from expenses.models import Category, Expense, Month, Status
from expenses.uploads import ExpenseUpload
from tests.integration.expenses.admin_pages import EXPENSES, expense

pytestmark = pytest.mark.django_db
ADMIN = "/admin/"


@pytest.fixture
def auditor() -> User:
    """Return a user with every permission there is, that to change nothing among them."""
    user = User.objects.create_user("audra", is_staff=True)
    user.user_permissions.set(Permission.objects.all())
    return User.objects.get(pk=user.pk)


@pytest.fixture
def client(auditor: User) -> Client:
    client = Client()
    client.force_login(auditor)
    return client


def test_who_changes_nothing_has_no_permission_but_to_see(auditor: User) -> None:
    every = [
        f"{one.content_type.app_label}.{one.codename}" for one in Permission.objects.select_related("content_type")
    ]
    allowed = {name.split(".")[1] for name in every if auditor.has_perm(name)}
    assert {"view_expense", "view_all_expenses", "only_read", "view_run"} <= allowed
    assert {name for name in allowed if not name.startswith("view_")} == {"only_read"}


def test_a_superuser_has_them_all() -> None:
    root = User.objects.create_superuser("root")
    assert root.has_perms(["expenses.add_expense", "expenses.only_read", "expenses.close_month"])


def test_every_page_that_writes_is_refused(client: Client, auditor: User, owner: Any, form: dict[str, Any]) -> None:
    own, foreign = expense(auditor), expense(owner)
    taxi = Category.objects.get()
    file = SimpleUploadedFile("march.csv", b"id,owner,category,date,amount\n1,ada,Taxi,2026-01-31,1\n")
    writes: list[tuple[str, dict[str, Any]]] = [
        (f"{EXPENSES}add/", form),
        *((f"{EXPENSES}{one.pk}/change/", form) for one in (own, foreign)),
        *((f"{EXPENSES}{one.pk}/delete/", {"post": "yes"}) for one in (own, foreign)),
        (f"{EXPENSES}import/", {"do": "upload", "file": file}),
        (f"{ADMIN}expenses/category/add/", {"name": "Books"}),
        (f"{ADMIN}expenses/category/{taxi.pk}/change/", {"name": "Books"}),
        (f"{ADMIN}expenses/category/{taxi.pk}/delete/", {"post": "yes"}),
        (f"{ADMIN}expenses/month/add/", {"first_day": "2026-01-01", "closed": "on"}),
        (f"{ADMIN}aggregates/run/verify/", {}),
        (f"{ADMIN}aggregates/run/rebuild/", {}),
        (f"{ADMIN}auth/user/add/", {"username": "mallory", "password1": "horse battery", "password2": "horse battery"}),
        (f"{ADMIN}auth/user/{auditor.pk}/change/", {"username": "audra", "is_superuser": "on", "is_staff": "on"}),
        (f"{ADMIN}auth/user/{auditor.pk}/password/", {"password1": "horse battery", "password2": "horse battery"}),
        (f"{ADMIN}auth/group/add/", {"name": "all"}),
        (f"{ADMIN}knox/authtoken/add/", {"user": auditor.pk}),
    ]
    before = list(Expense.objects.order_by("pk").values())
    assert {path: client.post(path, data).status_code for path, data in writes} == {path: 403 for path, _ in writes}
    for action in ("delete_selected", "approve", "reject", "recategorise"):
        chosen = {"action": action, "_selected_action": [own.pk, foreign.pk], "post": "yes", "category": taxi.pk}
        client.post(EXPENSES, chosen)
    row = {"form-TOTAL_FORMS": 1, "form-INITIAL_FORMS": 1, "form-0-id": own.pk, "form-0-status": Status.APPROVED}
    client.post(EXPENSES, {**row, "_save": "Save"})
    assert list(Expense.objects.order_by("pk").values()) == before
    assert [category.name for category in Category.objects.all()] == ["Taxi"]
    assert not Month.objects.filter(closed_at__isnull=False).exists()
    assert [model.objects.count() for model in (Run, ExpenseUpload)] == [0, 0]
    assert not User.objects.filter(is_superuser=True).exists()
