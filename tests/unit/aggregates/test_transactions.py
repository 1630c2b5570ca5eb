"""Which errors are conflicts, and how often a transaction is tried again."""

from __future__ import annotations

from typing import Any

import pytest
from django.core.exceptions import ImproperlyConfigured
from django.db import IntegrityError, OperationalError

from aggregates import conf, transactions
from aggregates.exceptions import ConcurrentInsert


def database_error(*arguments: Any, **cause: Any) -> OperationalError:
    """Return an error as Django raises it, with a driver's error of these attributes behind it."""
    error = OperationalError(*arguments)
    driver = type("DriverError", (Exception,), cause)
    error.__cause__ = driver()
    return error


CONFLICTS = {
    "a serialization failure": database_error("…", sqlstate="40001"),
    "a deadlock": database_error("…", sqlstate="40P01"),
    "a lock timeout": database_error("…", sqlstate="55P03"),
    "a deadlock of MariaDB": database_error(1213, "Deadlock found"),
    "a lock timeout of MariaDB": database_error(1205, "Lock wait timeout exceeded"),
    "a record changed of MariaDB": database_error(1020, "Record has changed since last read"),
    "a deadlock over a counter of MariaDB": database_error(1467, "Failed to read auto-increment value"),
    "a busy SQLite": database_error("database is locked", sqlite_errorname="SQLITE_BUSY"),
    "a stale snapshot of SQLite": database_error("database is locked", sqlite_errorname="SQLITE_BUSY_SNAPSHOT"),
    "an insert of the same key": ConcurrentInsert(),
}
OTHERS = {
    "a syntax error": database_error("…", sqlstate="42601"),
    "a lost connection": database_error("server closed the connection"),
    "a full disk": database_error("…", sqlite_errorname="SQLITE_FULL"),
    "a duplicate key": IntegrityError("…"),
    "an error of the program": ValueError("…"),
}


@pytest.mark.parametrize("error", CONFLICTS.values(), ids=CONFLICTS)
def test_a_conflict_is_told(error: Exception) -> None:
    assert transactions.is_conflict(error)


@pytest.mark.parametrize("error", OTHERS.values(), ids=OTHERS)
def test_another_error_is_no_conflict(error: Exception) -> None:
    assert not transactions.is_conflict(error)


def test_settings_have_defaults_and_take_what_is_given(settings: Any) -> None:
    assert conf.current() == conf.Settings()
    settings.AGGREGATES = {"RETRIES": 2}
    assert conf.current() == conf.Settings(RETRIES=2)


def test_an_unknown_setting_is_refused(settings: Any) -> None:
    settings.AGGREGATES = {"RETRYS": 2}
    with pytest.raises(ImproperlyConfigured, match="RETRYS"):
        conf.current()
