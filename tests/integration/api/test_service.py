"""The schema, the docs, the probes, and errors of the database."""

from __future__ import annotations

import io
from typing import Any

import pytest
from django.core.management import call_command
from django.db import IntegrityError, OperationalError, connection
from django.test import Client
from drf_spectacular.generators import SchemaGenerator
from rest_framework.test import APIClient

from aggregates.exceptions import ConcurrentInsert, TotalOutOfRange
from api import expense_writes, urls
from api.schema import SchemaView
from tests.integration.api.conftest import EXPENSES, assert_problem


def test_the_schema_is_valid_and_without_warnings(capsys: pytest.CaptureFixture[str]) -> None:
    call_command("spectacular", "--validate", "--fail-on-warn")
    assert capsys.readouterr().out.startswith("openapi: 3.1")


def test_the_schema_has_every_path_of_the_api(db: None) -> None:
    schema = Client().get("/api/schema/?format=json").json()
    paths = (str(route.pattern).replace("<str:month>", "{month}") for route in urls.v1)
    routes = {f"/api/v1/{path}".replace("<int:pk>", "{id}").replace("<uuid:id>", "{id}") for path in paths}
    assert set(schema["paths"]) == routes


def test_the_schema_is_written_once_for_everybody(db: None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(SchemaView, "written", {})
    asked = ["", "?format=json", "?format=json&lang=de", "?version=2", ""]
    first = [Client().get(f"/api/schema/{query}") for query in asked]
    assert [answer.content for answer in first[2:]] == [first[1].content, first[0].content, first[0].content]

    def again(*arguments: Any, **more: Any) -> None:
        pytest.fail("It is written again.")

    monkeypatch.setattr(SchemaGenerator, "get_schema", again)
    for query, before in zip(asked, first, strict=True):
        answer = Client().get(f"/api/schema/{query}")
        assert answer.content == before.content
        assert answer["Content-Type"] == before["Content-Type"]


def test_schema_and_docs_are_public_and_load_nothing_from_elsewhere(db: None) -> None:
    docs = Client().get("/api/docs/", headers={"authorization": "Token expired"})
    assert docs.status_code == 200
    assert b"//" not in docs.content.replace(b"<!--", b"")


def test_livez_and_readyz_answer(db: None) -> None:
    assert (Client().get("/livez").status_code, Client().get("/readyz").status_code) == (200, 200)


def test_readyz_tells_of_the_last_comparison_and_is_ready_all_the_same(spend: Any) -> None:
    assert Client().get("/readyz").json() == {
        "status": "ok", "verified_at": None, "verified_seconds_ago": None, "drifted_buckets": None,
    }  # fmt: skip
    spend()
    call_command("verify_totals", stdout=io.StringIO())
    clean = Client().get("/readyz").json()
    assert (clean["drifted_buckets"], clean["verified_seconds_ago"] >= 0) == (0, True)
    with connection.cursor() as cursor:
        cursor.execute("UPDATE expenses_expensetotals SET amount = amount + 1")
    with pytest.raises(SystemExit):
        call_command("verify_totals", stdout=io.StringIO())
    drifted = Client().get("/readyz")
    assert drifted.status_code == 200
    assert drifted.json()["drifted_buckets"] == 3
    assert drifted.json()["verified_at"] == clean["verified_at"]


def test_readyz_is_503_without_a_database(db: None, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*args: Any) -> None:
        raise OperationalError("connection refused")

    monkeypatch.setattr("api.probes.MigrationExecutor", refuse)
    assert_problem(Client().get("/readyz"), 503)


def test_readyz_is_503_with_unapplied_migrations(db: None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("api.probes.MigrationExecutor.migration_plan", lambda *args: [("one", False)])
    assert_problem(Client().get("/readyz"), 503)


@pytest.mark.parametrize(
    ("error", "status"),
    [
        (OperationalError("database is locked"), 503),
        (ConcurrentInsert("again"), 503),
        (IntegrityError("a foreign key"), 409),
        (TotalOutOfRange("the total would leave its range"), 409),
    ],
)
def test_errors_of_the_database_are_problems(
    api: APIClient, new: dict[str, Any], monkeypatch: pytest.MonkeyPatch, error: Exception, status: int
) -> None:
    def fail(*args: Any, **kwargs: Any) -> None:
        raise error

    monkeypatch.setattr(expense_writes.transactions, "run", fail)
    response = api.post(EXPENSES, new)
    assert_problem(response, status)
    assert ("Retry-After" in response) == (status == 503)


def test_a_database_that_fails_before_the_view_is_503(api: APIClient, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*args: Any) -> None:
        raise OperationalError("server closed the connection")

    monkeypatch.setattr("django.contrib.sessions.middleware.SessionMiddleware.process_request", fail)
    client = APIClient(raise_request_exception=False)
    assert_problem(client.get(EXPENSES), 503)


def test_a_mistake_of_this_project_is_500_without_a_trace(api: APIClient, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*args: Any) -> None:
        raise RuntimeError("secret")

    monkeypatch.setattr(expense_writes, "delete", fail)
    api.raise_request_exception = False
    response = api.delete(f"{EXPENSES}0198b5a2-7c1e-7000-8000-00000000000a/")
    assert_problem(response, 500)
    assert b"secret" not in response.content
