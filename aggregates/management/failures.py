"""How a command ends when it cannot go on."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from django.core.management.base import CommandError
from django.db import Error
from django.utils.connection import ConnectionDoesNotExist

from aggregates import interrupts
from aggregates.exceptions import AggregatesError

COULD_NOT_RUN = 2


@contextmanager
def could_not_run() -> Iterator[None]:
    """Turn an expected failure into one line and exit code 2, an interrupt into KeyboardInterrupt."""
    with interrupts.heeded():
        try:
            yield
        except (AggregatesError, Error, ConnectionDoesNotExist, OSError) as error:
            if interrupts.caused(error):
                raise KeyboardInterrupt from error
            raise CommandError(f"Could not run: {error}", returncode=COULD_NOT_RUN) from error
