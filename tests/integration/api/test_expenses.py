"""Creating, replacing, changing, deleting and listing expenses."""

from __future__ import annotations

import uuid
from typing import Any

import pytest
from django.contrib.auth.models import User
from rest_framework.test import APIClient

from expenses.models import Category, Expense
from tests.integration.api.conftest import EXPENSES, assert_problem, client_of, permitted, pointers

KEY = "0198b5a2-7c1e-7000-8000-00000000000a"
MEMBERS = {
    "id", "owner", "owner_name", "category", "category_name", "amount", "currency", "spent_on", "status", "description",
    "created_at", "updated_at",
}  # fmt: skip


def listed(api: APIClient, query: str = "") -> list[str]:
    response = api.get(f"{EXPENSES}?{query}")
    assert response.status_code == 200, response.content
    return [row["amount"] for row in response.json()["results"]]


def test_a_new_expense_is_answered_with_201_its_address_and_all_its_members(
    api: APIClient, owner: User, travel: Category, new: dict[str, Any]
) -> None:
    response = api.post(EXPENSES, {**new, "category": travel.pk, "description": "a taxi"})
    body = response.json()
    assert response.status_code == 201
    assert response["Location"] == f"http://testserver{EXPENSES}{body['id']}/"
    assert set(body) == MEMBERS
    assert body["owner"] == owner.pk
    assert body["owner_name"] == "olga"
    assert body["category"] == travel.pk
    assert body["category_name"] == "Travel"
    assert api.get(response["Location"]).json() == body


def test_category_status_and_description_have_defaults(api: APIClient, new: dict[str, Any]) -> None:
    body = api.post(EXPENSES, new).json()
    assert (body["category"], body["category_name"], body["status"], body["description"]) == (
        None,
        None,
        "submitted",
        "",
    )


def test_a_repeat_with_the_same_id_and_content_is_200_and_one_row(api: APIClient, new: dict[str, Any]) -> None:
    first = api.post(EXPENSES, {**new, "id": KEY})
    second = api.post(EXPENSES, {**new, "id": KEY})
    assert (first.status_code, second.status_code) == (201, 200)
    assert first.json() == second.json()
    assert Expense.objects.count() == 1


@pytest.mark.django_db(transaction=True)  # a refusal rolls back, also the transaction of a test
def test_the_same_id_with_other_content_is_409(api: APIClient, new: dict[str, Any]) -> None:
    api.post(EXPENSES, {**new, "id": KEY})
    assert_problem(api.post(EXPENSES, {**new, "id": KEY, "amount": "12.51"}), 409)
    assert listed(api) == ["12.50"]


@pytest.mark.django_db(transaction=True)  # a refusal rolls back, also the transaction of a test
def test_the_id_of_somebody_elses_expense_is_409(
    api: APIClient, stranger: User, spend: Any, new: dict[str, Any]
) -> None:
    theirs = spend(owner=stranger)
    assert_problem(api.post(EXPENSES, {**new, "id": str(theirs.pk)}), 409)
    assert_problem(api.put(f"{EXPENSES}{theirs.pk}/", new), 409)
    assert Expense.objects.get().owner == stranger


def test_put_creates_with_the_address_id_then_replaces(api: APIClient, travel: Category, new: dict[str, Any]) -> None:
    first = api.put(f"{EXPENSES}{KEY}/", {**new, "category": travel.pk, "description": "first"})
    second = api.put(f"{EXPENSES}{KEY}/", {**new, "amount": "7.00"})
    assert (first.status_code, second.status_code) == (201, 200)
    assert first.json()["id"] == second.json()["id"] == KEY
    assert (second.json()["amount"], second.json()["category"], second.json()["description"]) == ("7.00", None, "")


def test_put_refuses_another_id_than_the_address_has(api: APIClient, new: dict[str, Any]) -> None:
    assert pointers(api.put(f"{EXPENSES}{KEY}/", {**new, "id": str(uuid.uuid4())})) == {"/id"}


def test_put_needs_the_whole_expense(api: APIClient, spend: Any) -> None:
    assert pointers(api.put(f"{EXPENSES}{spend().pk}/", {"amount": "1.00"})) == {"/currency", "/spent_on"}


def test_patch_changes_what_is_given(api: APIClient, spend: Any, travel: Category) -> None:
    expense = spend(description="kept", category=travel)
    body = api.patch(f"{EXPENSES}{expense.pk}/", {"amount": "11.00"}).json()
    assert (body["amount"], body["description"], body["category_name"]) == ("11.00", "kept", "Travel")


@pytest.mark.django_db(transaction=True)  # a refusal rolls back, also the transaction of a test
def test_patch_to_a_currency_with_fewer_digits_than_the_amount_needs_is_refused(api: APIClient, spend: Any) -> None:
    expense = spend("1.50")
    assert pointers(api.patch(f"{EXPENSES}{expense.pk}/", {"currency": "JPY"})) == {"/amount"}
    assert Expense.objects.get().currency == "EUR"


def test_patch_can_take_the_category_away(api: APIClient, spend: Any, travel: Category) -> None:
    expense = spend(category=travel)
    assert api.patch(f"{EXPENSES}{expense.pk}/", {"category": None}).json()["category"] is None


@pytest.mark.django_db(transaction=True)  # a refusal rolls back, also the transaction of a test
def test_an_expense_that_would_take_a_total_out_of_its_range_is_409_and_not_stored(
    api: APIClient, new: dict[str, Any]
) -> None:
    largest = {**new, "amount": "922337203685477.58"}
    assert api.post(EXPENSES, largest).status_code == 201
    assert_problem(api.post(EXPENSES, largest), 409, "total-out-of-range")
    assert listed(api) == ["922337203685477.58"]


@pytest.mark.django_db(transaction=True)  # a refusal rolls back, also the transaction of a test
def test_a_deleted_expense_is_gone(api: APIClient, spend: Any) -> None:
    path = f"{EXPENSES}{spend().pk}/"
    assert api.delete(path).status_code == 204
    assert_problem(api.get(path), 404)
    assert_problem(api.delete(path), 404)


@pytest.mark.django_db(transaction=True)  # a refusal rolls back, also the transaction of a test
@pytest.mark.parametrize("method", ["get", "patch", "delete"])
def test_somebody_elses_expense_answers_like_one_that_never_was(
    api: APIClient, stranger: User, spend: Any, method: str
) -> None:
    theirs = getattr(api, method)(f"{EXPENSES}{spend(owner=stranger).pk}/", {})
    never = getattr(api, method)(f"{EXPENSES}{uuid.uuid4()}/", {})
    assert_problem(theirs, 404)
    assert theirs.content == never.content


@pytest.mark.django_db(transaction=True)  # a refusal rolls back, also the transaction of a test
def test_an_auditor_reads_every_expense_and_changes_none(auditor: User, spend: Any, new: dict[str, Any]) -> None:
    path = f"{EXPENSES}{spend().pk}/"
    client = client_of(auditor)
    assert client.get(path).status_code == 200
    for response in (client.patch(path, {"amount": "1.00"}), client.put(path, new), client.delete(path)):
        assert_problem(response, 403)
    assert listed(client) == ["10.00"]


def test_finance_changes_and_deletes_everybodys_expenses_which_keep_their_owner(
    finance: User, owner: User, spend: Any, new: dict[str, Any]
) -> None:
    path = f"{EXPENSES}{spend().pk}/"
    client = client_of(finance)
    assert client.patch(path, {"status": "approved"}).json()["owner"] == owner.pk
    assert client.put(path, new).json()["owner"] == owner.pk
    assert client.delete(path).status_code == 204


def test_permission_to_change_alone_shows_nobodys_expenses(stranger: User, spend: Any) -> None:
    client = client_of(permitted(stranger, "change_expense", "delete_expense"))
    assert_problem(client.delete(f"{EXPENSES}{spend().pk}/"), 404)


def test_the_list_shows_own_rows_latest_first_in_an_envelope(api: APIClient, stranger: User, spend: Any) -> None:
    spend("1.00", spent_on="2026-01-01")
    spend("2.00", spent_on="2026-01-02")
    spend("3.00", owner=stranger)
    body = api.get(EXPENSES).json()
    assert (body["count"], body["next"], body["previous"]) == (2, None, None)
    assert [row["amount"] for row in body["results"]] == ["2.00", "1.00"]


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("category=none", {"1.00"}),
        ("category={travel}", {"2.00", "4.00"}),
        ("category={travel},none", {"1.00", "2.00", "4.00"}),
        ("category=999", set()),
        ("currency=JPY", {"3"}),
        ("currency=EUR,JPY", {"1.00", "2.00", "3", "4.00"}),
        ("status=draft", {"4.00"}),
        ("status=submitted,approved", {"1.00", "2.00", "3"}),
        ("from=2026-02-01", {"2.00", "3"}),
        ("to=2026-02-01", {"1.00", "4.00"}),
        ("from=2026-02-01&to=2026-02-02", {"2.00"}),
        ("owner={owner}", {"1.00", "2.00", "3", "4.00"}),
        ("owner=999", set()),
        ("search=TAXI", {"2.00"}),
        ("owner=&category=&currency=&status=&from=&to=&page=&page_size=", {"1.00", "2.00", "3", "4.00"}),
    ],
)
def test_filters_choose_the_rows(
    api: APIClient, spend: Any, travel: Category, food: Category, query: str, expected: set[str]
) -> None:
    spend("1.00")
    spend("2.00", category=travel, spent_on="2026-02-01", status="approved", description="a taxi")
    spend("3", category=food, currency="JPY", spent_on="2026-02-02")
    spend("4.00", category=travel, status="draft")
    assert set(listed(api, query.format(travel=travel.pk, owner=Expense.objects.first().owner_id))) == expected


def test_ordering_is_by_the_named_columns_nulls_lowest(api: APIClient, spend: Any, travel: Category) -> None:
    spend("1.00", category=travel)
    spend("2.00")
    spend("3.00", category=travel)
    assert listed(api, "ordering=category_name,-amount") == ["2.00", "3.00", "1.00"]
    assert listed(api, "ordering=-category_name,amount") == ["1.00", "3.00", "2.00"]


def test_pages_are_stable_and_linked(api: APIClient, spend: Any) -> None:
    for _ in range(5):
        spend()
    seen, url = [], f"{EXPENSES}?page_size=2&ordering=amount"
    while url:
        body = api.get(url).json()
        seen += [row["id"] for row in body["results"]]
        url = body["next"]
    assert len(seen) == len(set(seen)) == 5


@pytest.mark.parametrize("page", ["2", "999999999999999999999999999"])
def test_a_page_past_the_end_is_404(api: APIClient, spend: Any, page: str) -> None:
    spend()
    assert_problem(api.get(f"{EXPENSES}?page={page}"), 404)


@pytest.mark.parametrize("rows", [1, 20])
def test_a_list_takes_the_same_few_queries_however_long(
    api: APIClient, spend: Any, travel: Category, django_assert_num_queries: Any, rows: int
) -> None:
    for _ in range(rows):
        spend(category=travel)
    with django_assert_num_queries(5):  # token, two of permissions, count, rows
        assert api.get(EXPENSES).json()["count"] == rows


def test_answers_are_private_to_who_asks(api: APIClient) -> None:
    for response in (api.get(EXPENSES), api.get(f"{EXPENSES}?page=9"), APIClient().get(EXPENSES)):
        assert response["Cache-Control"] == "private"
        assert {"Authorization", "Cookie"} <= {name.strip() for name in response["Vary"].split(",")}
