"""A database of which one call fails: the k-th, before it is made or after, with an error or by a cut connection."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from django.db import DEFAULT_DB_ALIAS, connection, connections

COMMIT = "COMMIT"
REFUSAL = "DO $$ BEGIN RAISE EXCEPTION 'refused by the test' USING ERRCODE = '{}'; END $$"
OF_SAVEPOINTS = ("SAVEPOINT", "ROLLBACK TO", "RELEASE")
MOST_CALLS = 400  # a write that makes more never comes to a clean run, or is too large for these tests


@dataclass(frozen=True)
class Failure:
    """How a call fails. ``made``: whether the database carries it out, so that only the reply is lost."""

    name: str
    made: bool = False
    cut: bool = False
    conflict: bool = False

    def strike(self) -> None:
        """Raise the error of the database's driver that a program would see; cut the connection if that is it."""
        if self.cut:
            cut()
        with connection.wrap_database_errors:  # as the real ones pass it: it takes note of errors
            if connection.vendor == "postgresql" and not self.made and not self.cut:
                state = "serialization_failure" if self.conflict else "disk_full"
                connection.connection.execute(REFUSAL.format(state))  # so that the server knows of it as well
            error = connection.Database.OperationalError(f"{self.name}: failed by the test")
            if self.conflict:
                error.sqlite_errorname = "SQLITE_BUSY"
            raise error


FAILURES = [
    Failure("refused"),
    Failure("reply lost", made=True),
    Failure("cut before", cut=True),
    Failure("cut after", made=True, cut=True),
]
FEWER_FAILURES = FAILURES[-1:]  # in the reduced form: that after which a program knows least
CONFLICT = Failure("conflict", conflict=True)


def cut() -> None:
    """End the connection under Django, which is not told; the database rolls back what is open.

    SQLite has no connection to cut; but at errors of the disk it ends the transaction by itself.
    """
    raw: Any = connection.connection
    if connection.vendor == "sqlite":
        raw.rollback()
    else:
        raw.pgconn.finish()


@dataclass
class Calls:
    """The calls of a run: how many there were, and which of them failed, if any.

    ``doomed``: a conflict was met in the transaction that is open, and is met again until that is rolled back.
    """

    failing: int
    failure: Failure | None
    made: list[str] = field(default_factory=list)
    failed: str = ""
    in_transaction: bool = False
    doomed: bool = False

    def call(self, what: str, make: Callable[[], Any]) -> Any:
        """Make a call, unless it is the one that fails, or meets the same conflict for the same transaction."""
        self.made.append(what)
        if self.doomed and self.failure and not what.startswith(OF_SAVEPOINTS):
            self.failure.strike()
        strikes = self.failure if len(self.made) == self.failing else None
        if strikes is None:
            return make()
        self.failed = what
        self.in_transaction = connection.in_atomic_block or what == COMMIT or what.startswith("BEGIN")
        self.doomed = strikes.conflict and connection.in_atomic_block and what != COMMIT
        if strikes.made and not what.startswith("BEGIN"):  # SQLite's, which leaves no transaction if it fails
            make()
        return strikes.strike()

    @property
    def at_commit(self) -> bool:
        """Whether the call that failed was a commit."""
        return self.failed == COMMIT


@contextmanager
def calls(failing: int = 0, failure: Failure | None = None) -> Iterator[Calls]:
    """Count the calls of this thread's connection, statements and commits, and fail the one of that number."""
    seen = Calls(failing, failure)
    wrapper_class: Any = type(connections[DEFAULT_DB_ALIAS])
    commit, rollback = wrapper_class._commit, wrapper_class._rollback

    def execute(execute: Any, sql: Any, params: Any, many: bool, context: Any) -> Any:
        return seen.call(str(sql), lambda: execute(sql, params, many, context))

    def counted(self: Any) -> Any:
        return seen.call(COMMIT, lambda: commit(self))

    def ended(self: Any) -> Any:
        seen.doomed = False
        return rollback(self)

    wrapper_class._commit, wrapper_class._rollback = counted, ended
    connection.execute_wrappers.append(execute)
    try:
        yield seen
    finally:
        connection.execute_wrappers.remove(execute)
        wrapper_class._commit, wrapper_class._rollback = commit, rollback


def each_call(failure: Failure) -> Iterator[Callable[[], Any]]:
    """Yield a context manager for each call there is, which fails it; end after the run in which none failed."""
    for number in range(1, MOST_CALLS):
        runs: list[Calls] = []

        @contextmanager
        def failing(number: int = number, runs: list[Calls] = runs) -> Iterator[Calls]:
            with calls(number, failure) as seen:
                runs.append(seen)
                yield seen

        yield failing
        (run,) = runs
        if not run.failed:
            assert number > 1, "the write made no call at all"
            return
    raise AssertionError(f"no run was clean within {MOST_CALLS} calls")


def end_request() -> None:
    """Do what Django does between requests: drop a connection that is of no use any more."""
    assert not connection.in_atomic_block, "a transaction was left open"
    connection.close_if_unusable_or_obsolete()
    assert not open_transactions(), "a session of the server is still in a transaction"


def open_transactions() -> list[Any]:
    """Return the other sessions of this database that wait within a transaction; SQLite has no list of them."""
    if connection.vendor != "postgresql":
        assert connection.connection is None or not connection.connection.in_transaction
        return []
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT pid, query FROM pg_stat_activity WHERE datname = current_database() "
            "AND pid <> pg_backend_pid() AND state LIKE 'idle in transaction%%'"
        )
        return cursor.fetchall()
