"""The admin, worked as a person does: by what is to be seen, with the mouse and without."""

from __future__ import annotations

import pytest
from django.contrib.auth.models import User
from playwright.sync_api import Locator, Page, expect

from tests.browser.books import corrupt
from tests.browser.visits import Visits, log_in
from tests.exactness import assert_totals_match
from tests.integration.api.conftest import PASSWORD
from tests.processes import called

EXPENSES = "/admin/expenses/expense/"
TABS = 20
READABLE = 100  # pixels: a narrower column has its letters one below the other


def choose(page: Page, label: str, word: str) -> None:
    """Choose in an autocomplete field, as one does: open it, type, take what is found."""
    page.get_by_role("combobox", name=label).click()
    page.get_by_role("searchbox").fill(word)
    page.get_by_role("option", name=word, exact=True).click()


def tab_to(page: Page, wanted: Locator) -> None:
    """Press Tab until what is wanted has the focus."""
    for _ in range(TABS):
        if wanted.evaluate("element => element === document.activeElement"):
            return
        page.keyboard.press("Tab")
    raise AssertionError(f"{wanted} is not reached with {TABS} tabs")


def add_expense(page: Page, *, day: str, text: str, amount: str = "12.50") -> None:
    page.goto(f"{EXPENSES}add/")
    choose(page, "Category", "Taxi")
    page.get_by_label("Amount").fill(amount)
    page.get_by_label("Currency").fill("EUR")
    page.get_by_label("Spent on").fill(day)
    page.get_by_label("Status").select_option("submitted")
    page.get_by_label("Description").fill(text)
    page.get_by_role("button", name="Save", exact=True).click()


@pytest.mark.usefixtures("books")
def test_an_owner_logs_in_adds_an_expense_and_finds_it_and_its_history(page: Page) -> None:
    log_in(page, "ada")
    add_expense(page, day="2026-05-04", text="Airport to hotel")
    expect(page.get_by_text("was added successfully")).to_be_visible()
    row = page.get_by_role("row").filter(has_text="Airport to hotel")
    expect(row).to_have_count(1)
    expect(row).to_contain_text("12.50")
    assert_totals_match()
    row.get_by_role("link").first.click()
    page.get_by_role("link", name="History").click()
    expect(page.get_by_role("row").filter(has_text="created: after")).to_contain_text("Airport to hotel")


@pytest.mark.usefixtures("books")
def test_a_month_that_is_closed_takes_no_expense(page: Page, visits: Visits, admin: User) -> None:
    closing = visits.page(admin)
    closing.goto("/admin/expenses/month/add/")
    closing.get_by_label("Month").fill("2026-05")
    closing.get_by_role("button", name="Save", exact=True).click()
    expect(closing.get_by_role("row").filter(has_text="2026-05")).to_contain_text("closed")
    log_in(page, "ada")
    add_expense(page, day="2026-05-04", text="Too late")
    expect(page.get_by_text("Nothing was written.")).to_be_visible()
    expect(page.get_by_text("2026-05")).to_be_visible()
    page.goto(f"{EXPENSES}?q=Too+late")
    expect(page.get_by_role("row").filter(has_text="Too late")).to_have_count(0)


@pytest.mark.usefixtures("books")
def test_a_total_that_is_changed_by_sql_is_in_the_report_of_the_next_verify(admin_page: Page) -> None:
    difference = corrupt()
    assert called("verify_totals")[1] == 1
    admin_page.goto("/admin/aggregates/run/")
    verify = admin_page.get_by_role("row").filter(has_text="Verify").filter(has_text="expenses.ExpenseTotals").first
    verify.get_by_role("link").first.click()
    found = admin_page.locator(".readonly table")
    expect(found.get_by_role("row")).to_have_count(2)
    expect(found.get_by_role("cell").last).to_have_text(f"amount: {-difference}, count: 0")
    widths = admin_page.locator(".readonly").evaluate_all("all => all.map(each => each.getBoundingClientRect().width)")
    assert min(widths) > READABLE
    assert admin_page.evaluate("document.documentElement.scrollWidth <= window.innerWidth"), "the page is cut off"


def test_somebody_logs_in_with_the_keyboard_alone(page: Page, admin: User) -> None:
    page.goto("/admin/")
    tab_to(page, page.get_by_label("Username"))
    page.keyboard.type(admin.username)
    tab_to(page, page.get_by_label("Password"))
    page.keyboard.type(PASSWORD)
    tab_to(page, page.get_by_role("button", name="Log in"))
    page.keyboard.press("Enter")
    expect(page.get_by_role("link", name="Expenses").first).to_be_visible()


@pytest.mark.usefixtures("books")
def test_the_documentation_of_the_api_shows_an_operation(page: Page) -> None:
    page.goto("/api/docs/")
    expect(page.get_by_role("heading", name="Expense totals")).to_be_visible()
    operation = page.locator(".opblock").filter(has_text="/api/v1/totals/").first
    operation.locator(".opblock-summary").click()
    expect(operation.get_by_role("button", name="Try it out")).to_be_visible()
