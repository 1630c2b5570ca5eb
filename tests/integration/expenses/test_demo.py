"""The demo data: the same everywhere, exact, and loaded once."""

from __future__ import annotations

import io
import json
from decimal import Decimal

import pytest
from django.contrib.auth import authenticate, get_user_model
from django.core.management import call_command

from expenses import currencies, demo
from expenses.models import Category, Expense, Status
from tests.integration.expenses.live import assert_totals_are_live, stored

COUNT = 1_500


def load(*options: str) -> str:
    out = io.StringIO()
    call_command("load_demo_data", f"--expenses={COUNT}", *options, stdout=out)
    return out.getvalue()


def test_samples_are_decided_by_their_arguments_alone() -> None:
    assert list(demo.samples(500, demo.FIRST_DAY, demo.LAST_DAY)) == list(
        demo.samples(500, demo.FIRST_DAY, demo.LAST_DAY)
    )
    first = next(demo.samples(1, demo.FIRST_DAY, demo.LAST_DAY))
    assert (str(first.id), first.owner, str(first.amount), first.currency) == (
        "9beaa360-49c9-5ea1-9f88-0bcce8e003c8",
        "cleo",
        "35.899",
        "KWD",
    )


def test_samples_show_everything_that_expenses_can_be() -> None:
    samples = list(demo.samples(demo.EXPENSES, demo.FIRST_DAY, demo.LAST_DAY))
    assert len({sample.id for sample in samples}) == len(samples) == 20_000
    assert {sample.owner for sample in samples} == {"ada", "ben", "cleo"}
    assert len({sample.category for sample in samples} - {None}) == 12
    assert None in {sample.category for sample in samples}
    assert {currencies.digits(sample.currency) for sample in samples} == {0, 2, 3}
    assert {sample.status for sample in samples} == set(Status)
    assert any(sample.amount < 0 for sample in samples)
    assert all(
        sample.amount and currencies.decimals(sample.amount) <= currencies.digits(sample.currency) for sample in samples
    )
    assert {sample.spent_on.strftime("%Y-%m") for sample in samples} == {
        f"{y}-{m:02}" for y in (2025, 2026) for m in range(1, 13)
    }


@pytest.mark.django_db
def test_it_is_loaded_once_and_left_as_it_is_then() -> None:
    said = load()
    assert "User ada, password demo-ada" in said
    assert Expense.objects.count() == COUNT
    assert Category.objects.count() == 12
    assert_totals_are_live()
    for username in ("admin", "ada", "ben", "cleo"):
        user = authenticate(username=username, password=f"demo-{username}")
        assert user is not None
        assert user.is_superuser == (username == "admin")

    Expense.objects.filter(owner__username="ada").delete()
    Expense.objects.filter(owner__username="ben").update(amount=Decimal(1))
    get_user_model().objects.get(username="cleo").set_unusable_password()
    before = (Expense.objects.count(), stored())
    assert "there already" in load()
    assert (Expense.objects.count(), stored()) == before
    assert_totals_are_live()


@pytest.mark.django_db
def test_people_who_are_there_keep_their_passwords() -> None:
    get_user_model().objects.create_user("ada", password="her own")
    assert "User ada was there already and keeps the password" in load()
    assert authenticate(username="ada", password="her own")


@pytest.mark.django_db
def test_json_tells_what_was_added_and_whose_passwords_are_which() -> None:
    get_user_model().objects.create_user("ada", password="her own")
    told = json.loads(load("--format", "json"))
    assert (told["added"], told["found"]) == (COUNT, 0)
    assert told["users"] == {name: f"demo-{name}" for name in ("admin", "ben", "cleo")}
    assert json.loads(load("--format", "json")) == {"added": 0, "found": COUNT, "users": {}}
