"""Any question that a client can ask: each row's link leads to the very expenses that it sums."""

from __future__ import annotations

import datetime as dt
import random
from decimal import Decimal
from typing import Any
from urllib.parse import urlencode

import pytest
from django.contrib.auth.models import User
from hypothesis import given, settings
from hypothesis import strategies as st
from rest_framework.test import APIClient

from expenses.models import Category, Expense, Status
from expenses.reports import KEYS, PERIODS
from tests.integration.api.conftest import TOTALS, client_of

# Around the ends of months, quarters and years, a leap day among them.
DAYS = [dt.date.fromisoformat(day) for day in ("2023-12-31", "2024-01-01", "2024-02-29", "2024-03-01", "2024-06-15")]
EDGES = sorted({(day + dt.timedelta(days=more)).isoformat() for day in DAYS for more in (0, 1)})


@pytest.fixture
def expenses(owner: User, stranger: User, travel: Category, food: Category) -> None:
    rng = random.Random()
    Expense.objects.bulk_create(
        Expense(
            owner=rng.choice([owner, stranger]),
            category=rng.choice([travel, food, None]),
            amount=Decimal(rng.randint(-(10**9), 10**9)).scaleb(-2),
            currency=rng.choice(["EUR", "JPY"]),
            spent_on=rng.choice(DAYS),
            status=rng.choice(Status.values),
        )
        for _ in range(60)
    )


def some(values: list[Any]) -> st.SearchStrategy[str]:
    """Return a parameter's text: some of the values, or none."""
    return st.lists(st.sampled_from(values), unique=True, max_size=2).map(lambda chosen: ",".join(map(str, chosen)))


def queries(owners: list[User], categories: list[Category]) -> st.SearchStrategy[dict[str, str]]:
    edges = st.sets(st.sampled_from(EDGES), min_size=2, max_size=2).map(sorted)
    ends = st.tuples(st.booleans(), st.booleans())
    compared = st.sampled_from(["", "previous"])

    def build(edges: list[str], ends: tuple[bool, bool], compare: str, **rest: str) -> dict[str, str]:
        keys = rest["group_by"].split(",")
        if compare:
            rest["group_by"] = ",".join(key for key in keys if key not in PERIODS)
            ends = (True, True)
        low, high = (edge if given else "" for edge, given in zip(edges, ends, strict=True))
        return {"compare": compare, "from": low, "to": high, **rest}

    return st.builds(
        build,
        edges,
        ends,
        compared,
        group_by=some(list(KEYS)),
        owner=some([user.pk for user in owners]),
        category=some([*(category.pk for category in categories), "none"]),
        currency=some(["EUR", "JPY"]),
        status=some(Status.values),
    )


def listed(client: APIClient, url: str) -> list[Decimal]:
    """Return the amounts of the expenses on all pages from an address on."""
    amounts: list[Decimal] = []
    while url:
        response = client.get(url)
        assert response.status_code == 200, response.content
        body = response.json()
        amounts += [Decimal(expense["amount"]) for expense in body["results"]]
        url = body["next"]
    return amounts


def reconcile(client: APIClient, figures: dict[str, Any]) -> None:
    amounts = listed(client, figures["expenses"])
    assert (len(amounts), sum(amounts)) == (figures["count"], Decimal(figures["sum"]))


@pytest.mark.long
@pytest.mark.parametrize("who", ["owner", "auditor"])
@pytest.mark.usefixtures("expenses")
def test_the_expenses_behind_each_row_of_any_answer_have_its_count_and_sum(
    request: pytest.FixtureRequest, owner: User, stranger: User, travel: Category, food: Category, who: str
) -> None:
    client = client_of(request.getfixturevalue(who))

    @settings(max_examples=20)
    @given(queries([owner, stranger], [travel, food]))
    def check(query: dict[str, str]) -> None:
        response = client.get(f"{TOTALS}?{urlencode({'page_size': '1000', **query})}")
        assert response.status_code == 200, response.content
        for row in response.json()["results"]:
            for figures in filter(None, (row, row.get("previous"))):
                reconcile(client, figures)

    check()
