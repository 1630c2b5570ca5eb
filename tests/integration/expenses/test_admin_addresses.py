"""Addresses of the admin that nobody would type: none of them brings a page down, and none asks for a secret."""

from __future__ import annotations

from typing import Any
from urllib.parse import urlencode

import pytest
from django.contrib import admin
from django.contrib.auth.models import User
from django.test import Client

from tests.integration.expenses.admin_pages import expense

# A statement that fails ends the transaction of a test.
pytestmark = pytest.mark.django_db(transaction=True)

LISTS = sorted(f"/admin/{model._meta.app_label}/{model._meta.model_name}/" for model in admin.site._registry)
HUGE = "9" * 20
ODD = [
    {"q": "\0"}, {"\0": "x"}, {"q": "x" * 3_000}, {"o": "9.9.9"}, {"p": "-1"}, {"p": HUGE}, {"e": "\0"},
    {"status__exact": "\0"}, {"status__in": "\0"}, {"kind__exact": "\0"}, {"state__exact": "\0"}, {"pk__in": "\0"},
    {"owner__id__exact": HUGE}, {"category__id__exact": HUGE}, {"user__exact": HUGE}, {"month": "9999-12"},
    {"month": "0001-01"}, {"spent_on__year": HUGE}, {"spent_on__year": "12345"}, {"spent_on__exact": "x"},
    {"expense__exact": "x"}, {"write__id__exact": "x"}, {"resource_type": "x"}, {"timestamp": "x"}, {"cid": "\0"},
]  # fmt: skip
SECRET = ["password", "owner__password", "user__password", "actor__password", "write__actor__password"]


@pytest.fixture
def root(owner: Any) -> Client:
    """Return the client of a superuser, whom no permission stops; there is an expense to find."""
    expense(owner)
    client = Client()
    client.force_login(User.objects.create_superuser("root"))
    return client


@pytest.mark.parametrize("address", LISTS)
def test_no_list_is_brought_down_by_what_it_is_filtered_by(root: Client, address: str) -> None:
    answers = {str(odd): root.get(f"{address}?{urlencode(odd)}").status_code for odd in ODD}
    assert {odd: status for odd, status in answers.items() if status not in (200, 302, 400, 403)} == {}


@pytest.mark.parametrize("address", LISTS)
@pytest.mark.parametrize("key", ["%00", "x", HUGE, "_00", "'%22%3E%3Cscript%3E"])
def test_no_page_of_a_row_is_brought_down_by_its_key(root: Client, address: str, key: str) -> None:
    answers = {page: root.get(f"{address}{key}/{page}/").status_code for page in ("change", "delete", "history")}
    assert set(answers.values()) <= {302, 400, 403, 404}, answers


@pytest.mark.parametrize("address", LISTS)
@pytest.mark.parametrize("field", SECRET)
def test_no_list_is_filtered_by_a_hash(root: Client, address: str, field: str) -> None:
    response = root.get(f"{address}?{field}__startswith=p")
    assert response.status_code in (302, 400, 403)


def test_an_address_that_stays_wrong_is_refused_and_leads_nowhere(root: Client) -> None:
    assert root.get("/admin/expenses/expense/?month=9999-12&e=1").status_code == 400


def test_a_filter_that_cannot_be_asked_for_is_told_in_the_log(root: Client, caplog: pytest.LogCaptureFixture) -> None:
    response = root.get("/admin/expenses/expense/?month=9999-12")
    assert (response.status_code, response["Location"]) == (302, "/admin/expenses/expense/?e=1")
    assert "cannot be asked for" in caplog.text
