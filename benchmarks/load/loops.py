"""What goes on beside the clients: each in a thread of its own, again and again until the load ends."""

from __future__ import annotations

import threading
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from django.db import connections

PATIENCE = 120.0
"""Seconds in which a step that has begun comes to its end."""


class Loop:
    """Does a step until it is told to stop or a step fails, at least once."""

    def __init__(self, name: str, step: Callable[[], object], pause: float) -> None:
        self.name, self._step, self._pause = name, step, pause
        self.times = 0
        self.failures: list[str] = []
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name=name)

    def start(self) -> None:
        """Begin."""
        self._thread.start()

    def end(self) -> None:
        """Let the step that has begun come to its end, and stop."""
        self._stop.set()
        self._thread.join(PATIENCE)
        if self._thread.is_alive():
            self.failures.append(f"{self.name}: has not ended for {PATIENCE:.0f} seconds")

    def _run(self) -> None:
        try:
            while True:
                self._step()
                self.times += 1
                if self._stop.wait(self._pause):
                    return
        except Exception as error:  # noqa: BLE001 - whatever it is, the load has failed
            traceback.print_exc()
            self.failures.append(f"{self.name}: {error}")
        finally:
            connections.close_all()


@contextmanager
def beside(*loops: Loop) -> Iterator[None]:
    """Let loops run for as long as the block."""
    try:
        for loop in loops:
            loop.start()
        yield
    finally:
        for loop in loops:
            loop.end()
