"""Merging a category into another: every expense moves, the totals stay exact, one category is left."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from decimal import Decimal
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.db import connection, transaction
from django.test.utils import CaptureQueriesContext
from django.utils import timezone
from rest_framework.test import APIClient

from expenses.merging import NoSuchCategory, merge
from expenses.models import Category, Expense
from tests.concurrency.threads import (
    Gate,
    sessions_that_wait_for_a_lock,
    stopping_before,
    together,
    wait_until,
)
from tests.exactness import assert_totals_match
from tests.integration.api.conftest import (
    CATEGORIES,
    EXPENSES,
    TOTALS,
    assert_problem,
    client_of,
    permitted,
    pointers,
)

# A refusal rolls back, also the transaction of a test.
pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def editor(owner: User) -> APIClient:
    return client_of(permitted(owner, "change_category", "delete_category"))


def address(category: Category) -> str:
    return f"{CATEGORIES}{category.pk}/merge/"


def test_all_expenses_move_and_the_category_is_gone(
    editor: APIClient, travel: Category, food: Category, spend: Callable[..., Expense], stranger: User
) -> None:
    moving = [spend("1.00", category=travel), spend("2.00", category=travel, owner=stranger)]
    moving.append(spend("4.00", category=travel, status="draft"))
    spend("8.00", category=food)
    spend("16.00")
    before = timezone.now()
    response = editor.post(address(travel), {"into": food.pk})
    assert (response.status_code, response.json()) == (
        200,
        {"category": {"id": food.pk, "name": "Food"}, "moved": 3},
    )
    assert [*Category.objects.all()] == [food]
    assert set(Expense.objects.filter(category=food).values_list("amount", flat=True)) == {1, 2, 4, 8}
    assert Expense.objects.filter(pk__in=[e.pk for e in moving], updated_at__gte=before).count() == 3
    assert Expense.objects.filter(updated_at__gte=before).count() == 3
    assert_totals_match()
    rows = editor.get(f"{TOTALS}?group_by=category&ordering=-sum").json()["results"]
    assert [(row["category_name"], row["sum"], row["count"]) for row in rows] == [
        (None, "16.00", 1),
        ("Food", "9.00", 2),
    ]


def test_an_empty_category_can_be_merged(editor: APIClient, travel: Category, food: Category) -> None:
    assert editor.post(address(travel), {"into": food.pk}).json()["moved"] == 0
    assert [*Category.objects.all()] == [food]


def refuse(response: Any, status: int, categories: int = 2) -> None:
    assert_problem(response, status)
    assert Category.objects.count() == categories
    assert Expense.objects.filter(category__name="Travel").count() == 1


def test_what_cannot_be_merged_is_refused_and_nothing_moves(
    editor: APIClient, travel: Category, food: Category, spend: Callable[..., Expense]
) -> None:
    spend(category=travel)
    for body in (
        {"into": travel.pk},
        {"into": food.pk + 1000},
        {"into": 2**63},
        {"into": -1},
        {"into": str(food.pk)},
        {"into": float(food.pk)},
        {"into": True},
        {"into": None},
        {"into": [food.pk]},
        {},
    ):
        response = editor.post(address(travel), body)
        refuse(response, 400)
        assert pointers(response) == {"/into"}, body
    assert pointers(editor.post(address(travel), {"into": food.pk, "name": "x"})) == {"/name"}
    refuse(editor.post(f"{address(travel)}?force=1", {"into": food.pk}), 400)
    refuse(editor.generic("POST", address(travel), b"", content_type="application/json"), 400)
    refuse(editor.post(address(travel), [food.pk]), 400)
    for key in (0, food.pk + 1000, 2**63, 10**30):
        refuse(editor.post(f"{CATEGORIES}{key}/merge/", {"into": food.pk}), 404)
    refuse(editor.get(address(travel)), 405)


def test_a_category_is_not_merged_into_itself() -> None:
    with pytest.raises(ValueError, match="itself"):
        merge(1, 1, timezone.now())


@pytest.mark.parametrize("permissions", [(), ("change_category",), ("delete_category", "add_category")])
def test_to_merge_takes_the_permissions_to_change_and_to_delete(
    owner: User, travel: Category, food: Category, spend: Callable[..., Expense], permissions: tuple[str, ...]
) -> None:
    spend(category=travel)
    refuse(client_of(permitted(owner, *permissions)).post(address(travel), {"into": food.pk}), 403)
    refuse(client_of(None).post(address(travel), {"into": food.pk}), 401)


def test_a_total_that_would_leave_its_range_refuses_the_merge(
    editor: APIClient, travel: Category, food: Category, spend: Callable[..., Expense]
) -> None:
    spend("922337203685477.50", category=travel)
    spend("922337203685477.50", category=food)
    refuse(editor.post(address(travel), {"into": food.pk}), 409)
    assert_totals_match()


def test_a_merge_takes_the_same_number_of_statements_however_many_expenses_move(
    editor: APIClient, spend: Callable[..., Expense]
) -> None:
    def statements(rows: int) -> int:
        source, into = (Category.objects.create(name=f"{name} {rows}") for name in ("from", "into"))
        expense = spend(category=source)
        others = [Expense(owner=expense.owner, category=source, amount=Decimal(1), currency="EUR") for _ in range(rows)]
        for other in others:
            other.spent_on = expense.spent_on
        Expense.objects.bulk_create(others)
        with CaptureQueriesContext(connection) as queries:
            assert editor.post(address(source), {"into": into.pk}).json()["moved"] == rows + 1
        return len(queries)

    statements(1)  # warms whatever is looked up once a process
    assert statements(2) == statements(200)


def test_merges_in_opposite_directions_at_once_leave_one_category_and_every_expense(
    editor: APIClient, travel: Category, food: Category, spend: Callable[..., Expense]
) -> None:
    for category in (travel, food):
        spend("1.00", category=category)
    statuses: list[int] = []

    def send(source: Category, into: Category) -> Callable[[], None]:
        return lambda: statuses.append(editor.post(address(source), {"into": into.pk}).status_code)

    together(send(travel, food), send(food, travel))
    assert 200 in statuses
    assert set(statuses) <= {200, 400, 404}
    [left] = Category.objects.all()
    assert Expense.objects.filter(category=left).count() == 2
    assert_totals_match()


@pytest.mark.row_locks
def test_categories_are_locked_in_the_order_of_their_ids(travel: Category, food: Category) -> None:
    """While somebody holds the first of the two, no merge, whichever way it goes, holds the second."""
    low, high = sorted((travel.pk, food.pk))
    gate = Gate()

    def hold() -> None:
        with transaction.atomic():
            Category.objects.select_for_update().get(pk=low)
            gate.wait_here()

    def look() -> None:
        try:
            wait_until(lambda: len(sessions_that_wait_for_a_lock()) == 2, "both merges wait")
            with transaction.atomic():
                Category.objects.select_for_update(nowait=True).get(pk=high)
        finally:
            gate.open()

    def merging(source: int, into: int) -> Callable[[], None]:
        def run() -> None:
            gate.wait_until_reached()
            with suppress(NoSuchCategory):  # one of the two comes second
                merge(source, into, timezone.now())

        return run

    together(hold, look, merging(low, high), merging(high, low))
    assert Category.objects.count() == 1


@pytest.mark.row_locks
def test_an_expense_that_is_created_in_the_category_meanwhile_is_not_lost(
    editor: APIClient, travel: Category, food: Category, spend: Callable[..., Expense], new: dict[str, Any]
) -> None:
    """It comes after the others have moved and before the category is deleted: it has to wait, and is told."""
    spend("1.00", category=travel)
    gate = Gate()
    answers: dict[str, Any] = {}

    def merging() -> None:
        with stopping_before("DELETE", gate):
            answers["merge"] = editor.post(address(travel), {"into": food.pk})

    def creating() -> None:
        gate.wait_until_reached()
        gate.open_when_somebody_waits_for_a_lock()
        # In buckets of its own: it shall wait for the category, not for a total.
        other = {**new, "category": travel.pk, "currency": "CHF", "spent_on": "2024-05-05"}
        try:
            answers["create"] = editor.post(EXPENSES, other)
        finally:
            gate.open()

    together(merging, creating)
    assert answers["merge"].status_code == 200
    # Tried again, it no longer finds the category.
    assert pointers(answers["create"]) == {"/category"}
    assert [*Expense.objects.values_list("category", flat=True)] == [food.pk]
    assert_totals_match()
