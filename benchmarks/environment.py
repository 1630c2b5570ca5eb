"""On what a run was made: a ratio is worth something only beside it."""

from __future__ import annotations

import os
import platform
import statistics
import tempfile
import time

import django
from django.db import connection

SETTINGS = ("fsync", "synchronous_commit", "full_page_writes", "shared_buffers", "max_wal_size")


def of_machine() -> dict[str, object]:
    """Return the machine's and Python's part."""
    return {
        "cores": os.cpu_count(),
        "machine": platform.machine(),
        "system": platform.system(),
        "python": platform.python_version(),
        "fsync_ms": round(_fsync_ms(), 3),
    }


def of_database() -> dict[str, object]:
    """Return the database's and Django's part, for the connection in use."""
    with connection.cursor() as cursor:
        if connection.vendor != "postgresql":
            cursor.execute("SELECT sqlite_version()")
            return {"sqlite": cursor.fetchone()[0]}
        found: dict[str, object] = {"django": django.get_version()}
        cursor.execute("SHOW server_version")
        found["postgresql"] = cursor.fetchone()[0]
        for name in SETTINGS:
            cursor.execute(f"SHOW {name}")
            found[name] = cursor.fetchone()[0]
    return found


def _fsync_ms(times: int = 20) -> float:
    """Return how long the disk takes to say that it has written a page: what each commit waits for."""
    taken = []
    with tempfile.TemporaryFile(dir="/tmp") as file:  # where the server's data are
        for _ in range(times):
            file.write(b"\0" * 8192)
            file.flush()
            began = time.perf_counter()
            os.fsync(file.fileno())
            taken.append(time.perf_counter() - began)
    return statistics.median(taken) * 1000
