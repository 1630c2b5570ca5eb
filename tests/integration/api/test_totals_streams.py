"""Whole answers as streams: everything or a problem, and never a part of it."""

from __future__ import annotations

import csv
import datetime as dt
import io
import json
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.core.signals import request_finished
from django.db import OperationalError, close_old_connections, connection
from django.test.utils import CaptureQueriesContext
from rest_framework.test import APIClient

from aggregates.models import RollupState
from api import totals_export
from expenses import reports
from expenses.models import Category, ExpenseTotals
from expenses.reports import Question
from tests.integration.api.conftest import TOTALS, assert_problem, client_of

STREAMS = ["csv", "jsonl"]
RANGE = "from=2026-02-01&to=2026-03-01"


def lines(client: APIClient, query: str) -> list[dict[str, Any]]:
    response = client.get(f"{TOTALS}?{query}&format=jsonl")
    assert response.status_code == 200, response.content
    return [json.loads(line) for line in response.getvalue().splitlines()]


def of_totals(queries: CaptureQueriesContext) -> list[str]:
    return [query["sql"] for query in queries if ExpenseTotals._meta.db_table in query["sql"]]


def cursors() -> int:
    """Return how many answers the server holds that have not been read to their end."""
    if connection.vendor != "postgresql":
        return 0
    with connection.cursor() as cursor:
        cursor.execute("SELECT count(*) FROM pg_cursors WHERE name <> ''")
        return int(cursor.fetchone()[0])


@pytest.fixture
def months(spend: Any, travel: Category, food: Category) -> None:
    """Store expenses of two months, currencies and categories."""
    for month in (1, 2):
        for category in (travel, food, None):
            spend("10.50", category=category, spent_on=dt.date(2026, month, 15))
            spend("-7", category=category, currency="JPY", spent_on=dt.date(2026, month, 16))


@pytest.mark.parametrize("query", ["", "group_by=category,month", "group_by=owner,day&ordering=-sum", "currency=JPY"])
def test_json_lines_are_the_rows_of_all_pages(api: APIClient, months: None, query: str) -> None:
    response = api.get(f"{TOTALS}?{query}&page_size=1&format=jsonl")
    assert response["Content-Type"] == "application/jsonl"
    assert response.getvalue().endswith(b"}\n")
    assert lines(api, f"{query}&page_size=1") == api.get(f"{TOTALS}?{query}").json()["results"]


def test_there_are_no_lines_without_rows(api: APIClient) -> None:
    assert api.get(f"{TOTALS}?format=jsonl").getvalue() == b""


@pytest.mark.parametrize("name", ["two\nlines", "a\u2028b", "é “q” \\", "=1+1"])
def test_a_row_is_one_line_whatever_its_text(api: APIClient, spend: Any, name: str) -> None:
    spend(category=Category.objects.create(name=name))
    text = api.get(f"{TOTALS}?group_by=category&format=jsonl").getvalue().decode()
    assert [json.loads(line)["category_name"] for line in text.splitlines()] == [name]


@pytest.mark.parametrize(("accept", "expected"), [("application/jsonl", "application/jsonl"), ("*/*", "json")])
def test_accepting_json_lines_asks_for_them(api: APIClient, accept: str, expected: str) -> None:
    assert api.get(TOTALS, HTTP_ACCEPT=accept)["Content-Type"].endswith(expected)


def test_only_own_rows_are_streamed(months: None, stranger: User) -> None:
    assert lines(client_of(stranger), "") == []


@pytest.mark.parametrize("format", STREAMS)
@pytest.mark.parametrize("compare", ["", f"&compare=previous&{RANGE}"])
def test_a_stream_is_read_by_one_statement(api: APIClient, months: None, format: str, compare: str) -> None:  # noqa: A002
    with CaptureQueriesContext(connection) as queries:
        assert api.get(f"{TOTALS}?group_by=category&format={format}{compare}").getvalue()
    assert len(of_totals(queries)) == 1
    assert len(queries) == 5  # token, two of permissions, readiness, rows


@pytest.mark.parametrize("format", STREAMS)
@pytest.mark.parametrize("compare", ["", f"&compare=previous&{RANGE}"])
def test_a_stream_of_totals_that_are_not_ready_is_a_problem(
    api: APIClient,
    months: None,
    format: str,  # noqa: A002
    compare: str,
) -> None:
    RollupState.objects.all().delete()
    response = api.get(f"{TOTALS}?format={format}{compare}")
    assert_problem(response, 503, "totals-not-ready")
    assert response["Retry-After"]


@pytest.mark.parametrize("format", STREAMS)
def test_a_statement_that_fails_is_a_problem_and_no_broken_stream(api: APIClient, months: None, format: str) -> None:  # noqa: A002
    def refuse(execute: Any, sql: str, params: Any, many: bool, context: Any) -> Any:
        if ExpenseTotals._meta.db_table in sql:
            raise OperationalError("canceling statement due to statement timeout")
        return execute(sql, params, many, context)

    with connection.execute_wrapper(refuse):
        assert_problem(api.get(f"{TOTALS}?format={format}"), 503)


@pytest.mark.parametrize("format", STREAMS)
@pytest.mark.parametrize("sent", [0, 2])
def test_a_client_that_goes_away_leaves_no_cursor_behind(months: None, format: str, sent: int) -> None:  # noqa: A002
    answer = reports.answer(Question(group_by=("day",)))
    response = totals_export.response(format, ("day", "currency"), answer.stream())
    for _line in range(sent):
        next(iter(response))
    opened = cursors()
    request_finished.disconnect(close_old_connections)  # the test is not at its end yet
    response.close()
    request_finished.connect(close_old_connections)
    assert (opened, cursors()) == (int(connection.vendor == "postgresql"), 0)


def test_a_comparison_in_csv_has_a_column_for_each_figure(api: APIClient, months: None, spend: Any) -> None:
    spend("5.00", currency="USD", spent_on=dt.date(2026, 1, 31))
    text = api.get(f"{TOTALS}?compare=previous&{RANGE}&format=csv").getvalue().decode()
    found = {line["currency"]: line for line in csv.DictReader(io.StringIO(text, newline=""))}
    assert list(found["EUR"]) == [
        "currency", "sum", "average", "count", "expenses",
        "previous_sum", "previous_average", "previous_count", "previous_expenses", "change",
    ]  # fmt: skip
    shown = {row["currency"]: row for row in lines(api, f"compare=previous&{RANGE}")}
    for currency, line in found.items():
        row = shown[currency]
        flat = {**row, **{f"previous_{name}": value for name, value in row["previous"].items()}}
        assert line == {name: "" if flat[name] is None else str(flat[name]) for name in line}
    assert (found["USD"]["average"], found["USD"]["change"]) == ("", "-5.00")
