"""Totals by any keys, and their links to the very expenses behind them."""

from __future__ import annotations

import csv
import datetime as dt
import io
import itertools
from decimal import Decimal
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.core.management import call_command
from django.utils import timezone
from rest_framework.test import APIClient

from aggregates.models import RollupState, Run
from expenses.models import Category, Expense
from tests.integration.api.conftest import TOTALS, assert_problem, client_of

KEYS = ("owner", "category", "currency", "status", "day", "month", "quarter", "year")


def rows(client: APIClient, query: str = "") -> list[dict[str, Any]]:
    response = client.get(f"{TOTALS}?{query}")
    assert response.status_code == 200, response.content
    found: list[dict[str, Any]] = response.json()["results"]
    return found


def sums(client: APIClient, query: str, *keys: str) -> dict[Any, str]:
    return {
        tuple(row[key] for key in keys) if len(keys) > 1 else row[keys[0]]: row["sum"] for row in rows(client, query)
    }


@pytest.fixture
def ledger(spend: Any, stranger: User, travel: Category, food: Category) -> None:
    """A mixture: three currencies, drafts, a refund, uncategorised expenses, another owner."""
    spend("10.00", category=travel)
    spend("2.50", category=travel, spent_on=dt.date(2026, 2, 1), status="approved")
    spend("-1.25", category=food, spent_on=dt.date(2026, 2, 28))
    spend("7.00", spent_on=dt.date(2026, 4, 1))
    spend("99.00", status="draft", category=travel)
    spend("100", currency="JPY", category=food, spent_on=dt.date(2025, 12, 31))
    spend("0.005", currency="KWD")
    spend("5.00", owner=stranger, category=food)


def test_without_keys_there_is_one_row_a_currency(api: APIClient, ledger: None) -> None:
    assert sums(api, "", "currency") == {"EUR": "18.25", "JPY": "100", "KWD": "0.005"}


def test_a_row_has_keys_names_sum_average_count_and_link(api: APIClient, owner: User, ledger: None) -> None:
    row = rows(api, "group_by=owner,month&currency=EUR&to=2026-02-01")[0]
    assert row == {
        "owner": owner.pk,
        "owner_name": "olga",
        "month": "2026-01",
        "currency": "EUR",
        "sum": "10.00",
        "average": "10.00",
        "count": 1,
        "expenses": "http://testserver/api/v1/expenses/"
        f"?owner={owner.pk}&currency=EUR&status=approved,reimbursed,rejected,submitted&from=2026-01-01&to=2026-02-01",
    }


def test_uncategorised_expenses_have_a_row_of_their_own(
    api: APIClient, travel: Category, food: Category, ledger: None
) -> None:
    assert sums(api, "group_by=category&currency=EUR", "category", "category_name") == {
        (None, None): "7.00",
        (travel.pk, "Travel"): "12.50",
        (food.pk, "Food"): "-1.25",
    }


@pytest.mark.parametrize(
    ("key", "labels"),
    [
        ("day", ["2026-01-15", "2026-02-01", "2026-02-28", "2026-04-01"]),
        ("month", ["2026-01", "2026-02", "2026-04"]),
        ("quarter", ["2026-Q1", "2026-Q2"]),
        ("year", ["2026"]),
    ],
)
def test_periods_are_labelled(api: APIClient, ledger: None, key: str, labels: list[str]) -> None:
    assert [row[key] for row in rows(api, f"group_by={key}&currency=EUR")] == labels


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("from=2026-02-01", {"EUR": "8.25"}),
        ("from=2026-01-15&to=2026-02-28", {"EUR": "12.50", "KWD": "0.005"}),
        ("from=2026-01-16&to=2026-02-28", {"EUR": "2.50"}),
        ("category=none", {"EUR": "7.00", "KWD": "0.005"}),
        ("category=none&currency=EUR", {"EUR": "7.00"}),
        ("status=approved", {"EUR": "2.50"}),
        ("status=draft", {}),
        ("status=draft,approved", {"EUR": "2.50"}),
        ("currency=JPY,KWD", {"JPY": "100", "KWD": "0.005"}),
        ("category=99999", {}),
    ],
)
def test_filters_and_ranges_choose_what_is_summed(
    api: APIClient, ledger: None, query: str, expected: dict[str, str]
) -> None:
    assert sums(api, query, "currency") == expected


@pytest.mark.parametrize(
    ("amounts", "average"), [(("0.01", "0.02"), "0.02"), (("0.01", "0.04"), "0.02"), (("-0.01", "0"), "0.00")]
)
def test_an_average_is_rounded_half_to_even(api: APIClient, spend: Any, amounts: tuple[str, ...], average: str) -> None:
    for amount in amounts:
        spend(amount)
    assert rows(api)[0]["average"] == average


def test_buckets_that_became_empty_are_left_out(api: APIClient, spend: Any) -> None:
    spend("1.00").delete()
    assert rows(api, "group_by=day") == []


def test_a_bucket_that_sums_to_zero_is_shown(api: APIClient, spend: Any) -> None:
    spend("1.00")
    spend("-1.00")
    assert sums(api, "", "currency") == {"EUR": "0.00"}


@pytest.mark.parametrize("grouped", [c for n in (0, 1, 2, 8) for c in itertools.combinations(KEYS, n)], ids=",".join)
@pytest.mark.parametrize("filters", ["", "&from=2026-01-10&to=2026-03-01&status=submitted,draft"])
def test_the_expenses_behind_each_row_have_its_count_and_sum(
    auditor: User, ledger: None, grouped: tuple[str, ...], filters: str
) -> None:
    client = client_of(auditor)
    answer = rows(client, f"group_by={','.join(grouped)}{filters}")
    assert answer
    for row in answer:
        behind = client.get(row["expenses"]).json()
        amounts = [Decimal(expense["amount"]) for expense in behind["results"]]
        assert (behind["count"], sum(amounts)) == (row["count"], Decimal(row["sum"]))


def test_a_page_links_to_its_neighbours_and_together_they_are_everything(api: APIClient, ledger: None) -> None:
    everything = rows(api, "group_by=day")
    seen, url = [], f"{TOTALS}?group_by=day&page_size=2&ordering=-sum"
    while url:
        body = api.get(url).json()
        assert body["count"] == len(everything)
        seen += body["results"]
        url = body["next"]
    assert sorted(map(str, seen)) == sorted(map(str, everything))
    assert body["previous"] is not None


@pytest.mark.parametrize("page", ["2", "9" * 29])
def test_a_page_past_the_end_is_404(api: APIClient, ledger: None, page: str) -> None:
    assert_problem(api.get(f"{TOTALS}?page={page}"), 404)


def test_an_empty_answer_is_one_empty_page(api: APIClient) -> None:
    body = api.get(TOTALS).json()
    assert (body["count"], body["results"], body["next"]) == (0, [], None)


@pytest.mark.parametrize("column", [*KEYS, "owner_name", "category_name", "sum", "average", "count"])
def test_any_column_orders_the_rows_both_ways(auditor: User, ledger: None, column: str) -> None:
    client, query = client_of(auditor), f"group_by={','.join(k for k in KEYS if k != 'currency')}&ordering="

    def rank(row: dict[str, Any]) -> Any:
        value = Decimal(row[column]) if column in ("sum", "average") else row[column]
        return (value is not None, value)

    rising, falling = rows(client, query + column), rows(client, f"{query}-{column}")
    assert [rank(r) for r in rising] == sorted(rank(r) for r in rising)
    assert [rank(r) for r in falling] == sorted((rank(r) for r in falling), reverse=True)


def test_as_of_is_the_databases_time(api: APIClient) -> None:
    before = timezone.now() - dt.timedelta(seconds=1)
    as_of = dt.datetime.fromisoformat(api.get(TOTALS).json()["as_of"])
    assert before <= as_of <= timezone.now() + dt.timedelta(seconds=1)


def test_verified_at_is_null_until_a_verify_was_clean(api: APIClient) -> None:
    assert api.get(TOTALS).json()["verified_at"] is None


def test_verified_at_is_the_start_of_the_last_clean_verify(api: APIClient, spend: Any) -> None:
    spend()
    call_command("verify_totals", stdout=io.StringIO())
    run = Run.objects.get(kind=Run.Kind.VERIFY, totals="expenses.ExpenseTotals")
    assert dt.datetime.fromisoformat(api.get(TOTALS).json()["verified_at"]) == run.started_at


def test_only_own_rows_are_summed(api: APIClient, stranger: User, ledger: None) -> None:
    assert sums(client_of(stranger), "", "currency") == {"EUR": "5.00"}
    assert sums(api, f"owner={stranger.pk}", "currency") == {}
    assert sums(api, f"owner={stranger.pk},999", "currency") == {}


def test_who_may_see_all_sums_all_or_those_chosen(auditor: User, owner: User, stranger: User, ledger: None) -> None:
    client = client_of(auditor)
    assert sums(client, "currency=EUR", "currency") == {"EUR": "23.25"}
    assert sums(client, f"currency=EUR&owner={stranger.pk}", "currency") == {"EUR": "5.00"}
    assert sums(client, "currency=EUR&group_by=owner", "owner") == {owner.pk: "18.25", stranger.pk: "5.00"}


def test_totals_follow_every_write_of_the_api(api: APIClient, new: dict[str, Any]) -> None:
    path = api.post("/api/v1/expenses/", new)["Location"]
    assert sums(api, "", "currency") == {"EUR": "12.50"}
    api.patch(path, {"amount": "20.00", "currency": "USD"})
    assert sums(api, "", "currency") == {"USD": "20.00"}
    api.put(path, new)
    assert sums(api, "", "currency") == {"EUR": "12.50"}
    api.patch(path, {"status": "draft"})
    assert sums(api, "", "currency") == {}
    api.patch(path, {"status": "approved"})
    api.delete(path)
    assert sums(api, "", "currency") == {}


def test_csv_is_the_whole_answer_with_a_header_line(api: APIClient, ledger: None) -> None:
    response = api.get(f"{TOTALS}?group_by=category,month&page_size=1&format=csv")
    assert response["Content-Type"] == "text/csv; charset=utf-8"
    lines = list(csv.DictReader(io.StringIO(response.getvalue().decode())))
    assert list(lines[0]) == ["category", "category_name", "month", "currency", "sum", "average", "count", "expenses"]
    assert [(line["month"], line["sum"]) for line in lines] == [
        (row["month"], row["sum"]) for row in rows(api, "group_by=category,month")
    ]
    assert "-1.25" in [line["sum"] for line in lines]


@pytest.mark.parametrize("start", ["=", "+", "-", "@", "\t", "\r", "\n", "\uff1d", "\uff0b", "\uff0d", "\uff20"])
def test_text_that_a_spreadsheet_takes_for_a_formula_is_quoted_in_csv(api: APIClient, spend: Any, start: str) -> None:
    spend("-3.00", category=Category.objects.create(name=f"{start}1+1"))
    text = api.get(f"{TOTALS}?group_by=category&format=csv").getvalue().decode()
    line = next(csv.DictReader(io.StringIO(text, newline="")))
    assert (line["category_name"], line["sum"]) == (f"'{start}1+1", "-3.00")


def test_the_header_line_is_there_without_rows(api: APIClient) -> None:
    assert api.get(f"{TOTALS}?format=csv").getvalue() == b"currency,sum,average,count,expenses\r\n"


def test_accepting_csv_asks_for_it(api: APIClient) -> None:
    assert api.get(TOTALS, HTTP_ACCEPT="text/csv")["Content-Type"].startswith("text/csv")


@pytest.mark.parametrize("format", ["json", "csv"])
def test_while_no_rollup_is_ready_the_answer_is_503(api: APIClient, spend: Any, format: str) -> None:  # noqa: A002
    spend()
    RollupState.objects.all().delete()
    response = api.get(f"{TOTALS}?format={format}")
    assert_problem(response, 503, "totals-not-ready")
    assert response["Retry-After"]


@pytest.mark.parametrize("method", ["post", "put", "patch", "delete"])
def test_totals_cannot_be_written(api: APIClient, method: str) -> None:
    assert_problem(getattr(api, method)(TOTALS, {}), 405)


@pytest.mark.parametrize("many", [1, 30])
def test_totals_take_the_same_few_queries_however_many(
    api: APIClient, spend: Any, django_assert_num_queries: Any, many: int
) -> None:
    for day in range(many):
        spend(spent_on=dt.date(2026, 3, 1) + dt.timedelta(days=day))
    with django_assert_num_queries(8):  # token, two of permissions, readiness, time, rows, verified_at, months
        assert api.get(f"{TOTALS}?group_by=day,owner,category").json()["count"] == many


def test_no_expense_is_read(api: APIClient, ledger: None, django_assert_num_queries: Any) -> None:
    with django_assert_num_queries(8) as captured:
        rows(api, "group_by=owner,category,day")
    assert not [query for query in captured if Expense._meta.db_table + '"' in query["sql"]]
