"""The service as it is deployed: gunicorn with the configuration and the settings of production, and PostgreSQL."""

from __future__ import annotations

import secrets
import socket
import subprocess
import sys
import urllib.request
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from benchmarks.load.memory import workers
from tests import programs

ROOT = Path(__file__).resolve().parent.parent.parent
TOTALS, NO_TOTALS = "config.wsgi", "benchmarks.load.untotalled_wsgi"
WORKERS = 2
THREADS = 4
START_SECONDS = 60
STOP_SECONDS = 60
HOST = "127.0.0.1"
PROXIED: Mapping[str, str] = {"X-Forwarded-Proto": "https", "X-Forwarded-For": "192.0.2.1"}
"""What the proxy before it would say."""


@dataclass(frozen=True)
class Service:
    """A service that answers."""

    address: str
    process: int


def settings(url: str, folder: Path) -> dict[str, str]:
    """Return the environment of ``docs/how-to/deploy.md``, but that no client is refused for being fast."""
    return {
        **programs.environment(url, "config.settings"),
        "SECRET_KEY": secrets.token_urlsafe(50),
        "ALLOWED_HOSTS": HOST,
        "HTTPS_ONLY": "1",
        "PROXIES": "1",
        "POOL_SIZE": str(THREADS),
        "THREADS": str(THREADS),
        "WEB_CONCURRENCY": str(WORKERS),
        "CACHE_FILE": str(folder / "cache.sqlite3"),
        "STATIC_ROOT": str(folder / "static"),
        "RATE_LIMIT": "1000000/min",  # requests are counted, as ever
    }


@contextmanager
def serving(module: str, environment: Mapping[str, str], log: Path) -> Iterator[Service]:
    """Yield the service, served with an entry point; its standard error goes to a file."""
    with socket.create_server((HOST, 0)) as listener, log.open("w") as output:
        number, port = listener.fileno(), listener.getsockname()[1]
        address = f"http://{HOST}:{port}"
        # Workers stay: one that is replaced in time would be small again, whatever it has lost.
        options = ["--config=config/gunicorn.py", f"--bind=fd://{number}", "--max-requests=0"]
        command = [sys.executable, "-m", "gunicorn", *options, f"{module}:application"]
        with subprocess.Popen(command, cwd=ROOT, env=environment, pass_fds=[number], stderr=output) as process:
            try:
                urllib.request.urlopen(f"{address}/livez", timeout=START_SECONDS).close()
                _await_workers(process.pid, address)
                yield Service(address, process.pid)
            finally:
                process.terminate()
                process.wait(STOP_SECONDS)


def _await_workers(master: int, address: str) -> None:
    """Ask until every worker is there: one that answers may be ahead of the others."""
    while len(workers(master)) < WORKERS:
        urllib.request.urlopen(f"{address}/livez", timeout=START_SECONDS).close()
