"""A cache in a file that all workers of one machine share: an SQLite database of its own.

Django's caches in files and in the database lose counts where two workers add to one at the same
time, and that in the database would make a write of every read. A worker's memory is its own.
"""

from __future__ import annotations

import json
import sqlite3
import time
import weakref
from pathlib import Path
from typing import Any

from django.core.cache.backends.base import DEFAULT_TIMEOUT, BaseCache

BUSY_SECONDS = 2.0
SWEEP_EVERY = 1000  # new entries
TABLE = "CREATE TABLE IF NOT EXISTS entries (key TEXT PRIMARY KEY, value, expires REAL) WITHOUT ROWID"
# In these texts a row that has expired is no row.
GET = "SELECT value FROM entries WHERE key = ? AND (expires IS NULL OR expires > ?)"
INSERT = "INSERT INTO entries VALUES (?, ?, ?) ON CONFLICT (key) DO UPDATE"
SET = f"{INSERT} SET value = excluded.value, expires = excluded.expires"
ADD = f"{SET} WHERE entries.expires <= ?"
INCREMENT = "UPDATE entries SET value = value + ? WHERE key = ? AND (expires IS NULL OR expires > ?) RETURNING value"
TOUCH = "UPDATE entries SET expires = ? WHERE key = ? AND (expires IS NULL OR expires > ?)"
SWEEP = "DELETE FROM entries WHERE expires <= ?"


class FileCache(BaseCache):
    """Keeps what JSON can hold. LOCATION is the file; nothing is lost when it is deleted but what it counted.

    Every method is one statement, so ``add`` and ``incr`` are exact. Raises sqlite3.Error where the
    file cannot be used.
    """

    def __init__(self, location: str, params: dict[str, Any]) -> None:
        super().__init__(params)
        self._path = Path(location)
        self._connection: sqlite3.Connection | None = None
        self._added = 0

    def get(self, key: Any, default: Any = None, version: int | None = None) -> Any:
        """Return the value, or the default."""
        found = self._run(GET, self._key(key, version), time.time())
        return json.loads(str(found[0][0])) if found else default

    def set(self, key: Any, value: Any, timeout: Any = DEFAULT_TIMEOUT, version: int | None = None) -> None:
        """Store the value."""
        self._run(SET, self._key(key, version), json.dumps(value), self.get_backend_timeout(timeout))

    def add(self, key: Any, value: Any, timeout: Any = DEFAULT_TIMEOUT, version: int | None = None) -> bool:
        """Store the value where there is none; return whether it was stored."""
        now = time.time()
        values = (self._key(key, version), json.dumps(value), self.get_backend_timeout(timeout))
        added = bool(self._run(f"{ADD} RETURNING key", *values, now))
        self._added += added
        if added and self._added % SWEEP_EVERY == 0:
            self._run(SWEEP, now)
        return added

    def incr(self, key: Any, delta: int = 1, version: int | None = None) -> int:
        """Add to a number and return it; raise ValueError where there is none."""
        found = self._run(INCREMENT, delta, self._key(key, version), time.time())
        if not found:
            raise ValueError(f"Key {key!r} not found")
        return int(found[0][0])

    def touch(self, key: Any, timeout: Any = DEFAULT_TIMEOUT, version: int | None = None) -> bool:
        """Let a value expire later; return whether there was one."""
        until = self.get_backend_timeout(timeout)
        return bool(self._run(f"{TOUCH} RETURNING key", until, self._key(key, version), time.time()))

    def delete(self, key: Any, version: int | None = None) -> bool:
        """Delete the value; return whether there was one."""
        return bool(self._run("DELETE FROM entries WHERE key = ? RETURNING key", self._key(key, version)))

    def clear(self) -> None:
        """Delete everything."""
        self._run("DELETE FROM entries")

    def _key(self, key: Any, version: int | None) -> str:
        return str(self.make_and_validate_key(key, version=version))

    def _run(self, statement: str, *values: Any) -> list[Any]:
        if self._connection is None:
            self._connection = self._connected()
        return self._connection.execute(statement, values).fetchall()

    def _connected(self) -> sqlite3.Connection:
        """Return a connection, which is kept as long as this: Django has one of these for each thread."""
        self._path.parent.mkdir(parents=True, exist_ok=True)
        connection = sqlite3.connect(self._path, timeout=BUSY_SECONDS, isolation_level=None, check_same_thread=False)
        weakref.finalize(self, connection.close)
        # What is lost in a crash is a count of this minute: it need not reach the disk.
        for statement in ("PRAGMA journal_mode=WAL", "PRAGMA synchronous=OFF", TABLE):
            connection.execute(statement)
        return connection
