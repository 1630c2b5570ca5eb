"""Processes that write side by side, and whoever tells them what."""

from __future__ import annotations

import multiprocessing
import time
from collections.abc import Iterator
from contextlib import contextmanager
from multiprocessing.connection import Connection
from multiprocessing.process import BaseProcess
from typing import Any

from django.db import connections

from benchmarks import writer

WRITERS = 16
LEAD = 0.3  # seconds between an order and the moment from which commits count
STOP_SECONDS = 10
PATIENCE = 300  # seconds for any one job


class Crew:
    """Sixteen writers, idle until they are told."""

    def __init__(self, members: list[tuple[BaseProcess, Connection]]) -> None:
        self._members = members

    def tell(self, number: int, job: str, **arguments: Any) -> None:
        """Give a writer a job; see ``benchmarks.writer``."""
        self._members[number][1].send((job, arguments))

    def hear(self, number: int) -> Any:
        """Return a writer's answer, once it is done; raise RuntimeError where it has failed."""
        process, pipe = self._members[number]
        if not pipe.poll(PATIENCE):
            raise RuntimeError(f"Writer {number} has not answered for {PATIENCE} seconds.")
        try:
            return pipe.recv()
        except EOFError:
            process.join(STOP_SECONDS)
            raise RuntimeError(f"Writer {number} ended with exit status {process.exitcode}.") from None

    def all(self, job: str, writers: int = WRITERS, **arguments: Any) -> list[Any]:
        """Give the first ``writers`` a job and return their answers."""
        for number in range(writers):
            self.tell(number, job, **arguments)
        return [self.hear(number) for number in range(writers)]

    def throughput(
        self, model: str, where: str, *, seconds: float, pause: float = 0.0, writers: int = WRITERS
    ) -> float:
        """Return the commits a second of writers side by side."""
        begin = time.monotonic() + LEAD
        written = self.all("write", writers, model=model, where=where, pause=pause, begin=begin, end=begin + seconds)
        return sum(written) / seconds


@contextmanager
def crew(writers: int = WRITERS) -> Iterator[Crew]:
    """Yield writers, in processes of their own on the databases of this one; end them afterwards."""
    connections.close_all()  # a connection must not be shared with a fork
    context = multiprocessing.get_context("fork")  # Django is set up once, not sixteen times
    members: list[tuple[BaseProcess, Connection]] = []
    try:
        for number in range(writers):
            ours, theirs = context.Pipe()
            # A fork inherits our ends of the others' pipes, and with them open those would never end.
            inherited = [ours, *(pipe for _process, pipe in members)]
            process = context.Process(target=writer.serve, args=(number, theirs, inherited), daemon=True)
            process.start()
            theirs.close()
            members.append((process, ours))
        yield Crew(members)
    finally:
        for process, pipe in members:
            pipe.close()
            process.join(STOP_SECONDS)
            if process.is_alive():
                process.kill()
                process.join()
