"""What a rollback has undone, or will: told from the savepoints and errors that go by on a connection."""

from __future__ import annotations

import re
import weakref
from collections.abc import Callable
from typing import Any
from weakref import WeakKeyDictionary

from django.db import DatabaseError, Error, OperationalError
from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.transaction import TransactionManagementError

from aggregates import commits
from aggregates.exceptions import WriteLost

SAVEPOINT = re.compile(r"\s*(SAVEPOINT|ROLLBACK\s+(?:WORK\s+)?TO(?:\s+SAVEPOINT)?)\s+([^\s;]+)", re.IGNORECASE)
ENDS_THE_TRANSACTION = {(1213,), (1020,)}  # ER_LOCK_DEADLOCK, ER_CHECKREAD
IN_ERROR = 3  # PostgreSQL's status of a transaction in which a statement failed: its COMMIT is a ROLLBACK
AFTER_AN_ERROR = "25P02"  # in_failed_sql_transaction
_causes: WeakKeyDictionary[BaseDatabaseWrapper, BaseException] = WeakKeyDictionary()
FIRST_LETTERS = frozenset({"SA", "RO"})  # a quick look before the pattern: every statement passes here


def rolls_back(sql: Any) -> bool:
    """Return whether a statement is a rollback to a savepoint."""
    match = SAVEPOINT.match(sql) if isinstance(sql, str) else None
    return match is not None and match[1].upper() != "SAVEPOINT"


def require_whole(connection: BaseDatabaseWrapper) -> None:
    """Raise WriteLost where the open transaction can only be rolled back: an error in it was swallowed."""
    server: Any = connection.connection
    if connection.needs_rollback or (
        connection.vendor == "postgresql" and server.pgconn.transaction_status == IN_ERROR
    ):
        raise lost(connection)


def note_cause(connection: BaseDatabaseWrapper, error: BaseException) -> None:
    """Remember an error as that for which the open transaction can only be rolled back, unless it is of an earlier one.

    Django remembers the last one, which only says that another had come before.
    """
    if not follows_another(error):
        _causes[connection] = error


def lost(connection: BaseDatabaseWrapper) -> WriteLost:
    """Return the error that nothing of the open transaction will be stored, with what was swallowed as its cause."""
    error = WriteLost(
        "An error of the database was swallowed within the transaction, so nothing that it wrote is stored. "
        "Put an atomic() of its own around what may fail, inside the try."
    )
    error.__cause__ = _causes.get(connection)
    return error


def follows_another(error: BaseException) -> bool:
    """Return whether a statement was refused because an earlier one of its transaction had failed."""
    if isinstance(error, WriteLost):
        return False
    return isinstance(error, TransactionManagementError) or (
        getattr(error.__cause__, "sqlstate", None) == AFTER_AN_ERROR
    )


class _Transaction:
    """Stands in Django's list of on-commit callbacks for as long as the transaction lasts."""

    def __init__(self, committed: Callable[[], None]) -> None:
        self._committed = committed

    def __call__(self) -> None:
        """Pass on that the transaction is committed."""
        self._committed()


class TransactionLog:
    """Numbers the moments of a transaction and knows which of them were rolled back.

    Django tells nobody of a rollback to a savepoint, and its list of on-commit callbacks follows
    only those of ``atomic()``; the statements themselves are seen by an execute wrapper.
    """

    def __init__(self, connection: BaseDatabaseWrapper, committed: Callable[[], None]) -> None:
        self._connection = weakref.ref(connection)
        self._committed = committed
        self._transaction = _Transaction(committed)
        self._now = 0
        self._savepoints: dict[str, int] = {}
        self._undone: list[tuple[int, int]] = []

    @property
    def ended(self) -> bool:
        """Whether the transaction of the last ``begin`` was committed or rolled back.

        A rollback to a savepoint older than ``begin`` ends it as well: all that it knows is undone.
        """
        connection: Any = self._connection()
        # A loop, which is faster than all(): this is asked twice a row of a cascade.
        for _savepoints, callback, _robust in connection.run_on_commit:  # noqa: SIM110
            if callback is self._transaction:
                return False
        return True

    def begin(self) -> None:
        """Begin to log the open transaction, which is another than the last."""
        connection: Any = self._connection()
        self._transaction, self._now = _Transaction(self._committed), 0
        self._savepoints, self._undone = {}, []
        _causes.pop(connection, None)  # that of an earlier transaction
        connection.on_commit(self._transaction)

    def moment(self) -> int:
        """Return a number for now, greater than all before it."""
        self._now += 1
        return self._now

    def undone(self, moment: int) -> bool:
        """Return whether a rollback to a savepoint has undone what was done at that moment."""
        # Without the first half each write would make generators of nothing.
        return bool(self._undone) and any(first < moment <= last for first, last in self._undone)

    def failed(self, error: DatabaseError) -> None:
        """Take in an error of a statement, which may be swallowed: whoever finds that out can tell what it was.

        At some errors MariaDB and SQLite end the whole transaction. What was written before is gone,
        and what came next would be committed by itself, so nothing more may be.
        """
        connection: Any = self._connection()
        if not connection.in_atomic_block:
            return
        note_cause(connection, error)
        if error.args[:1] in ENDS_THE_TRANSACTION or (
            connection.vendor == "sqlite" and not connection.connection.in_transaction
        ):
            connection.needs_rollback = True

    def commit(self) -> None:
        """Commit, in the place of Django's own method, whoever has begun the transaction.

        Raises WriteLost where the server would answer COMMIT with a rollback, which PostgreSQL reports
        as a success, and CommitInDoubt where nobody can tell what it did, or could not in a moment: on a
        connection that is lost with the reply Django's next step fails, as if the COMMIT had.
        """
        connection: Any = self._connection()
        if not self.ended:
            require_whole(connection)
        try:
            type(connection)._commit(connection)  # noqa: SLF001 - the method whose place this one takes
        except Error as error:
            if commits.leaves_open(error):
                raise commits.in_doubt(error) from error
            raise
        server = connection.connection
        if connection.vendor == "postgresql" and server is not None and server.closed:
            raise commits.in_doubt(OperationalError("the connection was lost with the reply to COMMIT"))

    def note(self, sql: Any) -> None:
        """Take in a statement that was executed."""
        if not isinstance(sql, str) or sql.lstrip()[:2].upper() not in FIRST_LETTERS:
            return
        if match := SAVEPOINT.match(sql):
            word, name = match.groups()
            if word.upper() == "SAVEPOINT":
                self._savepoints[name] = self._now
            else:
                # A savepoint that is not known is older than anything logged here.
                self._undone.append((self._savepoints.get(name, 0), self._now))
