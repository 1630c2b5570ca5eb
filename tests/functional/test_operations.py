"""What those who run the service look at: figures of all workers together, and lines that a machine reads."""

from __future__ import annotations

import json
import socket
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlsplit

import httpx
import pytest
from django.contrib.auth.models import User
from django.db import connection
from prometheus_client.parser import text_string_to_metric_families

from expenses.models import Expense
from tests.integration.api.conftest import EXPENSES, PASSWORD, TOTALS
from tests.processes import manage, served

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.long]

REQUESTS = 40
EXPENSE = {"amount": "12.50", "currency": "EUR", "spent_on": "2026-01-31"}


@contextmanager
def logging_to(path: Path, *options: str, **given: str) -> Iterator[str]:
    """Yield the address of the service, which logs JSON to a file."""
    with path.open("w") as log, served(*options, log=log, **given) as address:
        yield address


def lines(path: Path) -> list[dict[str, Any]]:
    """Return the lines of a log; each has to be a JSON object."""
    return [json.loads(line) for line in path.read_text().splitlines()]


def figure(address: str, name: str, **labels: str) -> float:
    """Return the sum of the figures with a name and these labels."""
    text = httpx.get(f"{address}/metrics").raise_for_status().text
    return sum(
        sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
        if sample.name == name and labels.items() <= sample.labels.items()
    )


def token_of(address: str, username: str) -> str:
    login = {"username": username, "password": PASSWORD}
    return str(httpx.post(f"{address}/api/v1/auth/login/", json=login).raise_for_status().json()["token"])


@pytest.fixture
def olga() -> User:
    return User.objects.create_user("olga", password=PASSWORD)


def test_figures_are_those_of_all_workers_together(olga: User, tmp_path: Path) -> None:
    folder = tmp_path / "figures"
    with served("--workers=2", PROMETHEUS_MULTIPROC_DIR=str(folder)) as address:
        headers = {"Authorization": f"Token {token_of(address, 'olga')}"}

        def spend(_number: int) -> int:
            return httpx.post(f"{address}{EXPENSES}", json=EXPENSE, headers=headers, timeout=60).status_code

        with ThreadPoolExecutor(8) as pool:
            assert set(pool.map(spend, range(REQUESTS))) == {201}
        view = {"view": "expenses", "method": "POST", "status": "201"}
        for _worker in range(6):
            assert figure(address, "django_http_responses_total_by_status_view_method_total", **view) == REQUESTS
            assert figure(address, "totals_applied_total", totals="expenses.ExpenseTotals") == REQUESTS
        latency = "django_http_requests_latency_seconds_by_view_method_count"
        assert figure(address, latency, view="expenses", method="POST") == REQUESTS


def test_a_worker_that_takes_the_place_of_another_goes_on_counting(tmp_path: Path) -> None:
    folder = tmp_path / "figures"
    with served("--workers=1", "--max-requests=3", PROMETHEUS_MULTIPROC_DIR=str(folder)) as address:
        for _number in range(10):
            httpx.get(f"{address}{TOTALS}", timeout=60)
        views = {"view": "totals", "method": "GET"}
        assert figure(address, "django_http_requests_latency_seconds_by_view_method_count", **views) == 10
        assert len(list(folder.glob("counter_*.db"))) == 1


def test_figures_begin_anew_with_the_service_and_commands_leave_none(tmp_path: Path, monkeypatch: Any) -> None:
    folder = tmp_path / "figures"
    views = {"view": "totals", "method": "GET"}
    for _start in range(2):
        with served(PROMETHEUS_MULTIPROC_DIR=str(folder)) as address:
            httpx.get(f"{address}{TOTALS}")
            assert figure(address, "django_http_requests_latency_seconds_by_view_method_count", **views) == 1
    left = sorted(folder.iterdir())
    monkeypatch.setenv("PROMETHEUS_MULTIPROC_DIR", str(folder))
    assert manage("verify_totals").returncode == 0
    assert sorted(folder.iterdir()) == left


def test_where_no_folder_is_given_the_service_makes_one_and_takes_it_away(tmp_path: Path) -> None:
    with served("--workers=2", TMPDIR=str(tmp_path)) as address:
        assert figure(address, "totals_database_up") == 1
        assert list(tmp_path.glob("metrics-*/counter_*.db"))
    assert not list(tmp_path.glob("metrics-*"))


def test_without_its_database_the_service_lives_and_tells_its_figures(tmp_path: Path) -> None:
    path = tmp_path / "log"
    with logging_to(path, DATABASE_URL="postgres://nobody@127.0.0.1:1/nothing") as address:
        assert httpx.get(f"{address}/livez").status_code == 200
        ready = httpx.get(f"{address}/readyz")
        assert (ready.status_code, ready.headers["Retry-After"]) == (503, "5")
        busy = httpx.get(f"{address}{TOTALS}", headers={"Authorization": f"Token {'0' * 64}"})
        assert (busy.status_code, busy.headers["Retry-After"]) == (503, "5")
        page = httpx.get(f"{address}/admin/", headers={"Cookie": f"sessionid={'0' * 32}"})
        assert (page.status_code, page.headers["Retry-After"]) == (503, "5")
        assert figure(address, "totals_database_up") == 0
        assert figure(address, "django_http_responses_total_by_status_total", status="503") >= 2
    assert {line["status"] for line in lines(path) if line.get("path") == TOTALS} == {503}
    assert not [line for line in lines(path) if line["event"] == "request_failed"]


def test_drift_that_a_scheduled_verify_finds_raises_the_figure_and_the_service_stays_ready(olga: User) -> None:
    Expense.objects.create(owner=olga, **EXPENSE)
    with served("--workers=2") as address:
        assert manage("verify_totals").returncode == 0
        assert figure(address, "totals_drifted_buckets", totals="expenses.ExpenseTotals") == 0
        with connection.cursor() as cursor:
            cursor.execute("UPDATE expenses_expensetotals SET amount = amount + 1")
        verified = manage("verify_totals")
        assert verified.returncode == 1
        assert figure(address, "totals_drifted_buckets", totals="expenses.ExpenseTotals") == 3
        assert httpx.get(f"{address}/readyz").status_code == 200
    (line,) = verified.stderr.splitlines()
    told = json.loads(line)
    assert (told["event"], told["level"], told["drifted"]) == ("totals_drifted", "error", 3)
    assert told["totals"] == "expenses.ExpenseTotals"


def test_what_a_command_answers_stays_apart_from_what_it_logs(olga: User) -> None:
    Expense.objects.create(owner=olga, **EXPENSE)
    with connection.cursor() as cursor:
        cursor.execute("UPDATE expenses_expensetotals SET amount = amount + 1")
    report = json.loads(manage("verify_totals", "--format=json").stdout)
    assert (report["clean"], len(report["drift"])) == (False, 3)


def test_every_line_is_json_with_id_user_and_status(olga: User, tmp_path: Path) -> None:
    path = tmp_path / "log"
    with logging_to(path, "--workers=2", "--access-logfile=-") as address:
        headers = {"Authorization": f"Token {token_of(address, 'olga')}", "X-Request-ID": "r-1"}
        assert httpx.get(f"{address}{TOTALS}?currency=EUR", headers=headers).headers["X-Request-ID"] == "r-1"
    (line,) = [line for line in lines(path) if line.get("request_id") == "r-1"]
    assert (line["method"], line["path"], line["status"], line["user_id"]) == ("GET", TOTALS, 200, olga.pk)
    events = [line["event"] for line in lines(path)]
    assert any(event.startswith("Listening at") for event in events)
    assert all({"event", "level", "logger", "timestamp"} <= set(line) for line in lines(path))


def test_nothing_that_a_client_sends_makes_a_line_of_its_own(tmp_path: Path) -> None:
    path, forged = tmp_path / "log", '%0A{"event":"forged"}%0D%0A{"event":"forged"}'
    with logging_to(path) as address:
        httpx.get(f"{address}/api/v1/{forged}", headers={"User-Agent": forged, "X-Request-ID": forged})
        raw(address, b"GET /x HTTP/1.1\r\nHost: a%0A{}\r\n\r\n")
        raw(address, b'GET /\r\n{"event": "forged"}\r\n\r\n')
    assert "forged" not in {line["event"] for line in lines(path)}
    assert [line["path"] for line in lines(path) if "forged" in str(line.get("path"))]


def raw(address: str, request: bytes) -> None:
    """Send bytes that no client would."""
    parts = urlsplit(address)
    with socket.create_connection((parts.hostname, parts.port), timeout=30) as connected:
        connected.sendall(request)
        while connected.recv(4096):
            pass


def test_no_secret_is_logged(olga: User, tmp_path: Path) -> None:
    path = tmp_path / "log"
    with logging_to(path, "--log-level=debug", "--access-logfile=-", LOG_LEVEL="DEBUG") as address:
        token = token_of(address, "olga")
        headers = {"Authorization": f"Token {token}", "Cookie": f"sessionid={token}"}
        httpx.get(f"{address}{TOTALS}?token={token}&password={PASSWORD}", headers=headers)
        httpx.get(f"{address}/admin/?password={quote(PASSWORD)}")
        httpx.post(f"{address}/api/v1/auth/logout/", headers=headers)
    text = path.read_text()
    assert lines(path)
    assert token not in text
    assert PASSWORD not in text
    assert quote(PASSWORD) not in text


def test_a_command_logs_nothing_where_nothing_happened() -> None:
    assert [manage(command).stderr for command in ("verify_totals", "purge")] == ["", ""]
