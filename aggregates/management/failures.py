"""How a command ends when it cannot go on."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager

from django.core.management.base import CommandError
from django.db import Error
from django.utils.connection import ConnectionDoesNotExist

from aggregates.exceptions import AggregatesError
from aggregates.runs import was_interrupted

COULD_NOT_RUN = 2


@contextmanager
def could_not_run() -> Iterator[None]:
    """Turn an expected failure into one line and exit code 2."""
    try:
        yield
    except (AggregatesError, Error, ConnectionDoesNotExist) as error:
        if was_interrupted(error):
            raise KeyboardInterrupt from error
        raise CommandError(f"Could not run: {error}", returncode=COULD_NOT_RUN) from error


@contextmanager
def terminable() -> Iterator[None]:
    """Let SIGTERM end the block as Ctrl-C does, so that the run is recorded as interrupted."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)
