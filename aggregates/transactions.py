"""Transactions that are tried again after a conflict: the outermost one, and only that."""

from __future__ import annotations

import random
import time
from collections.abc import Callable
from typing import TypeVar

from django.db import DEFAULT_DB_ALIAS, DatabaseError, InterfaceError, connections

from aggregates import commits, conf, undo
from aggregates.exceptions import ConcurrentInsert, OutsideTransaction, TotalOutOfRange, WriteLost
from aggregates.signals import totals_refused, transaction_retried

T = TypeVar("T")

# serialization_failure, deadlock_detected, lock_not_available
POSTGRESQL_CONFLICTS = frozenset({"40001", "40P01", "55P03"})
# ER_LOCK_DEADLOCK, ER_LOCK_WAIT_TIMEOUT, ER_CHECKREAD (record changed since last read), ER_AUTOINC_READ_FAILED
# (a deadlock over the counter of AUTO_INCREMENT)
MYSQL_CONFLICTS = frozenset({1213, 1205, 1020, 1467})
FIRST_PAUSE = 0.005  # seconds; doubles with each attempt
LONGEST_PAUSE = 0.5


def is_conflict(error: BaseException | None) -> bool:
    """Return whether trying the whole transaction again may succeed."""
    if isinstance(error, WriteLost):
        return is_conflict(error.__cause__)
    if isinstance(error, ConcurrentInsert):
        return True
    if not isinstance(error, DatabaseError):
        return False
    cause = error.__cause__
    if getattr(cause, "sqlstate", None) in POSTGRESQL_CONFLICTS:
        return True
    if str(getattr(cause, "sqlite_errorname", "")).startswith("SQLITE_BUSY"):
        return True
    return bool(error.args) and error.args[0] in MYSQL_CONFLICTS


def run(operation: Callable[[], T], *, using: str = DEFAULT_DB_ALIAS) -> T:
    """Return what ``operation`` returns, run in a transaction.

    Inside an open transaction it joins that one, and ``operation`` itself sees to it that an error
    after its first write cannot be committed. Otherwise it opens one and, after a conflict,
    rolls back and runs ``operation`` again, which must therefore have no other effects than those
    on the database. Raises WriteLost where ``operation`` returns, but swallowed an error with which
    the transaction cannot be committed, and CommitInDoubt where its end fails and it may be committed.
    """
    if connections[using].in_atomic_block:
        return _attempt(operation, using)
    settings = conf.current()
    deadline = time.monotonic() + settings.RETRY_SECONDS
    attempt = 0
    while True:
        try:
            with commits.outermost(using):
                return _attempt(operation, using)
        except (DatabaseError, ConcurrentInsert) as error:
            if not is_conflict(error) or attempt >= settings.RETRIES or time.monotonic() > deadline:
                raise
            transaction_retried.send_robust(None, using=using, error=error, attempt=attempt + 1)
        time.sleep(random.uniform(0, min(LONGEST_PAUSE, FIRST_PAUSE * 2**attempt)))  # noqa: S311 - jitter
        attempt += 1


def _attempt(operation: Callable[[], T], using: str) -> T:
    connection = connections[using]
    try:
        result = operation()
    except TotalOutOfRange as error:
        tell_refused(error, using)
        raise
    except (DatabaseError, InterfaceError) as error:
        if connection.closed_in_transaction or undo.follows_another(error):
            lost = undo.lost(connection)
            raise lost from lost.__cause__
        raise
    undo.require_whole(connection)
    return result


def tell_refused(error: TotalOutOfRange, using: str) -> None:
    """Send ``totals_refused``, once an error: it may pass here again on its way out."""
    if not error.told:
        error.told = True
        totals_refused.send_robust(None, using=using, error=error)


def require(using: str) -> None:
    """Raise OutsideTransaction unless a transaction is open on the connection."""
    if not connections[using].in_atomic_block:
        raise OutsideTransaction(
            "A tracked row was written outside a transaction, so its totals could not be written with it: "
            "derive the model from aggregates.models.Tracked, or wrap the write in transaction.atomic()."
        )
