"""How gunicorn logs, and where its workers keep their figures: what a configuration of gunicorn imports."""

from __future__ import annotations

import os
import shutil
import struct
import tempfile
from itertools import count
from pathlib import Path
from socket import SO_RCVTIMEO, SO_SNDTIMEO, SOL_SOCKET
from typing import Any

from gunicorn.glogging import Logger
from gunicorn.workers.gthread import ThreadWorker
from prometheus_client import values

from config import logs
from config.environment import whole

CLIENT_SECONDS = whole("CLIENT_SECONDS", 30, least=1)
"""After how long a client is given up that sends nothing of what it has begun to send, or takes nothing."""
FOLDER = "PROMETHEUS_MULTIPROC_DIR"
_made: list[str] = []

logs.configure()


class LineLogger(Logger):  # type: ignore[misc]  # gunicorn has no types
    """Logs as the service does. The service tells of each request, so a log of access has to be asked for."""

    def setup(self, cfg: Any) -> None:
        """Set up gunicorn's own handlers with the service's format."""
        super().setup(cfg)
        line = logs.formatter(logs.chosen()[0])
        for handler in [*self.error_log.handlers, *self.access_log.handlers]:
            handler.setFormatter(line)

    def access(self, resp: Any, req: Any, environ: dict[str, Any], request_time: Any) -> None:
        """Log a request, without its query string."""
        if self.access_log_enabled:
            told = {
                "method": environ.get("REQUEST_METHOD"),
                "path": environ.get("PATH_INFO"),
                "status": int(str(resp.status).split(maxsplit=1)[0]),
                "bytes": getattr(resp, "sent", None),
                "duration_ms": round(request_time.total_seconds() * 1000, 1),
            }
            self.access_log.info("access", extra=told)


logger_class = LineLogger


class PatientWorker(ThreadWorker):  # type: ignore[misc]  # as above
    """Waits for a client, though not for ever: each that stops in the middle of a request would keep a thread."""

    def handle(self, conn: Any) -> Any:
        """Handle a request on a connection."""
        # Of the socket itself: gunicorn sets the timeouts that Python has, and has none in a thread.
        limit = struct.pack("ll", CLIENT_SECONDS, 0)
        for option in (SO_RCVTIMEO, SO_SNDTIMEO):
            conn.sock.setsockopt(SOL_SOCKET, option, limit)
        return super().handle(conn)


def on_starting(server: Any) -> None:
    """Begin with an empty folder for the figures, which every worker writes to and ``/metrics`` adds up."""
    if server.master_pid:
        return  # it takes over from another master, whose workers still count
    if folder := os.environ.get(FOLDER):
        Path(folder).mkdir(parents=True, exist_ok=True)
        for old in Path(folder).glob("*.db"):
            old.unlink()
    else:
        os.environ[FOLDER] = tempfile.mkdtemp(prefix="metrics-")
        _made.append(os.environ[FOLDER])


def pre_fork(server: Any, worker: Any) -> None:
    """Give a worker the first number that no living one has."""
    taken = {getattr(other, "number", None) for other in server.WORKERS.values()}
    worker.number = next(number for number in count() if number not in taken)


def post_fork(server: Any, worker: Any) -> None:
    """Let a worker go on with the file of the one it replaces, so that there are never more than workers at once."""
    # The master's id tells the workers of two masters apart, while one takes over from the other.
    identity = f"{server.pid}-{worker.number}"
    values.ValueClass = values.MultiProcessValue(lambda: identity)  # type: ignore[no-untyped-call]


def on_exit(server: Any) -> None:
    """Remove the folder, unless it was given, or is another master's by now."""
    if not server.reexec_pid:
        for folder in _made:
            shutil.rmtree(folder, ignore_errors=True)
