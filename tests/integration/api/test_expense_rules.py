"""What a body may say of an expense, and what is refused."""

from __future__ import annotations

import json
from typing import Any

import pytest
from django.contrib.auth.models import User
from rest_framework.test import APIClient

from expenses.models import Expense
from tests.integration.api.conftest import EXPENSES, pointers

BAD_AMOUNTS = [
    '"NaN"', '"sNaN"', '"-Infinity"', '"1e999"', '"1e-999"', '"1E+1000000000"', '"1_000"', '"\uff11\uff12"', '" 12 "',
    '"12,50"', '"0x10"', "true", "null", '""', "[]", "{}", '"1.005"', '"1.500"', "12.5", "12", "1e999",
    "9999999999.999999999", '"12345678901234567890"', '"1e2"', '"+1"', '".5"', '"5."', '"--1"', '"1\\n"',
    '"999999999999999.99"', json.dumps("1" * 1001),
]  # fmt: skip
BAD_DATES = [
    "0000-00-00", "2026-02-30", "10000-01-01", "0202-05-05", "9999-12-31", "20260102", "2026-01-02T00:00:00",
    "2026-W01-1",
    "1899-12-31", "2100-01-01", "2026-1-2", "\uff12\uff10\uff12\uff16-01-02", " 2026-01-02", "",
    20260102, None, ["2026-01-02"], True,
]  # fmt: skip


def post(api: APIClient, body: dict[str, Any]) -> Any:
    return api.post(EXPENSES, json.dumps(body), content_type="application/json")


@pytest.mark.parametrize("amount", BAD_AMOUNTS)
def test_an_amount_that_is_no_plain_decimal_string_of_the_currency_is_refused(api: APIClient, amount: str) -> None:
    body = f'{{"amount": {amount}, "currency": "EUR", "spent_on": "2026-01-31"}}'
    response = api.post(EXPENSES, body, content_type="application/json")
    assert pointers(response) == {"/amount"}
    assert not Expense.objects.exists()


@pytest.mark.parametrize("amount", ["NaN", "Infinity", "-Infinity"])
def test_a_bare_nan_or_infinity_is_not_json(api: APIClient, amount: str) -> None:
    body = f'{{"amount": {amount}, "currency": "EUR", "spent_on": "2026-01-31"}}'
    assert api.post(EXPENSES, body, content_type="application/json").status_code == 400


def test_a_json_number_is_refused_with_the_advice_to_send_a_string(api: APIClient, new: dict[str, Any]) -> None:
    response = post(api, {**new, "amount": 12.5})
    assert "as a string" in response.json()["detail"]


@pytest.mark.parametrize(
    ("currency", "amount", "shown"),
    [
        ("EUR", "12.5", "12.50"),
        ("JPY", "12", "12"),
        ("KWD", "0.005", "0.005"),
        ("EUR", "-3", "-3.00"),
        ("EUR", "0", "0.00"),
    ],
)
def test_an_amount_is_shown_with_the_digits_of_its_currency(
    api: APIClient, new: dict[str, Any], currency: str, amount: str, shown: str
) -> None:
    response = post(api, {**new, "amount": amount, "currency": currency})
    assert response.json()["amount"] == shown


@pytest.mark.parametrize(("currency", "amount"), [("JPY", "1.5"), ("JPY", "1.0"), ("KWD", "0.0005"), ("EUR", "1.005")])
def test_more_decimals_than_the_currency_has_are_refused(
    api: APIClient, new: dict[str, Any], currency: str, amount: str
) -> None:
    assert pointers(post(api, {**new, "amount": amount, "currency": currency})) == {"/amount"}


def test_minus_zero_is_stored_as_zero(api: APIClient, new: dict[str, Any]) -> None:
    assert post(api, {**new, "amount": "-0.00"}).json()["amount"] == "0.00"


@pytest.mark.parametrize("day", BAD_DATES)
def test_a_date_that_is_none_or_out_of_range_is_refused(api: APIClient, new: dict[str, Any], day: Any) -> None:
    assert pointers(post(api, {**new, "spent_on": day})) == {"/spent_on"}


@pytest.mark.parametrize("day", ["1900-01-01", "2000-02-29", "2099-12-31"])
def test_the_first_and_the_last_day_are_dates_of_expenses(api: APIClient, new: dict[str, Any], day: str) -> None:
    assert post(api, {**new, "spent_on": day}).json()["spent_on"] == day


@pytest.mark.parametrize("member", ["amount", "currency", "spent_on"])
def test_what_is_required_must_be_there(api: APIClient, new: dict[str, Any], member: str) -> None:
    del new[member]
    assert pointers(post(api, new)) == {f"/{member}"}


@pytest.mark.parametrize("currency", ["XXX", "eur", "eur ", "€", "EURO", "", None, 978, ["EUR"], "EU\x00"])
def test_a_currency_is_an_iso_code_in_use(api: APIClient, new: dict[str, Any], currency: Any) -> None:
    assert pointers(post(api, {**new, "currency": currency})) == {"/currency"}


@pytest.mark.parametrize("status", ["paid", "Draft", "", None, 1, ["draft"], {}, True])
def test_a_status_is_one_of_the_list(api: APIClient, new: dict[str, Any], status: Any) -> None:
    assert pointers(post(api, {**new, "status": status})) == {"/status"}


@pytest.mark.parametrize("category", ["1", 1.0, 1.5, True, "none", "", -1, 999_999, 10**30, [1], {}])
def test_a_category_is_the_integer_id_of_one_that_exists(api: APIClient, new: dict[str, Any], category: Any) -> None:
    assert pointers(post(api, {**new, "category": category})) == {"/category"}


@pytest.mark.parametrize("text", ["a\x00b", "x" * 10_001, None, 5, ["text"], True, {"a": 1}])
def test_a_description_is_a_text_without_nul_of_limited_length(api: APIClient, new: dict[str, Any], text: Any) -> None:
    assert pointers(post(api, {**new, "description": text})) == {"/description"}


@pytest.mark.parametrize(
    "text", ["", "  kept as it is ", "\U0001d518 ünïcode\n", "<script>alert(1)</script>", "x" * 10_000]
)
def test_a_description_is_stored_as_it_came(api: APIClient, new: dict[str, Any], text: str) -> None:
    assert post(api, {**new, "description": text}).json()["description"] == text


@pytest.mark.parametrize(
    "id", ["1", 1, None, "{0198b5a2-7c1e-7000-8000-000000000000}", "0198b5a27c1e70008000000000000000"]
)
def test_an_id_is_a_canonical_uuid(api: APIClient, new: dict[str, Any], id: Any) -> None:  # noqa: A002
    assert pointers(post(api, {**new, "id": id})) == {"/id"}


@pytest.mark.parametrize("member", ["created_at", "updated_at", "owner_name", "category_name", "total", "a/b~c"])
def test_members_that_are_unknown_or_only_read_are_refused(api: APIClient, new: dict[str, Any], member: str) -> None:
    escaped = member.replace("~", "~0").replace("/", "~1")
    assert pointers(post(api, {**new, member: "2026-01-01T00:00:00Z"})) == {f"/{escaped}"}


def test_somebody_else_cannot_be_made_the_owner(api: APIClient, new: dict[str, Any], stranger: User) -> None:
    assert pointers(post(api, {**new, "owner": stranger.pk})) == {"/owner"}


def test_naming_oneself_as_the_owner_changes_nothing(api: APIClient, new: dict[str, Any], owner: User) -> None:
    assert post(api, {**new, "owner": owner.pk}).json()["owner"] == owner.pk


def test_every_member_at_fault_is_named_at_once(api: APIClient) -> None:
    response = post(api, {"amount": 1, "currency": "EUR", "spent_on": "tomorrow", "colour": "red"})
    assert pointers(response) == {"/amount", "/spent_on", "/colour"}
