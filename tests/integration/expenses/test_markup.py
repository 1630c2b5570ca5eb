"""Names that are markup are text on every page."""

from __future__ import annotations

from typing import Any

import pytest
from django.contrib.auth.models import User
from django.test import Client
from django.urls import reverse

from expenses.models import Category, ExpenseTotals
from tests.integration.expenses.admin_pages import expense

pytestmark = pytest.mark.django_db

MARKUP = "<script>alert('x')</script>"


def test_markup_is_text_on_every_page_of_the_admin(admin_client: Client) -> None:
    owner = User.objects.create(username=MARKUP)
    one: Any = expense(owner, category=Category.objects.create(name=MARKUP), description=MARKUP)
    pages = ["/admin/"]
    for page in (one, one.category, one.owner, ExpenseTotals.objects.first()):
        name = f"admin:{page._meta.app_label}_{page._meta.model_name}"
        pages += [reverse(f"{name}_changelist"), reverse(f"{name}_change", args=[page.pk])]
    pages += [f"{reverse('admin:expenses_expense_delete', args=[one.pk])}", "/admin/expenses/expense/add/"]
    for page in pages:
        response = admin_client.get(page)
        assert response.status_code == 200
        assert MARKUP not in response.content.decode()
