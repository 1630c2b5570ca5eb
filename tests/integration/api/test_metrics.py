"""What Prometheus reads, and who may."""

from __future__ import annotations

import io
from collections.abc import Callable
from contextlib import suppress
from decimal import Decimal
from typing import Any

import pytest
from django.core.management import call_command
from django.db import OperationalError, connection
from django.test import Client
from prometheus_client.parser import text_string_to_metric_families
from rest_framework.test import APIClient

from aggregates import transactions
from aggregates.exceptions import ConcurrentInsert, TotalOutOfRange
from aggregates.fields import MAX_VALUE
from tests.integration.api.conftest import EXPENSES, TOTALS, assert_problem

pytestmark = pytest.mark.django_db(transaction=True)

OURS = {"totals": "expenses.ExpenseTotals"}
VIEW = "django_http_responses_total_by_status_view_method_total"
LATENCY = "django_http_requests_latency_seconds_by_view_method_count"


def figures(**labels: str) -> dict[str, float]:
    """Return what is served: figures by name, of those that have these labels."""
    response = Client().get("/metrics")
    assert (response.status_code, response["Content-Type"]) == (200, "text/plain; version=0.0.4; charset=utf-8")
    families = text_string_to_metric_families(response.content.decode())
    return {
        sample.name: sample.value
        for family in families
        for sample in family.samples
        if labels.items() <= sample.labels.items()
    }


def gained(did: Callable[[], Any], **labels: str) -> dict[str, float]:
    """Return by how much figures grew while something was done."""
    before = figures(**labels)
    did()
    return {name: value - before.get(name, 0) for name, value in figures(**labels).items()}


def verify() -> None:
    with suppress(SystemExit):
        call_command("verify_totals", stdout=io.StringIO())


def sql(statement: str) -> None:
    with connection.cursor() as cursor:
        cursor.execute(statement)


@pytest.mark.parametrize(("path", "view", "status"), [(TOTALS, "totals", "200"), (f"{TOTALS}?x=1", "totals", "400")])
def test_requests_are_counted_by_view_method_and_status(api: APIClient, path: str, view: str, status: str) -> None:
    grown = gained(lambda: api.get(path), view=view, method="GET", status=status)
    assert grown[VIEW] == 1
    assert gained(lambda: api.get(path), view=view, method="GET")[LATENCY] == 1


def test_methods_that_nobody_has_heard_of_are_one_figure(api: APIClient) -> None:
    def knock() -> None:
        for number in range(3):
            api.generic(f"KNOCK{number}", TOTALS)

    assert gained(knock, method="<invalid method>", view="totals")[LATENCY] == 3
    assert "KNOCK" not in Client().get("/metrics").content.decode()


def test_no_path_and_no_parameter_is_a_label(api: APIClient) -> None:
    api.get("/secret-path/hunter22?query=hunter22")
    api.get(f"{EXPENSES}0198b5a2-7c1e-7000-8000-00000000000a/")
    text = Client().get("/metrics").content.decode()
    assert "hunter22" not in text
    assert "0198b5a2" not in text


@pytest.mark.parametrize("length", ["abc", "-1", "1e3", "1 2"])
def test_a_length_that_is_no_number_is_refused(api: APIClient, length: str) -> None:
    assert_problem(api.get(TOTALS, CONTENT_LENGTH=length), 400)


def test_transactions_that_wrote_totals_are_counted(spend: Any) -> None:
    def write() -> None:
        spend("1.00")
        spend("2.00").delete()

    assert gained(write, **OURS)["totals_applied_total"] == 3


def test_further_tries_are_counted() -> None:
    conflicts = [ConcurrentInsert(), ConcurrentInsert()]

    def operation() -> None:
        if conflicts:
            raise conflicts.pop()

    assert gained(lambda: transactions.run(operation))["totals_retries_total"] == 2


def test_refusals_are_counted(spend: Any) -> None:
    def write() -> None:
        with pytest.raises(TotalOutOfRange):
            spend(str(MAX_VALUE.quantize(Decimal("0.01"))))

    spend("1000.00")
    assert gained(write)["totals_refused_total"] == 1


def test_before_the_first_verify_there_is_no_drift_to_tell(spend: Any) -> None:
    found = figures()
    assert found["totals_database_up"] == 1
    assert {"totals_drifted_buckets", "totals_clean_verify_age_seconds", "totals_runs"}.isdisjoint(found)


def test_drift_and_the_last_clean_verify_are_told(spend: Any) -> None:
    spend()
    verify()
    clean = figures(**OURS)
    assert (clean["totals_drifted_buckets"], clean["totals_runs"]) == (0, 1)
    assert 0 <= clean["totals_clean_verify_age_seconds"] < 60
    sql("UPDATE expenses_expensetotals SET amount = amount + 1")
    verify()
    drifted = figures(**OURS)
    assert drifted["totals_drifted_buckets"] == 3
    assert drifted["totals_clean_verify_age_seconds"] > clean["totals_clean_verify_age_seconds"]
    assert figures(**OURS, kind="verify", state="complete")["totals_runs"] == 2
    assert Client().get("/readyz").status_code == 200


def test_without_its_database_the_service_still_tells_what_it_counted() -> None:
    def refuse(*args: Any, **kwargs: Any) -> None:
        raise OperationalError("connection refused")

    with connection.execute_wrapper(refuse):
        found = figures()
    assert found["totals_database_up"] == 0
    assert "totals_retries_total" in found
    assert "totals_drifted_buckets" not in found


def test_without_a_token_set_anybody_may_read() -> None:
    assert Client().get("/metrics", headers={"Authorization": "Bearer whatever"}).status_code == 200


@pytest.mark.parametrize("header", [None, "", "Bearer", "Bearer x", "Bearer open sesam", "open sesame", "Bearer é"])
def test_where_a_token_is_set_it_is_needed(settings: Any, header: str | None) -> None:
    settings.METRICS_TOKEN = "open sesame"
    refused = Client().get("/metrics", headers={} if header is None else {"Authorization": header})
    assert_problem(refused, 401)
    assert refused["WWW-Authenticate"] == "Bearer"
    assert Client().get("/metrics", headers={"Authorization": "Bearer open sesame"}).status_code == 200


def test_figures_are_read_and_nothing_else() -> None:
    assert Client().post("/metrics").status_code == 405
    assert Client().head("/metrics").status_code == 200


def test_amounts_and_people_are_not_told(spend: Any) -> None:
    spend("4711.42")
    verify()
    text = Client().get("/metrics").content.decode()
    assert "olga" not in text
    # Apart, for a time or a number of bytes may have any digits in it.
    names, values = zip(*(line.rsplit(" ", 1) for line in text.splitlines() if line[:1] != "#"), strict=True)
    assert not any("4711" in name for name in names)
    assert not {4711.42, 471_142.0, 47_114_200.0} & set(map(float, values))
