"""The limits that the service gives its connections."""

from __future__ import annotations

from typing import Any

import pytest

from config.databases import limit_waits

pytestmark = pytest.mark.once
NAMES = ("STATEMENT_SECONDS", "LOCK_SECONDS", "IDLE_SECONDS", "POOL_SIZE")


@pytest.fixture(autouse=True)
def nothing_set(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in NAMES:
        monkeypatch.delenv(name, raising=False)


def limited(engine: str, **options: Any) -> dict[str, Any]:
    database: dict[str, Any] = {"ENGINE": f"django.db.backends.{engine}", "OPTIONS": options}
    limit_waits(database)
    return database


def test_postgresql_is_told_as_the_connection_begins() -> None:
    told = limited("postgresql")["OPTIONS"]["options"]
    assert told == "-c statement_timeout=30000 -c lock_timeout=5000 -c idle_in_transaction_session_timeout=60000"


def test_what_the_address_says_prevails() -> None:
    told = limited("postgresql", options="-c lock_timeout=1s")["OPTIONS"]["options"]
    assert told.endswith(" -c idle_in_transaction_session_timeout=60000 -c lock_timeout=1s")


def test_zero_leaves_a_limit_out(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in NAMES:
        monkeypatch.setenv(name, "0")
    assert limited("postgresql", a=1)["OPTIONS"] == {"a": 1}
    assert limited("mysql", init_command="SET a = 1")["OPTIONS"] == {"init_command": "SET a = 1"}
    assert limited("sqlite3", timeout=20)["OPTIONS"] == {"timeout": 20}


def test_mariadb_is_told_with_what_it_is_told_anyway(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("STATEMENT_SECONDS", "2.5")
    assert limited("mysql", init_command="SET a = 1")["OPTIONS"]["init_command"] == (
        "SET a = 1, max_statement_time = 2.5, innodb_lock_wait_timeout = 5, idle_transaction_timeout = 60"
    )


def test_sqlite_waits_for_its_one_writer(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LOCK_SECONDS", "3")
    assert limited("sqlite3", timeout=20)["OPTIONS"]["timeout"] == 3


def test_a_pool_is_for_those_who_ask_for_one(monkeypatch: pytest.MonkeyPatch) -> None:
    assert "pool" not in limited("postgresql")["OPTIONS"]
    monkeypatch.setenv("POOL_SIZE", "4")
    database = limited("postgresql")
    assert database["OPTIONS"]["pool"] == {"min_size": 1, "max_size": 4, "timeout": 10.0}
    assert database["CONN_HEALTH_CHECKS"] is True
