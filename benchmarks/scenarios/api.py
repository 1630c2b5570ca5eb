"""Requests a second of the totals resource, under gunicorn, against the same resource computing live."""

from __future__ import annotations

import http.client
import json
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from functools import partial
from typing import Any

from django.contrib.auth import get_user_model
from knox.models import AuthToken

from benchmarks import data
from benchmarks.bench import Bench
from benchmarks.pairs import Sample

PATH = "/api/v1/totals/?group_by=category,month&page_size=100"
CLIENTS = 2
WORKERS = 2
START_SECONDS = 60.0
OK = 200


def measure(bench: Bench) -> None:
    """Measure both; they must answer alike."""
    admin = get_user_model()._default_manager.create(id=data.ADMIN, username="admin", is_superuser=True)
    _token, secret = AuthToken.objects.create(admin)
    with serving("config.wsgi") as stored, serving("benchmarks.live_wsgi") as live:
        shown = [json.loads(get(port, secret)) for port in (stored, live)]
        if shown[0]["results"] != [_elsewhere(row, live, stored) for row in shown[1]["results"]]:
            raise AssertionError("The totals of the API are not what it computes from the expenses.")
        bench.compare("api_totals", requests(bench, stored, secret), requests(bench, live, secret), times=2.0)


def requests(bench: Bench, port: int, secret: str) -> Sample:
    """Ask for some seconds, and at least once a client; return the seconds a request."""

    def ask(until: float) -> int:
        asked = 0
        while not asked or time.monotonic() < until:
            get(port, secret)
            asked += 1
        return asked

    def sample() -> float:
        began = time.monotonic()
        with ThreadPoolExecutor(CLIENTS) as clients:
            asked = sum(clients.map(ask, [began + bench.sizes.window] * CLIENTS))
        return (time.monotonic() - began) / asked

    return sample


def get(port: int, secret: str) -> bytes:
    """Return the body of the totals."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=START_SECONDS)
    try:
        connection.request("GET", PATH, headers={"Authorization": f"Token {secret}"})
        response = connection.getresponse()
        body = response.read()
    finally:
        connection.close()
    if response.status != OK:
        raise AssertionError(f"GET {PATH} answered {response.status}: {body[:500]!r}")
    return body


@contextmanager
def serving(module: str) -> Iterator[int]:
    """Yield the port of 127.0.0.1 on which gunicorn serves the application of a module."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        port: int = listener.getsockname()[1]
    options = [f"--workers={WORKERS}", f"--bind=127.0.0.1:{port}", "--timeout=120", "--log-level=warning"]
    process = subprocess.Popen([sys.executable, "-m", "gunicorn", f"{module}:application", *options])
    try:
        _await(partial(socket.create_connection, ("127.0.0.1", port)), process)
        yield port
    finally:
        process.terminate()
        process.wait()


def _await(connect: Any, process: subprocess.Popen[bytes]) -> None:
    deadline = time.monotonic() + START_SECONDS
    while process.poll() is None and time.monotonic() < deadline:
        try:
            connect().close()
        except OSError:
            time.sleep(0.1)
        else:
            return
    raise RuntimeError(f"gunicorn did not start: exit status {process.poll()}")


def _elsewhere(row: dict[str, Any], live: int, stored: int) -> dict[str, Any]:
    return {**row, "expenses": row["expenses"].replace(f":{live}/", f":{stored}/")}
