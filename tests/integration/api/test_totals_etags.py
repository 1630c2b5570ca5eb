"""Tags of totals: who has an answer already is told so, and is told nothing of anybody else's."""

from __future__ import annotations

import datetime as dt
import io
from decimal import Decimal
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.core.management import call_command
from hypothesis import given
from hypothesis import strategies as st
from rest_framework.test import APIClient

from aggregates.models import RollupState
from api.etags import etag, matches, matches_strongly, weak
from expenses.models import Category
from tests.integration.api.conftest import TOTALS, assert_problem, client_of, permitted

AT = dt.datetime(2026, 1, 31, 12, 0, 0, 1, tzinfo=dt.UTC)
PARTS = st.recursive(st.none() | st.booleans() | st.integers() | st.text(max_size=3), st.lists, max_leaves=4)


def tag_of(client: APIClient, query: str = "") -> str:
    response = client.get(f"{TOTALS}?{query}")
    assert response.status_code == 200, response.content
    return str(response["ETag"])


@pytest.mark.once
@given(st.lists(PARTS, max_size=3), st.lists(PARTS, max_size=3))
def test_a_tag_is_the_same_for_the_same_parts_and_for_no_others(one: list[Any], other: list[Any]) -> None:
    assert etag(*one) == etag(*one)
    assert (etag(*one) == etag(*other)) == (repr(one) == repr(other))


@pytest.mark.once
@pytest.mark.parametrize(
    ("one", "other"),
    [
        (("a", "b"), ("ab",)),
        ((AT,), (AT.replace(microsecond=2),)),
        ((dt.date(2026, 1, 31),), (dt.date(2026, 2, 1),)),
        ((Decimal("1.0"),), (Decimal("1.00"),)),
        ((Decimal("922337203685477.5806"),), (Decimal("922337203685477.5807"),)),
        (({"a": 1},), ({"a": 2},)),
        ((None,), ("null",)),
        ((1,), ("1",)),
    ],
)
def test_what_differs_little_has_another_tag(one: tuple[Any, ...], other: tuple[Any, ...]) -> None:
    assert etag(*one) != etag(*other)


@pytest.mark.once
@pytest.mark.parametrize("part", [{"a", "b"}, object(), b"bytes", [dt.time(12)]])
def test_a_part_without_a_text_of_its_own_is_refused(part: Any) -> None:
    with pytest.raises(TypeError, match="entity tag"):
        etag("row", part)


@pytest.mark.once
@pytest.mark.parametrize(
    ("header", "weakly", "strongly"),
    [
        (None, False, False),
        ("", False, False),
        ('"a"', True, True),
        ('W/"a"', True, False),
        ("*", True, True),
        ('"b", "a"', True, True),
        ('"b","a","c"', True, True),
        ('"b" , W/"a"', True, False),
        ('"b", W/"c"', False, False),
        ("a", False, False),
        ('"a', False, False),
        ('w/"a"', False, False),
        ('"A"', False, False),
        ('"b", *', False, False),
        ("\x00", False, False),
    ],
)
def test_a_header_names_tags(header: str | None, weakly: bool, strongly: bool) -> None:
    assert (matches(header, '"a"'), matches_strongly(header, '"a"')) == (weakly, strongly)
    assert matches(header, weak('"a"')) == weakly
    assert matches_strongly(header, weak('"a"')) == (header == "*")


def test_who_has_the_answer_gets_304_without_a_body(api: APIClient, spend: Any) -> None:
    spend()
    whole = api.get(TOTALS)
    for header in (whole["ETag"], whole["ETag"].removeprefix("W/"), f'"other", {whole["ETag"]}', "*"):
        response = api.get(TOTALS, HTTP_IF_NONE_MATCH=header)
        assert (response.status_code, response.content) == (304, b"")
        assert {name: response[name] for name in ("ETag", "Vary", "Cache-Control")} == {
            name: whole[name] for name in ("ETag", "Vary", "Cache-Control")
        }
        assert "Content-Type" not in response
    assert (whole["Cache-Control"], whole["Vary"]) == ("private", "Accept, Authorization, Cookie")


def test_who_has_another_answer_gets_this_one(api: APIClient, spend: Any) -> None:
    spend()
    tag = tag_of(api)
    spend()
    response = api.get(TOTALS, HTTP_IF_NONE_MATCH=tag)
    assert (response.status_code, response.json()["results"][0]["count"]) == (200, 2)


def test_the_time_of_the_answer_is_not_in_its_tag(api: APIClient, spend: Any) -> None:
    spend()
    first, second = api.get(TOTALS), api.get(TOTALS)
    assert first.json()["as_of"] is not None
    assert first["ETag"] == second["ETag"]


def test_a_clean_verify_is_in_the_tag(api: APIClient, spend: Any) -> None:
    spend()
    before = tag_of(api)
    call_command("verify_totals", stdout=io.StringIO())
    verified = tag_of(api)
    call_command("verify_totals", stdout=io.StringIO())
    assert len({before, verified, tag_of(api)}) == 3


def test_rows_on_other_pages_are_in_the_tag_as_their_number(api: APIClient, spend: Any) -> None:
    spend(spent_on=dt.date(2026, 1, 1))
    before = tag_of(api, "group_by=day&page_size=1")
    spend(spent_on=dt.date(2026, 1, 2))
    assert tag_of(api, "group_by=day&page_size=1") != before


def test_a_renamed_category_is_in_the_tag(api: APIClient, spend: Any, travel: Category) -> None:
    spend(category=travel)
    before = tag_of(api, "group_by=category")
    Category.objects.filter(pk=travel.pk).update(name="Trips")
    assert tag_of(api, "group_by=category") != before


@pytest.mark.parametrize("amount", [None, "10.00"])
def test_no_owner_has_the_tag_of_another_whatever_they_are_shown(
    api: APIClient, owner: User, stranger: User, spend: Any, amount: str | None
) -> None:
    other = client_of(stranger)
    for user in (owner, stranger):
        if amount:
            spend(amount, owner=user)
    tag = tag_of(api)
    response = other.get(TOTALS, HTTP_IF_NONE_MATCH=tag)
    assert response.status_code == 200
    assert response["ETag"] != tag


def test_no_two_who_see_everything_share_a_tag(auditor: User, finance: User, spend: Any) -> None:
    spend()
    assert tag_of(client_of(auditor)) != tag_of(client_of(finance))


def test_who_comes_to_see_everything_has_another_tag(owner: User) -> None:
    before = tag_of(client_of(owner))
    assert tag_of(client_of(permitted(owner, "view_all_expenses"))) != before


def test_a_tag_tells_nothing_of_what_the_user_may_not_see(api: APIClient, stranger: User, spend: Any) -> None:
    spend()
    tags = tag_of(api), tag_of(api, f"owner={stranger.pk}")
    spend("77.00", owner=stranger)
    assert (tag_of(api), tag_of(api, f"owner={stranger.pk}")) == tags


def test_head_is_get_without_its_body(api: APIClient, spend: Any) -> None:
    spend()
    head, get = api.head(TOTALS), api.get(TOTALS)
    assert (head.status_code, head.content) == (200, b"")
    headers = ("ETag", "Vary", "Cache-Control", "Content-Type")
    assert [head[name] for name in headers] == [get[name] for name in headers]
    assert api.head(TOTALS, HTTP_IF_NONE_MATCH=get["ETag"]).status_code == 304


@pytest.mark.parametrize("format", ["csv", "jsonl"])
def test_streams_have_no_tag(api: APIClient, spend: Any, format: str) -> None:  # noqa: A002
    spend()
    for method in (api.get, api.head):
        response = method(f"{TOTALS}?format={format}", HTTP_IF_NONE_MATCH="*")
        response.getvalue()  # which closes it, as a server does
        assert response.status_code == 200
        assert "ETag" not in response
        assert response["Cache-Control"] == "private"


def test_no_tag_hides_an_error(api: APIClient, spend: Any) -> None:
    assert_problem(api.get(f"{TOTALS}?page=2", HTTP_IF_NONE_MATCH="*"), 404)
    assert_problem(api.get(f"{TOTALS}?page=0", HTTP_IF_NONE_MATCH="*"), 400)
    assert_problem(APIClient().get(TOTALS, HTTP_IF_NONE_MATCH="*"), 401)
    RollupState.objects.all().delete()
    assert_problem(api.get(TOTALS, HTTP_IF_NONE_MATCH="*"), 503, "totals-not-ready")


@pytest.mark.parametrize("many", [1, 30])
def test_304_takes_the_queries_of_the_answer_however_many_rows(
    api: APIClient, spend: Any, django_assert_num_queries: Any, many: int
) -> None:
    for day in range(many):
        spend(spent_on=dt.date(2026, 3, 1) + dt.timedelta(days=day))
    with django_assert_num_queries(8):  # token, two of permissions, readiness, time, rows, verified_at, months
        assert api.get(f"{TOTALS}?group_by=day", HTTP_IF_NONE_MATCH="*").status_code == 304
