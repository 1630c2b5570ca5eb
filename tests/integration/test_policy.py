"""The content security policy, and that the pages keep to it."""

from __future__ import annotations

import datetime as dt
import re
from decimal import Decimal

import pytest
from django.contrib.auth.models import User
from django.http import HttpResponse
from django.test import Client
from django.utils import timezone

from aggregates.models import Run
from expenses.models import Expense

pytestmark = pytest.mark.django_db
ADMIN = "/admin/"
SCRIPT = re.compile(r"<script\b([^>]*)>(.*?)</script>", re.DOTALL | re.IGNORECASE)
HANDLER = re.compile(r"<[^>]+\son[a-z]+\s*=", re.IGNORECASE)


def policy(response: HttpResponse) -> dict[str, set[str]]:
    directives = (part.split() for part in response["Content-Security-Policy"].split(";"))
    return {name: set(values) for name, *values in directives}


def test_answers_of_the_api_may_load_and_run_nothing_from_elsewhere() -> None:
    for path in ("/api/v1/totals/", "/livez", "/api/nothing"):
        assert policy(Client().get(path)) == {
            "default-src": {"'none'"},
            "script-src": {"'self'"},
            "style-src": {"'self'"},
            "img-src": {"'self'", "data:"},
            "font-src": {"'self'"},
            "connect-src": {"'self'"},
            "form-action": {"'self'"},
            "frame-ancestors": {"'none'"},
            "base-uri": {"'none'"},
        }


@pytest.mark.parametrize("path", ["/admin/login/", "/admin/", "/api/docs/", "/api/v1/totals/"])
def test_no_page_may_run_a_script_that_is_written_in_it(path: str) -> None:
    scripts = policy(Client().get(path))["script-src"]
    assert "'unsafe-inline'" not in scripts
    assert all(source in {"'self'", "'unsafe-eval'"} for source in scripts)


def test_what_is_allowed_to_one_page_is_not_to_the_next() -> None:
    assert "'unsafe-eval'" in policy(Client().get("/admin/login/"))["script-src"]
    assert "'unsafe-inline'" in policy(Client().get("/api/docs/"))["style-src"]
    assert policy(Client().get("/api/v1/totals/"))["script-src"] == {"'self'"}
    assert policy(Client().get("/api/v1/totals/"))["style-src"] == {"'self'"}


def test_no_page_has_a_script_that_the_policy_would_stop() -> None:
    user = User.objects.create_superuser("root")
    expense = Expense.objects.create(owner=user, amount=Decimal(1), currency="EUR", spent_on=dt.date(2026, 1, 1))
    now = timezone.now()
    run = Run.objects.create(totals="expenses.ExpenseTotals", kind="verify", started_at=now, heartbeat_at=now, plan=[])
    anybody, admin = Client(), Client()
    admin.force_login(user)
    one = f"{ADMIN}expenses/expense/{expense.pk}/"
    pages = [anybody.get(path) for path in ("/admin/login/", "/api/docs/")]
    pages += [
        admin.get(path)
        for path in (
            ADMIN, f"{ADMIN}expenses/expense/", f"{ADMIN}expenses/expense/add/", f"{one}change/", f"{one}delete/",
            f"{ADMIN}expenses/expensetotals/", f"{ADMIN}expenses/category/", f"{ADMIN}auth/user/{user.pk}/change/",
            f"{ADMIN}auth/user/{user.pk}/password/", f"{ADMIN}auth/group/add/", f"{ADMIN}aggregates/run/",
            f"{ADMIN}aggregates/run/verify/", f"{ADMIN}aggregates/run/rebuild/",
            f"{ADMIN}aggregates/run/{run.pk}/progress/",
        )
    ]  # fmt: skip
    for page in pages:
        assert page.status_code == 200, page
        text = page.content.decode()
        for attributes, content in SCRIPT.findall(text):
            assert "src=" in attributes or "application/json" in attributes, (page.request["PATH_INFO"], attributes)
            assert "application/json" in attributes or not content.strip()
        assert not HANDLER.search(text), (page.request["PATH_INFO"], HANDLER.search(text))
        assert not re.search(r"""(src|href)=["'](https?:)?//""", text)
