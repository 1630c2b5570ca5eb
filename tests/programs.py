"""Programs that a run starts: nothing that happens to be set reaches them, and none outlives it."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from types import FrameType

STOP_SECONDS = 30
GONE, PAUSED = "Z", "T"  # states, as Linux has them: ended, and its parent has not asked how; stopped by a signal
# A run is to depend on nothing that happens to be set where it starts.
OURS = frozenset({
    "ALLOWED_HOSTS", "BIND", "CACHE_FILE", "CACHE_URL", "CLIENT_SECONDS", "CSRF_TRUSTED_ORIGINS", "DATABASE_URL",
    "DEBUG", "DJANGO_SETTINGS_MODULE", "HSTS_PRELOAD", "HSTS_SECONDS", "HSTS_SUBDOMAINS", "HTTPS_ONLY",
    "IDLE_SECONDS", "LOCK_SECONDS", "LOGIN_ATTEMPTS", "LOGIN_MINUTES", "LOG_FORMAT", "LOG_LEVEL", "METRICS_TOKEN",
    "POOL_CHECKS", "POOL_SIZE", "PROMETHEUS_MULTIPROC_DIR", "PROXIES", "RATE_LIMIT", "RETRY_SECONDS", "SECRET_KEY",
    "SESSION_HOURS", "STATEMENT_SECONDS", "STATIC_ROOT", "THREADS", "TOKEN_HOURS", "WEB_CONCURRENCY",
})  # fmt: skip


class NotRun(Exception):
    """Something that tests need is not available here. The message is the reason."""


def environment(url: str, settings: str) -> dict[str, str]:
    """Return the environment of a program that uses this database under these settings."""
    kept = {name: value for name, value in os.environ.items() if name not in OURS and not name.startswith("PG")}
    return {**kept, "DATABASE_URL": url, "DJANGO_SETTINGS_MODULE": settings}


def wait(process: subprocess.Popen[bytes]) -> int:
    """Return the exit status; stop the process where this one is interrupted."""
    try:
        return process.wait()
    finally:
        if process.poll() is None:
            process.terminate()
            try:
                process.wait(STOP_SECONDS)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


def children(parent: int) -> list[int]:
    """Return the processes that a process has started and that still run, as Linux knows them."""
    found = []
    for status in Path("/proc").glob("[0-9]*/stat"):
        with suppress(OSError):  # it has ended meanwhile
            # The name, in brackets, may hold spaces.
            state, its_parent = status.read_text().rpartition(")")[2].split()[:2]
            if int(its_parent) == parent and state != GONE:
                found.append(int(status.parent.name))
    return found


def kill(*numbers: int) -> None:
    """Kill processes at one moment; return when none of them runs."""
    for number in numbers:
        with suppress(ProcessLookupError):
            os.kill(number, signal.SIGKILL)
    wait_until(lambda: not any(map(runs, numbers)), f"all of {numbers} have ended")


def kill_with_children(parent: int, *others: int) -> None:
    """Kill a process, all that it has started, and others, at one moment; return when none of them runs.

    It is paused first, so that it starts no child after those were looked for.
    """
    os.kill(parent, signal.SIGSTOP)
    wait_until(lambda: _state(parent) in {PAUSED, GONE}, f"{parent} is paused")
    kill(parent, *children(parent), *others)


def runs(number: int) -> bool:
    """Return whether a process runs, as Linux knows it; one that has ended and was not asked how does not."""
    return _state(number) != GONE


def _state(number: int) -> str:
    try:
        return Path(f"/proc/{number}/stat").read_text().rpartition(")")[2].split()[0]
    except OSError:
        return GONE


def wait_until(condition: Callable[[], bool], what: str, *, seconds: float = STOP_SECONDS) -> None:
    """Return as soon as the condition holds; raise TimeoutError with ``what`` if it does not within so many seconds."""
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            raise TimeoutError(f"never happened: {what}")
        time.sleep(0.005)  # between two looks at the condition: no guess at when it will hold


def unwind_on_signals(*numbers: signal.Signals) -> None:
    """Let these signals end this program as an exit does, so that what it started is stopped."""
    for number in numbers:
        signal.signal(number, _exit)


def _exit(number: int, _frame: FrameType | None) -> None:
    sys.exit(128 + number)
