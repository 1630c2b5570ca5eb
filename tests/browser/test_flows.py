"""What people come for, from beginning to end: each number leads to the expenses that make it up."""

from __future__ import annotations

import datetime as dt
import re
from decimal import Decimal
from urllib.parse import parse_qsl, urlsplit

import pytest
from django.contrib.auth.models import User
from django.utils import timezone
from playwright.sync_api import Locator, Page, expect

from expenses.models import Category, Expense
from tests.browser.accessible import assert_accessible
from tests.browser.books import corrupt
from tests.browser.test_accessibility import assert_for_everybody, assert_shown_for_everybody
from tests.browser.visits import Visits
from tests.exactness import assert_totals_match
from tests.integration.api.conftest import PASSWORD
from tests.processes import called

EXPENSES = "/admin/expenses/expense/"


@pytest.fixture
def owner(service: str) -> User:
    """Return an owner with expenses of two currencies in this month and the last."""
    owner = User.objects.create_user("eve", password=PASSWORD)
    taxi, meals = (Category.objects.create(name=name) for name in ("Taxi", "Meals"))
    today = timezone.localdate()
    for number in range(8):
        Expense.objects.create(
            owner=owner,
            category=(taxi, meals, None)[number % 3],
            amount=Decimal(10 + number),
            currency=("EUR", "JPY")[number % 2],
            spent_on=today if number % 4 < 2 else today.replace(day=1) - dt.timedelta(days=1),
        )
    called("rebuild_totals")
    called("verify_totals")
    return owner


def value(number: Locator) -> Decimal:
    """Return the number that a figure of the dashboard shows."""
    expect(number).to_have_attribute("data-value", re.compile(r"."))
    return Decimal(number.get_attribute("data-value") or "")


def log_in_as_owner(page: Page) -> None:
    page.goto("/")
    page.get_by_label("Username").fill("eve")
    page.get_by_label("Password").fill(PASSWORD)
    page.get_by_role("button", name="Log in").click()
    expect(page.get_by_test_id("this-month-EUR")).to_be_visible()


@pytest.mark.usefixtures("owner")
def test_an_owner_adds_an_expense_sees_the_number_change_and_reconciles_it_with_its_expenses(page: Page) -> None:
    log_in_as_owner(page)
    before = value(page.get_by_test_id("this-month-EUR"))
    page.get_by_role("link", name="Expenses", exact=True).click()
    page.locator("#add-expense").click()
    page.get_by_label("Amount").fill("12.34")
    page.get_by_label("Currency").fill("EUR")
    page.locator("#id_spent_on").fill(timezone.localdate().isoformat())
    page.get_by_label("Category").select_option("Taxi")
    page.get_by_label("Description").fill("To the airport")
    page.locator("#save").click()
    page.goto("/")
    assert value(page.get_by_test_id("this-month-EUR")) == before + Decimal("12.34")
    page.get_by_test_id("this-month-EUR").click()
    expect(page.get_by_role("row").filter(has_text="To the airport")).to_have_count(1)
    amounts = page.locator("#expenses tbody tr td:nth-child(2)").all_inner_texts()
    listed = sum(Decimal(text.removesuffix("EUR").strip().replace(",", "")) for text in amounts)
    assert listed == value(page.get_by_test_id("sum-EUR")) == before + Decimal("12.34")
    assert_totals_match()


def test_the_dashboard_works_without_scripts(visits: Visits, owner: User) -> None:
    page = visits.page(owner, scripts=False)
    page.goto("/")
    before = value(page.get_by_test_id("total-EUR"))
    page.locator("#filter-status").select_option("submitted")
    page.locator("#filters").get_by_role("button").first.click()
    assert dict(parse_qsl(urlsplit(page.url).query))["status"] == "submitted"
    assert value(page.get_by_test_id("total-EUR")) == before


@pytest.mark.usefixtures("books")
def test_many_expenses_get_another_category_at_once_and_the_totals_follow(admin_page: Page) -> None:
    admin_page.goto(f"{EXPENSES}?currency=JPY&status__exact=submitted&spent_on_from=2026-02-01")
    row = admin_page.locator('tr[data-currency="JPY"]')
    before = row.inner_text()
    admin_page.locator("#action-toggle").check()
    admin_page.locator("select[name=action]").select_option("recategorise")
    admin_page.locator("button[name=index]").first.click()
    admin_page.locator("#id_category").select_option("Trains")
    assert_accessible(admin_page)
    admin_page.locator("#recategorise-apply").click()
    expect(admin_page.locator('tr[data-currency="JPY"]')).to_have_text(re.compile(r"."))
    assert row.inner_text() == before
    trains = Category.objects.get(name="Trains")
    changed = Expense.objects.filter(currency="JPY", status="submitted", spent_on__gte=dt.date(2026, 2, 1))
    assert {expense.category for expense in changed} == {trains}
    assert_totals_match()


@pytest.mark.usefixtures("books")
def test_drift_is_seen_rebuilt_and_seen_to_be_gone(admin_page: Page) -> None:
    corrupt()
    run(admin_page, "verify")
    expect(admin_page.locator("#run-state")).to_contain_text("1 bucket drifted")
    expect(admin_page.locator("#run-drifted")).to_contain_text("1")
    admin_page.goto("/admin/")
    expect(admin_page.locator("#drift")).to_be_visible()
    run(admin_page, "rebuild")
    expect(admin_page.locator("#run-state")).to_contain_text("Complete")
    expect(admin_page.locator("#run-corrected")).to_contain_text("1")
    assert_accessible(admin_page)
    run(admin_page, "verify")
    expect(admin_page.locator("#run-state")).to_contain_text("no drift")
    assert_totals_match()


def run(page: Page, kind: str) -> None:
    """Begin a run as a person does, and wait for its end."""
    page.goto("/admin/aggregates/run/")
    page.locator(f"#begin-{kind}").click()
    page.locator("#begin").click()
    expect(page.locator("#run")).to_have_attribute("data-state", "complete")


@pytest.mark.parametrize(
    "address", ["/admin/", f"{EXPENSES}import/", "/admin/aggregates/run/verify/", "/admin/aggregates/run/rebuild/"]
)
@pytest.mark.usefixtures("books")
def test_pages_of_the_admin_beside_the_models_are_for_everybody(address: str, admin_page: Page) -> None:
    assert_for_everybody(admin_page, address)


@pytest.mark.parametrize("address", ["/", "/expenses/", "/expenses/add/", "/?currency=USD", "/?from=nonsense"])
def test_pages_of_owners_are_for_everybody(address: str, visits: Visits, owner: User) -> None:
    with visits.expecting("400") if "nonsense" in address else visits.expecting():
        assert_for_everybody(visits.page(owner), address)


@pytest.mark.usefixtures("service")
def test_the_login_of_owners_and_an_empty_dashboard_are_for_everybody(page: Page, visits: Visits) -> None:
    assert_for_everybody(page, "/login/")
    called("rebuild_totals")
    newcomer = visits.page(User.objects.create_user("new", password=PASSWORD))
    assert_for_everybody(newcomer, "/")
    expect(newcomer.locator("#empty")).to_be_visible()


def test_pages_of_one_expense_are_for_everybody(visits: Visits, owner: User) -> None:
    page, expense = visits.page(owner), Expense.objects.filter(owner=owner).earliest("pk")
    for address in (f"/expenses/{expense.pk}/", f"/expenses/{expense.pk}/delete/"):
        assert_for_everybody(page, address)


@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
@pytest.mark.usefixtures("books")
def test_a_file_that_is_looked_at_before_it_is_imported_is_for_everybody(
    dark: bool,
    visits: Visits,
    admin: User,
) -> None:
    page = visits.page(admin, dark=dark)
    page.goto(f"{EXPENSES}import/")
    text = b"id,owner,category,date,amount\n1,ada,Taxi,2026-05-04,12.50\n2,ada,Taxi,2026-05-05,nothing\n"
    page.locator("#id_file").set_input_files({"name": "may.csv", "mimeType": "text/csv", "buffer": text})
    page.locator("#import-take").click()
    expect(page.locator("#import-options")).to_be_visible()
    assert_shown_for_everybody(page)
    page.get_by_label("Currency of all amounts").fill("EUR")
    page.locator("#import-preview").click()
    expect(page.locator("#import-lines")).to_be_visible()
    expect(page.locator("#import-rejections")).to_be_visible()
    assert_shown_for_everybody(page)
    page.locator("#import-apply").click()
    expect(page.get_by_role("heading", name="What was imported")).to_be_visible()
    assert_shown_for_everybody(page)
    assert_totals_match()


@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
@pytest.mark.usefixtures("books")
def test_a_form_that_is_refused_is_for_everybody(dark: bool, visits: Visits, admin: User) -> None:
    page = visits.page(admin, dark=dark)
    expense = Expense.objects.filter(spent_on__month=2).earliest("pk")
    page.goto(f"{EXPENSES}{expense.pk}/change/")
    page.locator("#id_spent_on").fill("2026-01-15")
    page.locator("#id_description").fill("Moved")
    page.get_by_role("button", name="Save", exact=True).click()
    expect(page.get_by_text("2026-01 is closed")).to_be_visible()
    expect(page.locator("#id_description")).to_have_value("Moved")
    assert_shown_for_everybody(page)
