"""Closed months and the audit trail in the admin, read as a person would."""

from __future__ import annotations

import datetime as dt
import re
from decimal import Decimal
from typing import Any

import pytest
from auditlog.models import LogEntry
from django.contrib.auth.models import Group, Permission, User
from django.core.management import call_command
from django.test import Client
from django.utils import timezone

from expenses import months
from expenses.models import Category, Expense, ExpenseWrite, Month
from tests.exactness import assert_totals_match
from tests.integration.expenses.admin_pages import EXPENSES, expense, rows
from tests.integration.expenses.conftest import HEADER, run

pytestmark = pytest.mark.django_db
MONTHS = "/admin/expenses/month/"
IMAGES = "/admin/expenses/expenseimage/"
WRITES = "/admin/expenses/expensewrite/"
AUDIT = "/admin/auditlog/logentry/"
JANUARY = dt.date(2026, 1, 1)
# What is refused in a field while January is closed, and why.
REFUSED = {
    "spent_on": ("2026-01-15", "2026-01 is closed: .* until it is opened again"),
    "amount": ("922337203685400.00", "would leave the range .* Enter an amount that is closer to zero"),
}


@pytest.fixture
def owner() -> User:
    return User.objects.create_user("olga")


def staff(*codenames: str) -> tuple[Client, User]:
    user = User.objects.create_user(f"staff {len(codenames)}", is_staff=True)
    user.user_permissions.add(*Permission.objects.filter(codename__in=codenames))
    client = Client()
    client.force_login(user)
    return client, user


def written() -> list[Any]:
    return [*Expense.objects.values(), ExpenseWrite.objects.count()]


def said(response: Any) -> str:
    return " ".join(str(message) for message in response.context["messages"])


def test_a_month_is_closed_and_opened_again(admin_client: Client, owner: User) -> None:
    expense(owner)
    answer = admin_client.post(f"{MONTHS}add/", {"month": "2026-02"}, follow=True)
    assert answer.status_code == 200
    assert [row[1:3] for row in rows(admin_client, MONTHS)] == [["2026-02", "closed"], ["2026-01", "open"]]
    assert [str(month) for month in Month.objects.filter(closed_at__isnull=False)] == ["2026-02"]
    answer = admin_client.post(
        MONTHS, {"action": "close", "_selected_action": ["2026-01-01", "2026-02-01"]}, follow=True
    )
    assert "Closed: 2026-01." in said(answer)
    answer = admin_client.post(MONTHS, {"action": "reopen", "_selected_action": ["2026-02-01"]}, follow=True)
    assert "Open again: 2026-02." in said(answer)
    [closed] = Month.objects.filter(closed_at__isnull=False)
    assert (str(closed), closed.closed_by.username) == ("2026-01", "admin")


@pytest.mark.parametrize("month", ["", "2026", "2026-13", "2026-1", "1899-12", "2100-01", "2026-01-01"])
def test_what_is_no_month_is_refused(admin_client: Client, month: str) -> None:
    answer = admin_client.post(f"{MONTHS}add/", {"month": month})
    assert answer.status_code == 200
    assert answer.context["adminform"].errors["month"]
    assert not Month.objects.exists()


def test_to_close_takes_the_permission() -> None:
    Month.objects.create(first_day=JANUARY)
    client, _ = staff("view_month")
    assert client.post(f"{MONTHS}add/", {"month": "2026-01"}).status_code == 403
    client.post(MONTHS, {"action": "close", "_selected_action": ["2026-01-01"]})
    assert not Month.objects.get().is_closed
    client, _ = staff("view_month", "close_month")
    client.post(MONTHS, {"action": "close", "_selected_action": ["2026-01-01"]})
    assert Month.objects.get().is_closed


@pytest.mark.django_db(transaction=True)  # a refusal rolls back, also the transaction of a test
def test_every_page_says_that_a_month_is_closed(admin_client: Client, owner: User) -> None:
    travel = Category.objects.create(name="Travel")
    row = expense(owner, category=travel)
    months.close(JANUARY, None, timezone.now())
    before = written()
    category = f"/admin/expenses/category/{travel.pk}/delete/"
    for url, data in (
        (f"{EXPENSES}{row.pk}/delete/", {"post": "yes"}),
        (EXPENSES, {"action": "delete_selected", "_selected_action": [row.pk], "post": "yes"}),
        (category, {"post": "yes"}),
    ):
        answer = admin_client.post(url, data, follow=True)
        assert answer.status_code == 200
        assert "Nothing was written. 2026-01 is closed" in said(answer), url
        assert written() == before
    assert Category.objects.filter(pk=travel.pk).exists()
    assert_totals_match()


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("page", ["add", "change"])
@pytest.mark.parametrize("field", REFUSED)
def test_a_form_that_is_refused_comes_back_with_what_was_typed_and_why(
    admin_client: Client, owner: User, form: dict[str, Any], page: str, field: str
) -> None:
    typed, reason = REFUSED[field]
    expense(owner, amount=Decimal("900.00"), spent_on=dt.date(2026, 2, 1), category_id=form["category"])
    row = expense(owner, spent_on=dt.date(2026, 2, 1))
    months.close(JANUARY, None, timezone.now())
    before = written()
    given = {**form, "owner": owner.pk, "spent_on": "2026-02-01", "description": "of an hour's work", field: typed}
    url = f"{EXPENSES}add/" if page == "add" else f"{EXPENSES}{row.pk}/change/"
    answer = admin_client.post(url, given)
    assert answer.status_code == 200
    shown = answer.context["adminform"].form
    assert list(shown.errors) == [field]
    assert re.search(f"^Nothing was written. .*{reason}", shown.errors[field][0])
    assert {name: str(shown[name].value()) for name in given} == {name: str(value) for name, value in given.items()}
    assert "of an hour&#x27;s work" in answer.content.decode()
    assert written() == before
    assert admin_client.post(url, {**given, "spent_on": "2026-02-01", "amount": "1.00"}).status_code == 302
    assert_totals_match()


@pytest.mark.django_db(transaction=True)
def test_a_list_that_is_refused_comes_back_with_what_was_typed_and_why(admin_client: Client, owner: User) -> None:
    row = expense(owner)
    months.close(JANUARY, None, timezone.now())
    before = written()
    changed = {
        "form-TOTAL_FORMS": 1, "form-INITIAL_FORMS": 1, "form-0-id": row.pk, "form-0-status": "approved", "_save": "x",
    }  # fmt: skip
    answer = admin_client.post(EXPENSES, changed)
    assert answer.status_code == 200
    formset = answer.context["cl"].formset
    assert "Nothing was written. 2026-01 is closed" in str(formset.non_form_errors())
    assert "Nothing was written. 2026-01 is closed" in answer.content.decode()
    assert formset.forms[0]["status"].value() == "approved"
    assert written() == before


def test_the_history_of_an_expense_shows_every_write(admin_client: Client, owner: User) -> None:
    row, other = expense(owner), expense(owner)
    Expense.objects.filter(pk=row.pk).update(amount=Decimal("7.5"), description="less")
    admin_client.post(f"{EXPENSES}{row.pk}/delete/", {"post": "yes"})
    answer = admin_client.get(f"{EXPENSES}{other.pk}/history/")
    assert answer.status_code == 302
    assert len(rows(admin_client, answer["Location"])) == 1
    found = rows(admin_client, f"{IMAGES}?expense__exact={row.pk}")
    assert [(cells[1], cells[3], cells[6]) for cells in found] == [
        ("admin", "deleted: before", "7.50"),
        ("–", "changed: before", "12.50"),
        ("–", "changed: after", "7.50"),
        ("–", "created: after", "12.50"),
    ]
    assert found[0][2] == f"POST {EXPENSES}{row.pk}/delete/"
    writes = rows(admin_client, WRITES)
    assert [cells[1] for cells in writes] == ["Deleted", "Changed", "Created", "Created"]


def test_categories_are_named_in_the_trail_as_long_as_they_are_there(admin_client: Client, owner: User) -> None:
    category = Category.objects.create(name="Travel")
    key = category.pk
    expense(owner, category=category)
    assert [cells[5] for cells in rows(admin_client, IMAGES)] == ["Travel"]
    category.delete()
    assert {cells[5] for cells in rows(admin_client, IMAGES)} == {f"{key} (deleted)", "–"}


def test_a_login_without_a_page_in_mind_leads_to_the_admin() -> None:
    User.objects.create_superuser("root", password="correct horse")
    answer = Client().post("/admin/login/", {"username": "root", "password": "correct horse"})
    assert (answer.status_code, answer["Location"]) == (302, "/admin/")


def test_the_trail_of_an_owner_who_is_gone_is_kept(admin_client: Client, owner: User) -> None:
    row, key = expense(owner), owner.pk
    row.delete()
    owner.delete()
    assert [cells[4] for cells in rows(admin_client, IMAGES)] == [f"{key} (deleted)"] * 2


def test_the_trail_is_read_only_and_shows_staff_their_own(admin_client: Client, owner: User) -> None:
    expense(owner)
    write = ExpenseWrite.objects.get()
    image = write.images.get()
    for url in (f"{IMAGES}add/", f"{WRITES}add/", f"{AUDIT}add/"):
        assert admin_client.get(url).status_code == 403
    for url in (f"{IMAGES}{image.pk}/delete/", f"{WRITES}{write.pk}/delete/"):
        assert admin_client.post(url, {"post": "yes"}).status_code == 403
    client, user = staff("view_expenseimage", "view_expensewrite")
    assert (rows(client, IMAGES), rows(client, WRITES)) == ([], [])
    expense(user)
    assert (len(rows(client, IMAGES)), len(rows(client, WRITES))) == (1, 1)
    client, _ = staff("view_expenseimage", "view_expensewrite", "view_all_expenses")
    assert (len(rows(client, IMAGES)), len(rows(client, WRITES))) == (2, 2)


def entries(model: Any) -> list[tuple[str, str, dict[str, Any]]]:
    """Return action, actor and changes of what is recorded of a model, the first first."""
    found = LogEntry.objects.filter(content_type__model=model._meta.model_name).order_by("pk")
    return [(e.get_action_display(), str(e.actor or ""), e.changes) for e in found]


def test_categories_are_recorded(admin_client: Client) -> None:
    admin_client.post("/admin/expenses/category/add/", {"name": "Travel"})
    category = Category.objects.get()
    admin_client.post(f"/admin/expenses/category/{category.pk}/change/", {"name": "Journeys"})
    admin_client.post(f"/admin/expenses/category/{category.pk}/delete/", {"post": "yes"})
    assert [(action, actor, changes["name"]) for action, actor, changes in entries(Category)] == [
        ("create", "admin", ["None", "Travel"]),
        ("update", "admin", ["Travel", "Journeys"]),
        ("delete", "admin", ["Journeys", "None"]),
    ]
    page = admin_client.get(AUDIT)
    assert page.status_code == 200
    assert "Journeys" in page.content.decode()
    assert admin_client.get(f"{AUDIT}{LogEntry.objects.first().pk}/change/").status_code == 200


def test_categories_that_an_import_creates_are_recorded(tmp_path: Any) -> None:
    path = tmp_path / "rows.csv"
    path.write_text(f"{HEADER}\n1,anna,Food,2026-01-15,1.00\n2,anna,Travel,2026-02-15,2.00\n3,bob,Food,2026-01-16,4\n")
    assert run(path).code == 0
    assert run(path).code == 0
    assert [(action, changes["name"]) for action, _, changes in entries(Category)] == [
        ("create", ["None", "Food"]),
        ("create", ["None", "Travel"]),
    ]


def test_months_and_permissions_are_recorded_and_passwords_are_not(admin_client: Client, owner: User) -> None:
    admin_client.post(f"{MONTHS}add/", {"month": "2026-02"})
    [(action, actor, changes)] = entries(Month)
    assert (action, actor, set(changes)) == ("update", "admin", {"closed_at", "closed_by"})
    group = Group.objects.create(name="finance")
    group.permissions.add(Permission.objects.get(codename="view_all_expenses"))
    owner.groups.add(group)
    owner.user_permissions.add(Permission.objects.get(codename="close_month"))
    owner.is_superuser = True
    owner.set_password("a secret of hers")
    owner.save()
    [*_, groups, permissions, saved] = entries(User)
    assert groups[2]["groups"] == {"type": "m2m", "operation": "add", "objects": ["finance"]}
    assert "close months" in permissions[2]["user_permissions"]["objects"][0]
    assert saved[2]["is_superuser"] == ["False", "True"]
    assert entries(Group)[-1][2]["permissions"]["operation"] == "add"
    assert owner.password not in str([entry.changes for entry in LogEntry.objects.all()])
    Client().force_login(owner)
    assert entries(User)[-1] == saved  # a login changes nothing


def test_rebuilds_are_recorded_and_verifies_are_not() -> None:
    call_command("verify_totals")
    call_command("rebuild_totals", "--from-scratch")
    entries_ = LogEntry.objects.filter(content_type__model="run")
    [entry] = [entry for entry in entries_ if entry.changes["totals"][1] == "expenses.ExpenseTotals"]
    assert entry.changes["kind"] == ["None", "rebuild"]
    assert "from_scratch" in entry.changes["options"][1]
    assert entry.additional_data["via"]
