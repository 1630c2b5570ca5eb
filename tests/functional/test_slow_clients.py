"""Clients that stop in the middle, of whom a server has no more than threads to give."""

from __future__ import annotations

import socket
from contextlib import ExitStack
from urllib.parse import urlsplit

import httpx
import pytest

from tests.processes import PATIENCE, served

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.long]
THREADS = 2
BEGUN = {
    "headers": b"POST /api/v1/auth/login/ HTTP/1.1\r\nHost: localhost\r\nX-A:",
    "a body": b"POST /api/v1/auth/login/ HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
    b"Content-Length: 100\r\n\r\n{",
    "a form": b"POST /login/ HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/x-www-form-urlencoded\r\n"
    b"Content-Length: 100\r\n\r\nusername=",
}


@pytest.mark.parametrize("begun", BEGUN.values(), ids=BEGUN)
def test_clients_that_stop_in_the_middle_of_a_request_keep_no_thread(begun: bytes) -> None:
    options = ("--config=config/gunicorn.py", "--workers=1", f"--threads={THREADS}")
    with served(*options, CLIENT_SECONDS="1") as address, ExitStack() as open_:
        parts = urlsplit(address)
        for _client in range(THREADS * 2):
            client = open_.enter_context(socket.create_connection((parts.hostname, parts.port), timeout=PATIENCE))
            client.sendall(begun)
        assert httpx.get(f"{address}/livez", timeout=PATIENCE).status_code == 200
        assert b"500" not in client.recv(100)  # it is answered with a refusal, or with nothing
