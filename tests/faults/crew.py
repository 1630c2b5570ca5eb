"""Clients and a worker process that write at once while something dies, and what must be stored in the end."""

from __future__ import annotations

import json
import random
import subprocess
import threading
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from typing import Any

from django.contrib.auth.models import User
from django.db import connection

from tests.concurrency.threads import wait_until
from tests.exactness import assert_totals_match
from tests.faults.client import Client
from tests.faults.journal import Journal, Write
from tests.faults.service import Service, client_of
from tests.grouped import assert_grouped
from tests.processes import PATIENCE, called, running

CLIENTS = 3
WRITERS = CLIENTS + 1  # a worker process writes beside them


class Worker(threading.Thread):
    """Keeps the journal of a worker process."""

    def __init__(self, process: subprocess.Popen[str], journal: Journal) -> None:
        super().__init__(name="worker")
        self.process, self._journal = process, journal
        self.written = 0

    def run(self) -> None:
        """Take in what the process tells until it ends; what it had begun then is in doubt."""
        begun = None
        for line in self.process.stdout or ():
            told = json.loads(line)
            write = Write(*({label: tuple(v) for label, v in told[side].items()} for side in ("before", "after")))
            begun = write if told["told"] == "begun" else None
            if begun is None:
                getattr(self._journal, told["told"])(write)
                self.written += 1
        if begun is not None:
            self._journal.left_in_doubt(begun)


class Crew:
    """Everybody who writes."""

    def __init__(
        self, service: Service, seed: int, owner: User, categories: Sequence[int], journal: Journal | None = None
    ) -> None:
        self.service, self.journal = service, journal or Journal()
        self.pick = random.Random(seed)
        self.workers: list[Worker] = []
        self._seed, self._owner, self._categories = seed, owner, categories
        self._clients: list[Client] = []
        self._open = ExitStack()

    def begin(self, clients: int = CLIENTS) -> None:
        """Let them begin to write."""
        for number in range(clients):
            http = self._open.enter_context(client_of(self.service, self._owner))
            client = Client(f"client {number}", self._seed, http, self.journal, self._categories)
            self._clients.append(client)
            client.start()

    def employ(self) -> Worker:
        """Let a worker process write as well."""
        who = [f"worker {len(self.workers)}", self._seed, self._owner.pk, *self._categories]
        process = self._open.enter_context(running("-m", "tests.faults.worker", *map(str, who)))
        self.workers.append(Worker(process, self.journal))
        self.workers[-1].start()
        return self.workers[-1]

    def go_on(self, writes: int) -> None:
        """Return after so many more acknowledged writes, and a moment more that is drawn at random."""
        wanted = self.journal.told["acknowledged"] + writes

        def is_done() -> bool:
            for client in self._clients:
                client.assert_well()
            return self.journal.told["acknowledged"] >= wanted

        wait_until(is_done, f"{writes} more writes are acknowledged: {self.journal.told}")
        threading.Event().wait(self.pick.uniform(0, 0.05))  # so that what dies is not always between two writes

    def until_it_wrote(self, worker: Worker, writes: int) -> None:
        """Return after so many writes of a worker process, and a moment more."""
        wait_until(lambda: worker.written >= writes, f"{writes} writes of a worker")
        threading.Event().wait(self.pick.uniform(0, 0.05))

    def until_somebody_is_refused(self) -> None:
        """Return once a client was told that nothing is written."""
        refused = self.journal.told["unavailable"]
        wait_until(lambda: self.journal.told["unavailable"] > refused, "a client gets 503")

    def end(self) -> None:
        """Stop everybody; raise what somebody met that must not be."""
        for worker in self.workers:
            if worker.process.poll() is None and worker.process.stdin:
                worker.process.stdin.write("stop\n")
                worker.process.stdin.flush()
        for client in self._clients:
            client.end()
        for worker in self.workers:
            worker.join(PATIENCE)
            assert not worker.is_alive(), "a worker hangs"
        self._open.close()

    def close(self) -> None:
        """Leave nothing running, whatever happened."""
        self._open.close()


@contextmanager
def at_work(
    service: Service, seed: int, owner: User, categories: Sequence[int], journal: Journal | None = None
) -> Iterator[Crew]:
    """Yield a crew that is stopped at the end, and whose journal the database must then keep to."""
    crew = Crew(service, seed, owner, categories, journal)
    try:
        yield crew
        crew.end()
    finally:
        crew.close()
    assert_kept(crew.journal)


def assert_kept(journal: Journal) -> None:
    """Compare everything with the database: the journal, the totals, and the database with itself."""
    print(f"told: {dict(journal.told)}")  # noqa: T201 - shown where the test fails
    journal.assert_kept()
    assert_grouped()
    assert_totals_match()
    report, status = called("verify_totals")
    assert status == 0, report
    assert_sound()


def assert_sound() -> None:
    """Let SQLite look at its file."""
    if connection.vendor == "sqlite":
        with connection.cursor() as cursor:
            cursor.execute("PRAGMA integrity_check")
            findings: Any = cursor.fetchall()
        assert findings == [("ok",)]
