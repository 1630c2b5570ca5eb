"""ETag, If-Match and If-None-Match of an expense: no update is lost."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from django.contrib.auth.models import User
from rest_framework.test import APIClient

from api.etags import matches, matches_strongly
from expenses.models import Category, Expense
from tests.integration.api.conftest import EXPENSES, assert_problem, client_of
from tests.integration.api.test_races import at_once

pytestmark = pytest.mark.django_db
ABSENT = f"{EXPENSES}0198b5a2-7c1e-7000-8000-00000000000a/"
Send = Callable[[APIClient, str, dict[str, Any], str], Any]

WRITES: dict[str, Send] = {
    "PUT": lambda api, path, new, tag: api.put(path, {**new, "amount": "7.00"}, headers={"If-Match": tag}),
    "PATCH": lambda api, path, _new, tag: api.patch(path, {"amount": "7.00"}, headers={"If-Match": tag}),
    "DELETE": lambda api, path, _new, tag: api.delete(path, headers={"If-Match": tag}),
}


def path_of(expense: Expense) -> str:
    return f"{EXPENSES}{expense.pk}/"


def test_the_tag_is_of_the_content(api: APIClient, spend: Any, travel: Category) -> None:
    path = path_of(spend(category=travel))
    first = api.get(path)["ETag"]
    assert first == api.get(path)["ETag"]
    changed = api.patch(path, {"description": "changed"})["ETag"]
    assert changed == api.get(path)["ETag"] != first
    Category.objects.filter(pk=travel.pk).update(name="Trips")
    assert api.get(path)["ETag"] != changed


def test_every_answer_with_an_expense_tells_its_tag(api: APIClient, new: dict[str, Any]) -> None:
    created = api.post(EXPENSES, new)
    path = f"{EXPENSES}{created.json()['id']}/"
    assert created["ETag"] == api.get(path)["ETag"]
    replaced = api.put(path, {**new, "amount": "1.00"})
    assert replaced["ETag"] == api.get(path)["ETag"] != created["ETag"]


@pytest.mark.parametrize("write", WRITES.values(), ids=WRITES)
def test_a_write_on_what_was_read_last_goes_in(api: APIClient, spend: Any, new: dict[str, Any], write: Send) -> None:
    path = path_of(spend())
    assert write(api, path, new, f'"other", {api.get(path)["ETag"]}').status_code in (200, 204)
    assert not Expense.objects.filter(amount=10).exists()


@pytest.mark.parametrize("write", WRITES.values(), ids=WRITES)
@pytest.mark.parametrize("tag", ["stale", "weak", "none of ours", "no tag at all"])
def test_a_write_on_anything_else_is_412_and_changes_nothing(
    api: APIClient, spend: Any, new: dict[str, Any], write: Send, tag: str
) -> None:
    path = path_of(spend())
    stale = api.get(path)["ETag"]
    api.patch(path, {"description": "meanwhile"})
    sent = {"stale": stale, "weak": f"W/{api.get(path)['ETag']}", "none of ours": '"x"', "no tag at all": "x"}[tag]
    assert_problem(write(api, path, new, sent), 412, "precondition-failed")
    assert Expense.objects.filter(amount=10, description="meanwhile").exists()


@pytest.mark.parametrize("write", WRITES.values(), ids=WRITES)
def test_any_version_will_do_for_a_star(api: APIClient, spend: Any, new: dict[str, Any], write: Send) -> None:
    assert write(api, path_of(spend()), new, "*").status_code in (200, 204)


def test_what_is_not_there_matches_nothing(api: APIClient, new: dict[str, Any]) -> None:
    assert_problem(api.put(ABSENT, new, headers={"If-Match": "*"}), 412)
    assert_problem(api.patch(ABSENT, {"amount": "1.00"}, headers={"If-Match": "*"}), 404)
    assert not Expense.objects.exists()


def test_a_put_may_ask_to_create_and_never_to_replace(api: APIClient, new: dict[str, Any]) -> None:
    only_new = {"If-None-Match": "*"}
    assert api.put(ABSENT, new, headers=only_new).status_code == 201
    assert_problem(api.put(ABSENT, {**new, "amount": "1.00"}, headers=only_new), 412)
    assert api.get(ABSENT).json()["amount"] == "12.50"


def test_what_the_client_has_is_not_sent_again(api: APIClient, spend: Any) -> None:
    path = path_of(spend())
    tag = api.get(path)["ETag"]
    unchanged = api.get(path, headers={"If-None-Match": f"W/{tag}"})
    assert (unchanged.status_code, unchanged.content, unchanged["ETag"]) == (304, b"", tag)
    assert "private" in unchanged["Cache-Control"]
    assert api.get(path, headers={"If-None-Match": '"other"'}).status_code == 200


def test_a_stranger_learns_nothing_from_a_tag(api: APIClient, stranger: User, spend: Any) -> None:
    path = path_of(spend())
    tag = api.get(path)["ETag"]
    other = client_of(stranger)
    for response in (
        other.get(path, headers={"If-None-Match": tag}),
        other.patch(path, {"amount": "1.00"}, headers={"If-Match": tag}),
        other.delete(path, headers={"If-Match": '"x"'}),
    ):
        assert_problem(response, 404)


@pytest.mark.django_db(transaction=True)
def test_of_two_changes_at_once_on_one_version_one_goes_in(owner: User, spend: Any) -> None:
    """The tag is compared under the row's lock."""
    path = path_of(spend())
    clients = [client_of(owner) for _ in range(4)]
    tag = {"If-Match": clients[0].get(path)["ETag"]}
    responses = at_once(
        *(lambda c=c, n=n: c.patch(path, {"amount": f"{n}.00"}, headers=tag) for n, c in enumerate(clients, start=20))
    )
    assert sorted(response.status_code for response in responses) == [200, 412, 412, 412]
    (changed,) = [response for response in responses if response.status_code == 200]
    assert clients[0].get(path).json()["amount"] == changed.json()["amount"]


@pytest.mark.parametrize(
    ("header", "weakly", "expected"),
    [('"a"', False, True), ('W/"a"', False, False), ('W/"a"', True, True), ('"b", "a"', False, True),
     (" * ", False, True), ("", True, False), ("a", True, False), ('"b,a"', True, False)],
)  # fmt: skip
def test_a_list_of_tags_is_read_as_the_standard_has_it(header: str, weakly: bool, expected: bool) -> None:
    assert (matches if weakly else matches_strongly)(header, '"a"') is expected
