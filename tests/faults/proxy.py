"""What stands between the service and PostgreSQL, and cuts a connection around its COMMIT."""

from __future__ import annotations

import select
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from enum import Enum

CHUNK = 65_536
COMMIT = b"COMMIT\0"


class Cut(Enum):
    """When the connection is cut that commits next."""

    BEFORE = "before COMMIT is passed on"
    AFTER = "after it is answered, and before the answer is passed on"


class Proxy:
    """Passes everything on, until it is told to cut."""

    def __init__(self, listener: socket.socket, server: tuple[str, int]) -> None:
        self._listener, self._server = listener, server
        self._next: list[Cut] = []
        self.made: list[Cut] = []
        """The cuts that were made."""

    @property
    def port(self) -> int:
        """Where it listens, on 127.0.0.1."""
        return int(self._listener.getsockname()[1])

    def cut_next(self, cut: Cut) -> None:
        """Cut the next connection that commits."""
        self._next.append(cut)

    def serve(self) -> None:
        """Take connections until the listener is closed."""
        while True:
            try:
                client, _address = self._listener.accept()
            except OSError:
                return
            threading.Thread(target=self._pass_on, args=(client,), daemon=True).start()

    def _pass_on(self, client: socket.socket) -> None:
        # What either end closes, or leaves unread, ends both.
        with client, suppress(OSError), socket.create_connection(self._server) as server:
            while True:
                readable, _, _ = select.select([client, server], [], [])
                for source, target in ((client, server), (server, client)):
                    if source in readable and not self._pass_chunk(source, target, asks=source is client):
                        return

    def _pass_chunk(self, source: socket.socket, target: socket.socket, *, asks: bool) -> bool:
        """Pass on what has come; return whether there is more to come."""
        chunk = source.recv(CHUNK)
        cut = self._next.pop() if asks and COMMIT in chunk and self._next else None
        if cut is not Cut.BEFORE:
            target.sendall(chunk)
        if cut is Cut.AFTER:
            target.recv(CHUNK)  # the answer: it is committed
        if cut is not None:
            self.made.append(cut)
        return bool(chunk) and cut is None


@contextmanager
def proxied(host: str, port: int) -> Iterator[Proxy]:
    """Yield a proxy before a server."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        proxy = Proxy(listener, (host, port))
        server = threading.Thread(target=proxy.serve)
        server.start()
        try:
            yield proxy
        finally:
            listener.shutdown(socket.SHUT_RDWR)
            server.join()
