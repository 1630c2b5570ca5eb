"""The service under gunicorn, whose master and workers a test may kill, on a socket that outlives them."""

from __future__ import annotations

import random
import socket
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import IO, Any

import httpx
from django.contrib.auth.models import User
from knox.models import AuthToken

from tests import programs
from tests.concurrency.threads import wait_until
from tests.processes import PATIENCE, ROOT, environment

COMMAND = (sys.executable, "-m", "gunicorn", "--config", "config/gunicorn.py", "config.wsgi")


@dataclass
class Service:
    """A running service. Requests that come while nobody answers wait in its socket."""

    listener: socket.socket
    log: IO[bytes]
    given: dict[str, str] = field(default_factory=dict)
    options: tuple[str, ...] = ()
    _master: Any = None

    @property
    def address(self) -> str:
        """Where it listens."""
        return "http://{}:{}".format(*self.listener.getsockname())

    def start(self) -> None:
        """Start it; return when it answers."""
        number = self.listener.fileno()
        env = {**environment(), "BIND": f"fd://{number}", **self.given}
        self._master = subprocess.Popen(
            [*COMMAND, *self.options], cwd=ROOT, env=env, pass_fds=[number], stderr=self.log
        )
        wait_until(self._answers, "the service answers")

    def _answers(self) -> bool:
        try:
            return httpx.get(f"{self.address}/livez", timeout=PATIENCE).is_success
        except httpx.TransportError:  # a worker of a master that was killed took the request, and ended
            return False

    @property
    def master(self) -> int:
        """Its first process."""
        return int(self._master.pid)

    @property
    def workers(self) -> list[int]:
        """Its workers' processes."""
        return programs.children(self.master)

    def kill_a_worker(self, pick: random.Random) -> None:
        """Kill one of its workers; the master starts another."""
        wait_until(lambda: bool(self.workers), "there is a worker")
        programs.kill(pick.choice(sorted(self.workers)))

    def kill_the_master(self) -> None:
        """Kill the master alone; its workers see that and end by themselves."""
        programs.kill(self.master)
        self._master.wait()  # so that nobody takes it for running

    def kill(self, *others: int) -> None:
        """Kill the master and all workers at one moment, and other processes with them."""
        programs.kill_with_children(self.master, *others)
        self._master.wait()

    def stop(self) -> None:
        """Stop it in peace, if it runs."""
        if self._master is not None and self._master.poll() is None:
            self._master.terminate()
            self._master.wait(PATIENCE)


@contextmanager
def serving(*options: str, **given: str) -> Iterator[Service]:
    """Yield the service on the database in use, with these options of gunicorn and more of its environment.

    What it logged is shown where the test fails.
    """
    with socket.create_server(("127.0.0.1", 0), backlog=64) as listener, tempfile.TemporaryFile() as log:
        service = Service(listener, log, given, options)
        try:
            service.start()
            yield service
        except BaseException:
            log.seek(0)
            sys.stderr.write(log.read().decode(errors="replace")[-20_000:])
            raise
        finally:
            service.stop()


@contextmanager
def client_of(service: Service, user: User) -> Iterator[httpx.Client]:
    """Yield a client of the service, logged in."""
    _instance, token = AuthToken.objects.create(user=user)
    headers = {"Authorization": f"Token {token}"}
    with httpx.Client(base_url=service.address, headers=headers, timeout=PATIENCE) as client:
        yield client
