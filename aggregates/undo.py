"""What a rollback has undone, told from the savepoints that go by on a connection."""

from __future__ import annotations

import re
import weakref
from collections.abc import Callable
from typing import Any

from django.db import DatabaseError
from django.db.backends.base.base import BaseDatabaseWrapper

from aggregates import commits

SAVEPOINT = re.compile(r"\s*(SAVEPOINT|ROLLBACK\s+(?:WORK\s+)?TO(?:\s+SAVEPOINT)?)\s+([^\s;]+)", re.IGNORECASE)
ENDS_THE_TRANSACTION = {(1213,), (1020,)}  # ER_LOCK_DEADLOCK, ER_CHECKREAD
FIRST_LETTERS = frozenset({"SA", "RO"})  # a quick look before the pattern: every statement passes here


def rolls_back(sql: Any) -> bool:
    """Return whether a statement is a rollback to a savepoint."""
    match = SAVEPOINT.match(sql) if isinstance(sql, str) else None
    return match is not None and match[1].upper() != "SAVEPOINT"


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
        """Take in an error of a statement: at some MariaDB ends the whole transaction, and begins another unasked.

        What was written before is gone, whoever swallows the error, so nothing more may be.
        """
        connection: Any = self._connection()
        if error.args[:1] in ENDS_THE_TRANSACTION and connection.in_atomic_block:
            connection.needs_rollback = True

    def commit(self) -> None:
        """Commit, in the place of Django's own method, whoever has begun the transaction; raise CommitInDoubt."""
        connection: Any = self._connection()
        with commits.told_if_in_doubt():
            type(connection)._commit(connection)  # noqa: SLF001 - the method whose place this one takes

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
