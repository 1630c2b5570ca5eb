"""Which slot of a hot bucket a connection adds to: one that no other connection adds to, as far as there are enough.

Two writers that share a slot wait for each other as if there were none. The number that a server
gives a session is no good for this: numbers of others lie in between, and two writers in sixteen
soon share a remainder.
"""

from __future__ import annotations

from typing import Any
from weakref import WeakKeyDictionary

from django.db.backends.base.base import BaseDatabaseWrapper

from aggregates.definitions import MAX_SLOTS, Definition, Rollup

# A lock that a session holds until it ends, and that keeps nobody waiting: "the lowest number that is free".
# Its first half tells it from advisory locks of the host's: "agg" in ASCII.
CLAIM = f"""
    SELECT number FROM GENERATE_SERIES(0, {MAX_SLOTS - 1}) AS number
    WHERE PG_TRY_ADVISORY_LOCK({int.from_bytes(b"agg")}, number) LIMIT 1
"""  # noqa: S608 - numbers of ours

_claimed: WeakKeyDictionary[Any, int] = WeakKeyDictionary()


def number(definition: Definition, connection: BaseDatabaseWrapper) -> int:
    """Return the number of a connection, whose remainder is its slot; 0 where one slot is all there is.

    Needs an open connection. On PostgreSQL the first call asks the server.
    """
    if not definition.is_striped or connection.vendor == "sqlite":
        return 0
    session: Any = connection.connection
    if connection.vendor != "postgresql":
        return int(session.thread_id())
    claimed = _claimed.get(session)
    if claimed is None:
        claimed = _claimed[session] = _claim(connection)
    return claimed


def slot(rollup: Rollup, number: int) -> int:
    """Return the slot of a rollup to which the connection with that number adds."""
    return number % rollup.slots


def _claim(connection: BaseDatabaseWrapper) -> int:
    """Ask past Django's wrappers and logs: who counts the queries of a write must not find one more at times."""
    session: Any = connection.connection
    with connection.wrap_database_errors:
        found = session.execute(CLAIM).fetchone()
    # More sessions than slots: whichever is shared is as good as another.
    return int(found[0] if found else session.info.backend_pid)
