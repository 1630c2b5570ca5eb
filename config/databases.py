"""How long the service waits for its database. Commands wait for as long as they need."""

from __future__ import annotations

from typing import Any

from django.core.exceptions import ImproperlyConfigured

from config.environment import env, number, whole

STATEMENT_SECONDS = 30.0
"""After how long a statement is given up."""
LOCK_SECONDS = 5.0
"""After how long a wait for a lock is given up."""
IDLE_SECONDS = 60.0
"""After how long a transaction is ended in which nothing happens, such as that of a process that was stopped."""
RETRY_SECONDS = 10.0
"""After how long a conflict is answered with 503 and not tried again."""
POOL_SECONDS = 10.0
"""After how long a wait for one of a pool's connections is given up."""


def limit_waits(database: dict[str, Any]) -> None:
    """Write the limits, and a pool where one is asked for, into the settings of a database.

    Nothing is asked of the database for it: the limits come with the connection, and 0 leaves one out.
    Raises ImproperlyConfigured for what the environment says.
    """
    engine = database["ENGINE"].rpartition(".")[2]
    if engine == "postgresql":
        _limit_postgresql(database)
    if engine == "mysql":
        _limit_mariadb(database["OPTIONS"])
    if engine == "sqlite3":
        options = database["OPTIONS"]
        options["timeout"] = number("LOCK_SECONDS", options["timeout"]) or options["timeout"]


def retries() -> dict[str, Any]:
    """Return what the engine is told about conflicts."""
    return {"RETRY_SECONDS": number("RETRY_SECONDS", RETRY_SECONDS)}


def _limit_postgresql(database: dict[str, Any]) -> None:
    waits = {
        "statement_timeout": number("STATEMENT_SECONDS", STATEMENT_SECONDS),
        "lock_timeout": number("LOCK_SECONDS", LOCK_SECONDS),
        "idle_in_transaction_session_timeout": number("IDLE_SECONDS", IDLE_SECONDS),
    }
    options = database["OPTIONS"]
    limits = [f"-c {name}={round(seconds * 1000)}" for name, seconds in waits.items() if seconds]
    if limits:
        # What the address says comes last, and so prevails.
        options["options"] = " ".join([*limits, options.get("options", "")]).strip()
    if size := whole("POOL_SIZE", 0):
        if database.get("CONN_MAX_AGE"):
            raise ImproperlyConfigured("POOL_SIZE and conn_max_age in DATABASE_URL exclude each other: take one.")
        options["pool"] = {"min_size": 1, "max_size": size, "timeout": POOL_SECONDS}
        database["CONN_HEALTH_CHECKS"] = env.bool("POOL_CHECKS", default=True)


def _limit_mariadb(options: dict[str, Any]) -> None:
    waits = {
        "max_statement_time": number("STATEMENT_SECONDS", STATEMENT_SECONDS),
        "innodb_lock_wait_timeout": round(number("LOCK_SECONDS", LOCK_SECONDS)),
        "idle_transaction_timeout": round(number("IDLE_SECONDS", IDLE_SECONDS)),
    }
    limits = [f"{name} = {seconds:g}" for name, seconds in waits.items() if seconds]
    options["init_command"] = ", ".join([options["init_command"], *limits])
