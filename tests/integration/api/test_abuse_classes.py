"""Whole classes of bad input: any number, date, text, document, bytes and parameter is taken rightly or refused.

What is right is told here a second time, by other means than the service has.
"""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Callable
from decimal import Decimal
from typing import Any
from urllib.parse import urlencode

import pytest
from drf_spectacular.generators import SchemaGenerator
from hypothesis import example, given, settings
from hypothesis import strategies as st
from rest_framework.test import APIClient

from expenses.models import Category, Expense
from tests.exactness import assert_totals_match
from tests.integration.api.conftest import CATEGORIES, EXPENSES, TOTALS, assert_problem, client_of, permitted

# A refusal rolls back, also the transaction of a test.
pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.long]

DIGITS = {"EUR": 2, "JPY": 0, "KWD": 3}
ASCII_DIGITS = set("0123456789")
HIGHEST = Decimal("922337203685477.5807")
EXAMPLES = 150
NEW = {"amount": "12.50", "currency": "EUR", "spent_on": "2026-01-31"}
PATHS = SchemaGenerator().get_schema(public=True)["paths"]

# Everything that JSON can say, and no more: half a surrogate pair is a case of its own.
TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=30)
SCALARS = st.none() | st.booleans() | st.integers() | st.floats() | TEXT
DOCUMENTS = st.recursive(SCALARS, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXT, inner, max_size=3))
NOT_TEXT = DOCUMENTS.filter(lambda value: not isinstance(value, str))


def send(client: APIClient, method: str, path: str, document: Any) -> Any:
    return client.generic(method, path, json.dumps(document), content_type="application/json")


def assert_refused(response: Any, *pointers: str) -> None:
    """Check that a document was refused, for its members where they can be told, and nothing was stored."""
    body = assert_problem(response, 400)
    # What Python writes of NaN and infinities is no JSON.
    if "not JSON" not in body["detail"]:
        assert {error["pointer"] for error in body["errors"]} == set(pointers)
    assert not Expense.objects.exists()


def is_number(text: str, digits: int) -> bool:
    """Return whether a text is an amount in plain notation with at most so many decimals."""
    whole, point, decimals = text.removeprefix("-").partition(".")
    if not whole or not set(whole + decimals) <= ASCII_DIGITS or len(whole) > 15:
        return False
    return len(decimals) <= digits and bool(decimals) == bool(point) and abs(Decimal(text)) <= HIGHEST


NUMBERS = st.one_of(
    TEXT,
    st.decimals().map(str),
    st.decimals(-HIGHEST, HIGHEST, places=2).map(str),
    st.integers().map(str),
    st.floats().map(repr),
    st.text("0123456789.,-+eE_ \u0660\uff11", max_size=24),
    st.from_regex(r"-?[0-9]{1,16}(\.[0-9]{1,5})?", fullmatch=True),
)


@pytest.mark.parametrize("currency", DIGITS)
def test_an_amount_is_a_plain_decimal_or_refused(api: APIClient, currency: str) -> None:
    @settings(max_examples=EXAMPLES)
    @example("-0.00").via("zero has no sign")
    @example("922337203685477.58").via("the highest")
    @example("922337203685477.59").via("more than the highest")
    @given(NUMBERS)
    def check(text: str) -> None:
        response = send(api, "POST", EXPENSES, {**NEW, "amount": text, "currency": currency})
        if not is_number(text, DIGITS[currency]):
            return assert_refused(response, "/amount")
        assert response.status_code == 201, response.content
        stored = Expense.objects.get().amount
        assert stored == Decimal(text) == Decimal(response.json()["amount"])
        assert str(stored).startswith("-") == (Decimal(text) < 0)
        Expense.objects.all().delete()
        return None

    check()
    assert_totals_match()


def is_date(text: str) -> bool:
    """Return whether a text is a date of expenses, YYYY-MM-DD in ASCII."""
    if len(text) != 10 or text[4] + text[7] != "--" or not set(text[:4] + text[5:7] + text[8:]) <= ASCII_DIGITS:
        return False
    year, month, day = (int(part) for part in text.split("-"))
    if not (1900 <= year <= 2099 and 1 <= month <= 12 and day >= 1):
        return False
    leap = year % 4 == 0 and (year % 100 != 0 or year % 400 == 0)
    return day <= [31, 29 if leap else 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31][month - 1]


DATES = st.one_of(
    TEXT,
    st.dates().map(dt.date.isoformat),
    st.dates(dt.date(1899, 12, 1), dt.date(2100, 1, 31)).map(dt.date.isoformat),
    st.datetimes().map(dt.datetime.isoformat),
    st.dates().map(lambda day: day.strftime("%Y%m%d")),
    st.dates().map(lambda day: "{}-W{:02}-{}".format(*day.isocalendar())),
    st.from_regex(r"(19|20)[0-9]{2}-[01][0-9]-[0-3][0-9]", fullmatch=True),
)


def test_a_date_is_a_day_of_the_calendar_or_refused(api: APIClient) -> None:
    @settings(max_examples=2 * EXAMPLES)
    @given(DATES)
    def check(text: str) -> None:
        response = send(api, "POST", EXPENSES, {**NEW, "spent_on": text})
        if not is_date(text):
            return assert_refused(response, "/spent_on")
        assert (response.status_code, response.json()["spent_on"]) == (201, text)
        Expense.objects.all().delete()
        return None

    check()
    assert_totals_match()


def test_a_date_of_a_filter_is_a_day_of_the_calendar_or_refused(api: APIClient) -> None:
    @settings(max_examples=EXAMPLES)
    @given(DATES, st.sampled_from([EXPENSES, TOTALS]))
    def check(text: str, path: str) -> None:
        response = api.get(path, {"from": text})
        assert (response.status_code == 200) == (not text or is_date(text)), response.content
        if response.status_code != 200:
            assert_problem(response, 400, "invalid-parameters")

    check()


def test_a_text_is_stored_as_it_came_or_refused(api: APIClient) -> None:
    @settings(max_examples=EXAMPLES)
    @given(TEXT | st.builds(str.ljust, TEXT, st.integers(9_990, 10_010), st.just("x")))
    def check(text: str) -> None:
        response = send(api, "POST", EXPENSES, {**NEW, "description": text})
        if "\x00" in text or len(text) > 10_000:
            return assert_refused(response, "/description")
        assert (response.status_code, response.json()["description"]) == (201, text)
        assert Expense.objects.get().description == text
        Expense.objects.all().delete()
        return None

    check()


def test_half_a_surrogate_pair_is_refused_wherever_it_is(api: APIClient) -> None:
    @settings(max_examples=50)
    @given(st.text(st.characters(categories=["Cs"]), min_size=1, max_size=1), TEXT, st.sampled_from(sorted(NEW)))
    def check(half: str, rest: str, member: str) -> None:
        assert_problem(send(api, "POST", EXPENSES, {**NEW, member: half + rest}), 400)
        assert_problem(send(api, "POST", EXPENSES, {**NEW, rest + half: "x"}), 400)

    check()


def test_the_name_of_a_category_is_a_text_that_says_something_or_refused(editor: APIClient) -> None:
    @settings(max_examples=EXAMPLES)
    @given(TEXT | st.text(st.characters(exclude_categories=["Cs"]), min_size=250, max_size=260))
    def check(name: str) -> None:
        Category.objects.all().delete()
        response = send(editor, "POST", CATEGORIES, {"name": name})
        if not name.strip() or "\x00" in name or len(name.strip()) > 255:
            assert_problem(response, 400)
            assert not Category.objects.exists()
        else:
            assert (response.status_code, response.json()["name"]) == (201, name.strip())

    check()


@pytest.fixture
def editor(owner: Any) -> APIClient:
    """Return the client of a user who may write categories and begin rebuilds."""
    return client_of(permitted(owner, "add_category", "change_category", "delete_category", "change_run"))


@pytest.mark.parametrize("member", ["id", "amount", "currency", "spent_on", "status", "description"])
def test_what_is_no_text_is_refused_where_a_text_is_wanted(api: APIClient, member: str) -> None:
    @settings(max_examples=50)
    @given(NOT_TEXT)
    def check(value: Any) -> None:
        assert_refused(send(api, "POST", EXPENSES, {**NEW, member: value}), f"/{member}")

    check()


@pytest.mark.parametrize("member", ["category", "owner"])
def test_what_is_no_integer_is_refused_where_an_id_is_wanted(api: APIClient, member: str) -> None:
    @settings(max_examples=50)
    @given(DOCUMENTS.filter(lambda value: type(value) is not int and not (value is None and member == "category")))
    def check(value: Any) -> None:
        assert_refused(send(api, "POST", EXPENSES, {**NEW, member: value}), f"/{member}")

    check()


WRITES = {
    "expense": ("POST", EXPENSES),
    "many": ("POST", f"{EXPENSES}bulk/"),
    "category": ("POST", CATEGORIES),
    "merge": ("POST", f"{CATEGORIES}1/merge/"),
    "login": ("POST", "/api/v1/auth/login/"),
    "rebuild": ("POST", f"{TOTALS}rebuild/"),
    "put": ("PUT", f"{EXPENSES}0198b5a2-7c1e-7000-8000-00000000000a/"),
}


@pytest.mark.parametrize("write", WRITES)
def test_any_document_and_any_bytes_are_refused(editor: APIClient, write: str) -> None:
    method, path = WRITES[write]
    # These have no member that must be there: an object without any is taken.
    taken = {"rebuild": [{}]}.get(write, [])

    @settings(max_examples=50)
    @given(DOCUMENTS.filter(lambda document: document not in taken), st.binary(max_size=40))
    def check(document: Any, content: bytes) -> None:
        assert_problem(send(editor, method, path, document), 400)
        if write != "rebuild" or content:
            assert_problem(editor.generic(method, path, content, content_type="application/json"), 400)

    check()
    assert not Expense.objects.exists()


def readers() -> list[tuple[str, str]]:
    """Return each query parameter of each list, with its path."""
    return [
        (path, parameter["name"])
        for path in (EXPENSES, CATEGORIES, TOTALS)
        for parameter in PATHS[path]["get"]["parameters"]
        if parameter["in"] == "query"
    ]


@pytest.mark.parametrize(("path", "name"), readers())
def test_any_value_of_a_parameter_is_read_or_refused_by_name(api: APIClient, path: str, name: str) -> None:
    @settings(max_examples=30)
    @given(st.one_of(TEXT, NUMBERS, DATES, st.from_regex(r"-?[a-z_]+(,-?[a-z_]+)*", fullmatch=True)))
    def check(value: str) -> None:
        response = api.get(f"{path}?{urlencode({name: value})}")
        if response.status_code == 404:
            assert name == "page"  # past the end
        elif response.status_code != 200:
            errors = assert_problem(response, 400, "invalid-parameters")["errors"]
            assert [error["parameter"] for error in errors] == [name]

    check()


@pytest.mark.parametrize("path", [EXPENSES, CATEGORIES, TOTALS])
def test_any_unknown_parameter_is_refused_by_name(api: APIClient, path: str) -> None:
    known = {name for at, name in readers() if at == path}

    @settings(max_examples=50)
    @given(TEXT.filter(lambda name: name not in known), TEXT)
    def check(name: str, value: str) -> None:
        errors = assert_problem(api.get(f"{path}?{urlencode({name: value})}"), 400)["errors"]
        assert name in [error["parameter"] for error in errors]

    check()


Check = Callable[[str], bool]


@pytest.mark.parametrize(
    ("check", "right", "wrong"),
    [
        (lambda text: is_number(text, 2), ["0", "-1.5", "007.25"], ["", "-", "1.", ".5", "1.234", "1e2", "+1", " 1"]),
        (is_date, ["1900-01-01", "2000-02-29"], ["1900-02-29", "2100-01-01", "2026-1-1", "2026-01-00", "20260101"]),
    ],
)
def test_what_is_right_is_told_rightly_here(check: Check, right: list[str], wrong: list[str]) -> None:
    assert all(map(check, right))
    assert not any(map(check, wrong))
