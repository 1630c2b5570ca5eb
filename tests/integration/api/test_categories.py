"""Categories: everybody reads them, those permitted change them."""

from __future__ import annotations

from typing import Any

import pytest
from django.contrib.auth.models import User
from rest_framework.test import APIClient

from expenses.models import Category
from tests.integration.api.conftest import CATEGORIES, TOTALS, assert_problem, client_of, permitted, pointers


@pytest.fixture
def editor(owner: User) -> APIClient:
    return client_of(permitted(owner, "add_category", "change_category", "delete_category"))


def test_everybody_reads_them_by_name(api: APIClient, travel: Category, food: Category) -> None:
    body = api.get(CATEGORIES).json()
    assert body["count"] == 2
    assert body["results"] == [{"id": food.pk, "name": "Food"}, {"id": travel.pk, "name": "Travel"}]
    assert api.get(f"{CATEGORIES}{food.pk}/").json() == {"id": food.pk, "name": "Food"}


def test_an_ordinary_user_changes_none(api: APIClient, travel: Category) -> None:
    path = f"{CATEGORIES}{travel.pk}/"
    for response in (
        api.post(CATEGORIES, {"name": "New"}),
        api.put(path, {"name": "New"}),
        api.patch(path, {"name": "New"}),
        api.delete(path),
    ):
        assert_problem(response, 403)
    assert [*Category.objects.values_list("name", flat=True)] == ["Travel"]


def test_who_may_creates_renames_and_deletes(editor: APIClient) -> None:
    created = editor.post(CATEGORIES, {"name": " Books "})
    assert (created.status_code, created.json()["name"]) == (201, "Books")
    assert editor.patch(created["Location"], {"name": "Novels"}).json()["name"] == "Novels"
    assert editor.put(created["Location"], {"name": "Novels"}).status_code == 200
    assert editor.delete(created["Location"]).status_code == 204
    assert_problem(editor.get(created["Location"]), 404)


@pytest.mark.parametrize("name", ["", "  ", None, 5, [], True, "a\x00b", "x" * 256])
def test_a_name_is_a_text_that_is_not_blank(editor: APIClient, name: Any) -> None:
    assert pointers(editor.post(CATEGORIES, {"name": name})) == {"/name"}


def test_a_name_is_taken_once(editor: APIClient, travel: Category, food: Category) -> None:
    assert pointers(editor.post(CATEGORIES, {"name": "Travel"})) == {"/name"}
    assert pointers(editor.put(f"{CATEGORIES}{food.pk}/", {"name": "Travel"})) == {"/name"}


def test_unknown_members_and_the_id_are_refused(editor: APIClient) -> None:
    assert pointers(editor.post(CATEGORIES, {"name": "A", "id": 7, "colour": "red"})) == {"/id", "/colour"}


def test_the_expenses_of_a_deleted_category_become_uncategorised(
    editor: APIClient, travel: Category, spend: Any
) -> None:
    spend("3.00", category=travel)
    assert editor.delete(f"{CATEGORIES}{travel.pk}/").status_code == 204
    row = editor.get(f"{TOTALS}?group_by=category").json()["results"][0]
    assert (row["category"], row["sum"]) == (None, "3.00")


@pytest.mark.parametrize("key", ["0", "999999", "9" * 30])
def test_a_category_that_never_was_is_404(api: APIClient, key: str) -> None:
    assert_problem(api.get(f"{CATEGORIES}{key}/"), 404)


def test_markup_in_a_name_is_text(editor: APIClient) -> None:
    response = editor.post(CATEGORIES, {"name": "<script>alert(1)</script>"})
    assert response["Content-Type"] == "application/json"
    assert response.json()["name"] == "<script>alert(1)</script>"
