"""Every page can be perceived and worked by everybody, as far as axe can tell: in both colour schemes, on a phone."""

from __future__ import annotations

from typing import Any

import pytest
from django.contrib import admin
from django.contrib.auth.models import User
from django.test import RequestFactory
from django.urls import reverse
from playwright.sync_api import Page, expect

from tests.browser.accessible import assert_accessible
from tests.browser.visits import HEIGHT, NARROW, WIDE, Visits

MODELS = sorted(admin.site._registry, key=lambda model: model._meta.label)


def addresses(model: Any, user: User) -> list[str]:
    """Return the pages that the admin has of a model: the list, and the forms."""
    site = admin.site._registry[model]
    request = RequestFactory().get("/")
    request.user = user
    row = model._default_manager.first()
    assert row is not None, f"no {model._meta.verbose_name} in the books"
    name = f"admin:{model._meta.app_label}_{model._meta.model_name}"
    pages = [reverse(f"{name}_changelist"), reverse(f"{name}_change", args=[row.pk])]
    if site.has_add_permission(request):
        pages.append(reverse(f"{name}_add"))
    if site.has_delete_permission(request, row):
        pages.append(reverse(f"{name}_delete", args=[row.pk]))
    return pages


def assert_shown_for_everybody(page: Page) -> None:
    """Check a page as it is, in its colours: the answer to a form is not simply had again."""
    assert_accessible(page)
    page.set_viewport_size({"width": NARROW, "height": HEIGHT})
    assert page.evaluate("document.documentElement.scrollWidth") <= NARROW, f"{page.url} is wider than a phone"
    page.set_viewport_size({"width": WIDE, "height": HEIGHT})


def assert_for_everybody(page: Page, address: str) -> None:
    page.emulate_media(color_scheme="light")
    page.goto(address)
    assert_shown_for_everybody(page)
    page.emulate_media(color_scheme="dark")
    page.reload()
    assert_accessible(page, "color-contrast", "link-in-text-block")


@pytest.mark.parametrize("model", MODELS, ids=lambda model: model._meta.label)
@pytest.mark.usefixtures("books")
def test_the_pages_of_a_model(model: Any, admin: User, admin_page: Page) -> None:
    for address in addresses(model, admin):
        assert_for_everybody(admin_page, address)


@pytest.mark.parametrize("address", ["/admin/", "/admin/expenses/", "/admin/password_change/"])
@pytest.mark.usefixtures("books")
def test_other_pages(address: str, admin_page: Page) -> None:
    assert_for_everybody(admin_page, address)


@pytest.mark.parametrize("address", ["/admin/login/", "/api/docs/"])
def test_pages_of_whoever_has_not_logged_in(address: str, page: Page) -> None:
    assert_for_everybody(page, address)


@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
@pytest.mark.parametrize("begun", ["/admin/password_change/", "/expenses/"])
@pytest.mark.usefixtures("books")
def test_the_page_of_whoever_has_logged_out(begun: str, dark: bool, visits: Visits, admin: User) -> None:
    page = visits.page(admin, dark=dark)
    page.goto(begun)
    page.locator('form[action$="/logout/"]').first.evaluate("form => form.submit()")
    expect(page.get_by_text("Log in again")).to_be_visible()
    assert_shown_for_everybody(page)


@pytest.mark.parametrize(
    ("address", "status"), [("/nowhere/", "404"), ("/admin/nowhere/", "404"), ("/admin/auth/user/", "403")]
)
def test_pages_that_are_not_there_or_not_for_one(address: str, status: str, visits: Visits, books: User) -> None:
    with visits.expecting(status):
        assert_for_everybody(visits.page(books), address)
