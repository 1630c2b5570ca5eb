"""Processes that write side by side, and whoever tells them what."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

WRITERS = 16
LEAD = 0.3  # seconds between an order and the moment from which commits count
STOP_SECONDS = 10


class Crew:
    """Sixteen writers, idle until they are told."""

    def __init__(self, processes: list[subprocess.Popen[str]]) -> None:
        self._processes = processes

    def tell(self, number: int, job: str, **arguments: Any) -> None:
        """Give a writer a job."""
        to = self._processes[number].stdin
        if to is None:
            raise AssertionError("Writers have pipes.")
        to.write(json.dumps({"job": job, **arguments}) + "\n")
        to.flush()

    def hear(self, number: int) -> Any:
        """Return a writer's answer, once it is done."""
        told = self._processes[number].stdout
        line = told.readline() if told else ""
        if not line:
            raise RuntimeError(f"Writer {number} ended with exit status {self._processes[number].poll()}.")
        return json.loads(line)

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
    """Yield writers, in processes of their own on the database of this one; end them afterwards."""
    processes = [
        subprocess.Popen(
            [sys.executable, "-m", "benchmarks.writer", str(number)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        for number in range(writers)
    ]
    try:
        yield Crew(processes)
    finally:
        for process in processes:
            _end(process)


def _end(process: subprocess.Popen[str]) -> None:
    if process.stdin:
        process.stdin.close()
    try:
        process.wait(STOP_SECONDS)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
    if process.stdout:
        process.stdout.close()
