"""Threads with connections of their own, stopped and started at chosen statements."""

from __future__ import annotations

import re
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from django.db import connection, connections

from tests import programs

PATIENCE = 30.0  # seconds after which a condition that never comes fails the test


def together(*operations: Callable[[], Any]) -> None:
    """Run each operation in a thread; raise the first error once all have ended."""
    errors: list[BaseException] = []

    def run(operation: Callable[[], Any]) -> None:
        try:
            operation()
        except BaseException as error:  # noqa: BLE001 - handed to the test below
            errors.append(error)
        finally:
            connections.close_all()

    threads = [threading.Thread(target=run, args=(operation,)) for operation in operations]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(PATIENCE * 2)
        assert not thread.is_alive(), "a thread hangs"
    if errors:
        raise errors[0]


class Gate:
    """A point that one thread reaches and waits at, until another opens it."""

    def __init__(self) -> None:
        self._reached, self._opened = threading.Event(), threading.Event()

    def wait_here(self) -> None:
        """Announce that the point is reached and wait."""
        self._reached.set()
        assert self._opened.wait(PATIENCE), "the gate was never opened"

    def wait_until_reached(self) -> None:
        """Wait for the other thread to arrive."""
        assert self._reached.wait(PATIENCE), "the gate was never reached"

    def open(self) -> None:
        """Let the other thread go on."""
        self._opened.set()

    def open_when_somebody_waits_for_a_lock(self) -> None:
        """Return at once, and open the gate as soon as a session waits for a lock: ours, by then."""

        def watch() -> None:
            try:
                wait_until(somebody_waits_for_a_lock, "a session waits for a lock")
            finally:
                connections.close_all()
                self.open()

        threading.Thread(target=watch).start()


@contextmanager
def stopping_before(word: str | tuple[str, ...], gate: Gate) -> Iterator[None]:
    """Stop this thread once, before its first statement that begins with ``word``."""
    passed = []

    def wrapper(execute: Any, sql: str, params: Any, many: bool, context: Any) -> Any:
        if not passed and sql.lstrip().startswith(word):
            passed.append(sql)
            gate.wait_here()
        return execute(sql, params, many, context)

    with connection.execute_wrapper(wrapper):
        yield


def wait_until(condition: Callable[[], bool], what: str) -> None:
    """Return as soon as the condition holds; raise TimeoutError with ``what`` if it never does."""
    programs.wait_until(condition, what, seconds=PATIENCE)


def session() -> int:
    """Return the number of this thread's session at the server."""
    connection.ensure_connection()
    server: Any = connection.connection
    return int(server.thread_id() if connection.vendor == "mysql" else server.info.backend_pid)


def sessions_that_wait_for_a_lock() -> set[int]:
    """Return the sessions of this database that do."""
    return WAITING[connection.vendor]()


def _waiting_in_postgresql() -> set[int]:
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT pid FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'"
        )
        return {number for (number,) in cursor.fetchall()}


def _waiting_in_mariadb() -> set[int]:
    # information_schema.innodb_trx shows what it showed to whoever looked less than 0.1 s ago.
    with connection.cursor() as cursor:
        cursor.execute("SHOW ENGINE INNODB STATUS")
        ((_type, _name, status),) = cursor.fetchall()
        cursor.execute("SELECT id FROM information_schema.processlist WHERE db = DATABASE()")
        ours = {number for (number,) in cursor.fetchall()}
    return ours & {int(number) for number in re.findall(r"^LOCK WAIT .*\n.*?thread id (\d+)", status, re.MULTILINE)}


WAITING = {"postgresql": _waiting_in_postgresql, "mysql": _waiting_in_mariadb}


def somebody_waits_for_a_lock() -> bool:
    """Return whether a session of this database waits for a lock."""
    return bool(sessions_that_wait_for_a_lock())
