"""One line a request, with its id, without its secrets; and pages that say that the service is busy."""

from __future__ import annotations

import logging
import uuid
from collections.abc import Callable, Iterator
from decimal import Decimal
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.contrib.sessions.middleware import SessionMiddleware
from django.db import IntegrityError, OperationalError, connection
from django.http import StreamingHttpResponse
from django.test import Client, RequestFactory
from rest_framework.test import APIClient

from aggregates.fields import MAX_VALUE
from api import expense_writes
from api.request_log import RequestLog
from expenses.models import Expense
from tests.integration.api.conftest import EXPENSES, PASSWORD, TOTALS, assert_problem

pytestmark = pytest.mark.django_db

Lines = Callable[[], list[dict[str, Any]]]


@pytest.fixture
def lines(caplog: pytest.LogCaptureFixture) -> Lines:
    """Return a function that returns the fields of the lines that were written of requests."""
    caplog.set_level(logging.INFO)

    def written() -> list[dict[str, Any]]:
        return [record.msg for record in caplog.records if isinstance(record.msg, dict)]

    return written


def test_a_request_is_one_line(api: APIClient, owner: User, lines: Lines) -> None:
    api.get(f"{TOTALS}?group_by=month", headers={"X-Request-ID": "abc.D-1_2"})
    (line,) = lines()
    told = {name: line[name] for name in ("event", "method", "path", "status", "request_id", "user_id", "level")}
    assert told == {
        "event": "request_finished", "method": "GET", "path": TOTALS, "status": 200, "request_id": "abc.D-1_2",
        "user_id": owner.pk, "level": "info",
    }  # fmt: skip
    assert line["duration_ms"] >= 0


def test_query_strings_headers_and_bodies_are_not_told(lines: Lines, owner: User, caplog: Any) -> None:
    caplog.set_level(logging.DEBUG)
    secret = "hunter22hunter22"
    client = Client(headers={"Authorization": f"Token {secret}", "Cookie": f"sessionid={secret}", "Referer": secret})
    client.get(f"{TOTALS}?note={secret}")
    client.post("/api/v1/auth/login/", {"username": "olga", "password": secret}, content_type="application/json")
    client.post("/admin/login/", {"username": "olga", "password": secret})
    client.post("/api/v1/auth/login/", {"username": "olga", "password": PASSWORD}, content_type="application/json")
    assert len(lines()) >= 4
    assert secret not in str(lines())
    assert PASSWORD not in caplog.text


@pytest.mark.parametrize("given", ["", "a b", "a\nb", "é", "x" * 129, '{"a":1}', "<script>"])
def test_an_id_that_is_not_sane_is_replaced(lines: Lines, given: str) -> None:
    response = Client().get("/livez", headers={"X-Request-ID": given})
    assert str(uuid.UUID(response["X-Request-ID"])) == response["X-Request-ID"]
    assert lines()[-1]["request_id"] == response["X-Request-ID"]


def test_the_id_comes_back_with_every_answer(api: APIClient) -> None:
    for path in (TOTALS, f"{EXPENSES}?x=1", "/nowhere", "/admin/", "/api/nowhere", f"{TOTALS}?format=csv"):
        assert api.get(path, headers={"X-Request-ID": "r-1"})["X-Request-ID"] == "r-1"


def test_a_line_never_asks_the_database_who_it_was(owner: User, lines: Lines, django_assert_num_queries: Any) -> None:
    client = Client()
    client.force_login(owner)
    with django_assert_num_queries(0):
        client.get("/livez")
    assert lines()[-1]["user_id"] is None
    client.get(TOTALS)
    assert lines()[-1]["user_id"] == owner.pk


def test_an_unexpected_error_is_one_line_with_its_traceback(
    api: APIClient, lines: Lines, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def fail(*args: Any) -> None:
        raise RuntimeError("a mistake")

    monkeypatch.setattr(expense_writes, "delete", fail)
    api.raise_request_exception = False
    response = api.delete(f"{EXPENSES}{uuid.uuid4()}/", headers={"X-Request-ID": "r-2"})
    assert_problem(response, 500)
    assert response["X-Request-ID"] == "r-2"
    (line,) = lines()
    assert (line["event"], line["status"], line["request_id"]) == ("request_failed", 500, "r-2")
    assert len([record for record in caplog.records if record.levelno >= logging.ERROR]) == 1
    assert caplog.records[-1].exc_info


def refuse(*args: Any) -> None:
    raise OperationalError("the server closed the connection")


@pytest.fixture
def away(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the database be away when the session is asked for."""
    monkeypatch.setattr(SessionMiddleware, "process_request", refuse)


def test_a_database_that_is_away_is_told_with_the_status_that_is_sent(
    away: None, lines: Lines, caplog: pytest.LogCaptureFixture
) -> None:
    assert_problem(Client(raise_request_exception=False).get(EXPENSES), 503)
    (line,) = lines()
    assert (line["event"], line["status"], line["level"]) == ("request_finished", 503, "error")
    assert "the server closed the connection" in caplog.text


def test_a_page_that_cannot_be_made_just_now_is_503(away: None) -> None:
    response = Client(raise_request_exception=False).get("/admin/login/")
    assert (response.status_code, response["Retry-After"]) == (503, "5")
    assert response["Content-Type"].startswith("text/html")
    assert b"Nothing was written" in response.content


def test_a_conflict_in_the_admin_is_503_and_nothing_is_written(admin_client: Client, spend: Any) -> None:
    expense = spend("10.00")

    def locked(execute: Any, sql: str, params: Any, many: bool, context: Any) -> Any:
        if "UPDATE" in sql and Expense._meta.db_table in sql:
            raise OperationalError(1205, "Lock wait timeout exceeded; try restarting transaction")
        return execute(sql, params, many, context)

    form = {"owner": expense.owner_id, "amount": "11", "currency": "EUR", "spent_on": "2026-01-15", "status": "draft"}
    admin_client.raise_request_exception = False
    with connection.execute_wrapper(locked):
        response = admin_client.post(f"/admin/expenses/expense/{expense.pk}/change/", form)
    assert (response.status_code, response["Retry-After"]) == (503, "5")
    expense.refresh_from_db()
    assert (expense.amount, expense.status) == (10, "submitted")


def test_a_total_out_of_range_is_told_on_a_page_of_the_admin(admin_client: Client, spend: Any) -> None:
    expense = spend("1.00")
    spend(str(MAX_VALUE.quantize(Decimal("0.01")) - 2))
    form = {"owner": expense.owner_id, "currency": "EUR", "spent_on": "2026-01-15", "status": "submitted"}
    url = f"/admin/expenses/expense/{expense.pk}/change/"
    response = admin_client.post(url, {**form, "amount": "1000"})
    assert response.status_code == 200
    assert b"would leave the range of its column, so nothing was written" in response.content
    assert b'value="1000"' in response.content  # the form comes back with what was typed
    expense.refresh_from_db()
    assert expense.amount == 1


@pytest.mark.parametrize("error", [RuntimeError("a mistake"), IntegrityError("NOT NULL constraint failed")])
def test_a_mistake_on_a_page_is_still_500(monkeypatch: pytest.MonkeyPatch, lines: Lines, error: Exception) -> None:
    def fail(*args: Any) -> None:
        raise error

    monkeypatch.setattr(SessionMiddleware, "process_request", fail)
    assert Client(raise_request_exception=False).get("/admin/login/").status_code == 500
    assert lines()[-1]["event"] == "request_failed"


def test_a_stream_that_is_broken_off_is_closed() -> None:
    closed = []

    def rows() -> Iterator[str]:
        try:
            yield from "ab"
        finally:
            closed.append(True)

    response = RequestLog(lambda request: StreamingHttpResponse(rows()))(RequestFactory().get("/"))
    next(iter(response))
    response.close()
    assert closed


def test_a_stream_is_told_at_its_beginning_and_at_its_end(api: APIClient, spend: Any, lines: Lines) -> None:
    spend()
    response = api.get(f"{TOTALS}?format=csv", headers={"X-Request-ID": "r-3"})
    assert response.getvalue()
    assert [(line["event"], line["request_id"]) for line in lines()] == [
        ("request_finished", "r-3"),
        ("streaming_finished", "r-3"),
    ]
