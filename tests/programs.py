"""Programs that a run starts: nothing that happens to be set reaches them, and none outlives it."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from types import FrameType

STOP_SECONDS = 30
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


def unwind_on_signals(*numbers: signal.Signals) -> None:
    """Let these signals end this program as an exit does, so that what it started is stopped."""
    for number in numbers:
        signal.signal(number, _exit)


def _exit(number: int, _frame: FrameType | None) -> None:
    sys.exit(128 + number)
