"""A range beside the period before it: the same figures as two questions, from one statement."""

from __future__ import annotations

import datetime as dt
import random
from dataclasses import replace
from decimal import Decimal
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.db import connection, transaction
from django.test.utils import CaptureQueriesContext
from hypothesis import given, settings
from hypothesis import strategies as st
from rest_framework.test import APIClient

from aggregates import registry
from aggregates.exceptions import TotalsNotReady
from aggregates.models import RollupState
from expenses.comparison import before, compare
from expenses.models import Category, Expense, ExpenseTotals, Status
from expenses.reports import MEASURES, Question, answer
from tests.integration.api.conftest import TOTALS, assert_problem, client_of

KEYS = ("owner", "category", "currency", "status")
FEBRUARY = "from=2026-02-01&to=2026-03-01"
NOTHING = {"sum": Decimal(0), "average": None, "count": 0}


def ranged(low: str, high: str, *group_by: str) -> Question:
    return Question(date_from=dt.date.fromisoformat(low), date_to=dt.date.fromisoformat(high), group_by=group_by)


def rows(client: APIClient, query: str) -> list[dict[str, Any]]:
    response = client.get(f"{TOTALS}?compare=previous&{query}")
    assert response.status_code == 200, response.content
    found: list[dict[str, Any]] = response.json()["results"]
    return found


@pytest.mark.once
@pytest.mark.parametrize(
    ("low", "high", "first"),
    [
        ("2026-02-01", "2026-03-01", "2026-01-01"),  # a month: the one before it, which is longer
        ("2026-03-01", "2026-04-01", "2026-02-01"),
        ("2026-01-01", "2026-02-01", "2025-12-01"),
        ("2026-04-01", "2026-07-01", "2026-01-01"),  # a quarter
        ("2026-01-01", "2027-01-01", "2025-01-01"),  # a year
        ("2024-01-01", "2025-01-01", "2023-01-01"),  # a leap year
        ("2026-02-01", "2026-04-01", "2025-12-01"),  # two months, over the year's end
        ("2026-02-02", "2026-03-01", "2026-01-06"),  # 27 days
        ("2026-02-01", "2026-03-02", "2026-01-03"),  # 29 days
        ("2026-01-15", "2026-02-15", "2025-12-15"),  # 31 days
        ("2026-03-15", "2026-04-15", "2026-02-12"),  # 31 days, though from the 15th to the 15th
        ("2024-03-01", "2024-03-02", "2024-02-29"),  # a day
        ("1950-01-01", "2000-01-01", "1900-01-01"),
        ("1900-01-02", "1900-01-03", "1900-01-01"),
        ("2000-01-01", "2100-01-01", "1900-01-01"),
    ],
)
def test_the_period_before_is_as_long_and_ends_where_the_range_begins(low: str, high: str, first: str) -> None:
    question = replace(ranged(low, high, "owner"), statuses=frozenset({"approved"}))
    earlier = dt.date.fromisoformat(first)
    assert before(question) == replace(question, date_from=earlier, date_to=question.date_from)


@pytest.mark.once
@pytest.mark.parametrize(
    ("question", "reason"),
    [
        (Question(), "from and to"),
        (Question(date_from=dt.date(2026, 1, 1)), "from and to"),
        (Question(date_to=dt.date(2026, 1, 1)), "from and to"),
        (ranged("2026-01-01", "2026-02-01", "category", "month"), "month out of group_by"),
        (ranged("2026-01-01", "2026-02-01", "day", "year"), "day, year out of group_by"),
        (ranged("1900-01-01", "1900-02-01"), "begin on 1899-12-01"),
        (ranged("1900-01-02", "1900-01-04"), "begin on 1899-12-31"),
        (ranged("1900-01-01", "2100-01-01"), "begin on 1700-01-01"),
    ],
)
def test_what_cannot_be_compared_is_refused(question: Question, reason: str) -> None:
    with pytest.raises(ValueError, match=reason):
        before(question)


# Days at and around the edges of months, and nothing between: ranges then often have expenses on both sides.
DAYS = [dt.date(2024, month, day) for month in range(1, 7) for day in (1, 2, 14, 28)]


@pytest.fixture
def people(db: None) -> list[User]:
    return [User.objects.create_user(name) for name in ("ada", "ben")]


@pytest.fixture
def expenses(people: list[User], travel: Category, food: Category) -> None:
    """Store expenses of every kind."""
    rng = random.Random()
    Expense.objects.bulk_create(
        Expense(
            owner=rng.choice(people),
            category=rng.choice([travel, food, None]),
            amount=Decimal(rng.randint(-(10**9), 10**9)).scaleb(-4),
            currency=rng.choice(["EUR", "JPY"]),
            spent_on=rng.choice(DAYS),
            status=rng.choice(Status.values),
        )
        for _ in range(120)
    )


def questions(people: list[User], categories: list[Category]) -> st.SearchStrategy[Question]:
    edges = st.sampled_from(DAYS) | st.dates(dt.date(2023, 11, 1), dt.date(2024, 9, 1))
    return st.builds(
        lambda low_high, **rest: Question(date_from=min(low_high), date_to=max(low_high), **rest),
        st.tuples(edges, edges).filter(lambda both: both[0] != both[1]),
        owners=st.none() | st.just(frozenset({people[0].pk})),
        categories=st.none() | st.frozensets(st.sampled_from([*(c.pk for c in categories), None]), min_size=1),
        statuses=st.none() | st.frozensets(st.sampled_from(Status.values), min_size=1),
        group_by=st.lists(st.sampled_from(KEYS), unique=True).map(tuple),
    )


def by_key(question: Question) -> dict[tuple[Any, ...], dict[str, Any]]:
    """Return the measures of each row that answers a question, by its keys and their names."""
    named = [column for column in question.columns if column not in MEASURES]
    return {
        tuple(row[column] for column in named): {measure: row[measure] for measure in MEASURES}
        for row in answer(question).stream()
    }


def side_by_side(question: Question) -> list[tuple[tuple[Any, ...], dict[str, Any], dict[str, Any], Decimal]]:
    """Return the rows of a comparison as two questions answer them, in no particular order."""
    now, then = by_key(question), by_key(before(question))
    pairs = [(key, now.get(key, NOTHING), then.get(key, NOTHING)) for key in {*now, *then}]
    return [(key, one, other, one["sum"] - other["sum"]) for key, one, other in pairs]


def compared(question: Question) -> list[tuple[tuple[Any, ...], dict[str, Any], dict[str, Any], Decimal]]:
    named = [column for column in question.columns if column not in MEASURES]
    return [
        (
            tuple(row[column] for column in named),
            {measure: row[measure] for measure in MEASURES},
            row["previous"],
            row["change"],
        )
        for row in compare(question).stream()
    ]


@pytest.mark.long
def test_a_comparison_is_what_two_questions_answer_whichever_rollups_are_ready(
    people: list[User], expenses: None, travel: Category, food: Category
) -> None:
    names = [rollup.name for rollup in registry.definition(ExpenseTotals).rollups]
    sizes = st.dictionaries(st.sampled_from(names), st.integers(0, 3))

    @settings(max_examples=150)
    @given(questions(people, [travel, food]), sizes | st.none())
    def check(question: Question, sizes: dict[str, int] | None) -> None:
        expected = {key: rest for key, *rest in side_by_side(question)}
        with transaction.atomic():
            states = RollupState.objects.filter(totals="expenses.ExpenseTotals")
            if sizes is not None:
                states.exclude(rollup__in=sizes).delete()
                for rollup, buckets in sizes.items():
                    states.filter(rollup=rollup).update(buckets=buckets)
            try:
                found = compared(question)
                assert {key: rest for key, *rest in found} == expected
                assert len(found) == len(expected)
            except TotalsNotReady:
                assert sizes is not None
                assert "day" not in sizes  # which can answer anything
            transaction.set_rollback(True)

    check()


def test_a_row_has_both_periods_figures_and_links(api: APIClient, owner: User, spend: Any, travel: Category) -> None:
    spend("10.00", category=travel, spent_on=dt.date(2026, 1, 31))
    spend("2.50", category=travel, spent_on=dt.date(2026, 2, 1))
    spend("3.50", category=travel, spent_on=dt.date(2026, 2, 28))
    spend("99.00", category=travel, spent_on=dt.date(2025, 12, 31))
    spend("99.00", category=travel, spent_on=dt.date(2026, 3, 1))
    behind = "http://testserver/api/v1/expenses/?" + (
        f"owner={owner.pk}&category={travel.pk}&currency=EUR&status=approved,reimbursed,rejected,submitted"
    )
    assert rows(api, f"group_by=category&{FEBRUARY}") == [
        {
            "category": travel.pk,
            "category_name": "Travel",
            "currency": "EUR",
            "sum": "6.00",
            "average": "3.00",
            "count": 2,
            "expenses": f"{behind}&from=2026-02-01&to=2026-03-01",
            "previous": {
                "sum": "10.00",
                "average": "10.00",
                "count": 1,
                "expenses": f"{behind}&from=2026-01-01&to=2026-02-01",
            },
            "change": "-4.00",
        }
    ]


def test_what_only_one_period_has_stands_beside_zeros(api: APIClient, spend: Any) -> None:
    spend("10.00", spent_on=dt.date(2026, 1, 15))
    spend("500", currency="JPY", spent_on=dt.date(2026, 2, 15))
    gone, new = rows(api, f"ordering=currency&{FEBRUARY}")
    assert (gone["sum"], gone["average"], gone["count"], gone["change"]) == ("0.00", None, 0, "-10.00")
    assert (gone["previous"]["sum"], gone["previous"]["count"]) == ("10.00", 1)
    assert (new["sum"], new["count"], new["change"]) == ("500", 1, "500")
    assert (new["previous"]["sum"], new["previous"]["average"], new["previous"]["count"]) == ("0", None, 0)


def test_buckets_that_became_empty_in_both_periods_are_left_out(api: APIClient, spend: Any) -> None:
    for day in (dt.date(2026, 1, 15), dt.date(2026, 2, 15)):
        spend(spent_on=day).delete()
    assert rows(api, FEBRUARY) == []


def test_sums_that_cancel_out_are_no_reason_to_leave_a_row_out(api: APIClient, spend: Any) -> None:
    for amount in ("5.00", "-5.00"):
        spend(amount, spent_on=dt.date(2026, 1, 15))
    (row,) = rows(api, FEBRUARY)
    assert (row["count"], row["previous"]["sum"], row["previous"]["count"]) == (0, "0.00", 2)


@pytest.mark.parametrize(
    ("query", "reason"),
    [
        ("compare=previous", "from and to"),
        ("compare=previous&from=2026-01-01", "from and to"),
        ("compare=previous&to=2026-01-01", "from and to"),
        ("compare=previous&from=1900-01-01&to=1900-02-01", "1899-12-01"),
        ("compare=next&from=2026-01-01&to=2026-02-01", "previous"),
        *[(f"compare=previous&{FEBRUARY}&group_by=category,{p}", p) for p in ("day", "month", "quarter", "year")],
    ],
)
@pytest.mark.parametrize("format", ["json", "csv", "jsonl"])
def test_a_comparison_that_cannot_be_is_400_and_says_why(api: APIClient, query: str, reason: str, format: str) -> None:  # noqa: A002
    (error,) = assert_problem(api.get(f"{TOTALS}?{query}&format={format}"), 400, "invalid-parameters")["errors"]
    assert error["parameter"] == "compare"
    assert reason in error["detail"]


@pytest.mark.parametrize("column", ["change", "previous_sum", "previous_average", "previous_count"])
def test_only_a_comparison_is_ordered_by_the_period_before(api: APIClient, column: str) -> None:
    (error,) = assert_problem(api.get(f"{TOTALS}?{FEBRUARY}&ordering={column}"), 400)["errors"]
    assert error["parameter"] == "ordering"


@pytest.mark.parametrize("page_size", ["1", "1000"])
@pytest.mark.parametrize(
    "column",
    [
        *("owner", "owner_name", "category", "category_name", "currency", "status", "sum", "average", "count"),
        *("previous_sum", "previous_average", "previous_count", "change"),
    ],
)
def test_any_column_orders_a_comparison_over_all_pages(
    auditor: User, expenses: None, column: str, page_size: str
) -> None:
    client, within = client_of(auditor), "from=2024-03-01&to=2024-05-01"
    if column.endswith("average"):
        within += "&currency=EUR"  # shown rounded, with as many digits as the currency has
    query = f"group_by=owner,category,status&{within}&page_size={page_size}&ordering="

    def rank(row: dict[str, Any]) -> Any:
        flat = {**row, **{f"previous_{name}": value for name, value in row["previous"].items()}}
        value = flat[column]
        number = column.endswith(("sum", "average", "change"))
        return (value is not None, Decimal(value) if number and value is not None else value)

    for sign in ("", "-"):
        found, url = [], f"{TOTALS}?compare=previous&{query}{sign}{column}"
        while url:
            body = client.get(url).json()
            found += body["results"]
            url = body["next"]
        ranks = [rank(row) for row in found]
        assert len(found) == body["count"]
        assert ranks == sorted(ranks, reverse=bool(sign))


def test_a_comparison_compares_own_rows_only(api: APIClient, stranger: User, spend: Any) -> None:
    for day in (dt.date(2026, 1, 15), dt.date(2026, 2, 15)):
        spend("7.00", spent_on=day)
        spend("5.00", owner=stranger, spent_on=day)
    (row,) = rows(api, FEBRUARY)
    assert (row["sum"], row["previous"]["sum"]) == ("7.00", "7.00")
    assert rows(api, f"owner={stranger.pk}&{FEBRUARY}") == []


@pytest.mark.parametrize("within", [FEBRUARY, "from=2026-01-20&to=2026-03-10"])
def test_a_comparison_takes_the_queries_of_any_answer_one_of_them_of_totals(
    api: APIClient, spend: Any, within: str
) -> None:
    for day in range(40):
        spend(spent_on=dt.date(2026, 1, 10) + dt.timedelta(days=day))
    with CaptureQueriesContext(connection) as queries:
        assert len(rows(api, f"group_by=owner,status&{within}")) == 1
    assert len(queries) == 8
    assert len([query for query in queries if ExpenseTotals._meta.db_table in query["sql"]]) == 1
