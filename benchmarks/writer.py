"""What a process does that writes when told to: jobs come through a pipe, answers go back."""

from __future__ import annotations

import random
import resource
import signal
import time
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from multiprocessing.connection import Connection
from typing import Any

from django.db import connections, transaction

from benchmarks import data, repairs
from benchmarks.models import Kept

SPREAD_DAY = 15


def serve(number: int, pipe: Connection, inherited: Sequence[Connection]) -> None:
    """Do jobs until the pipe is closed."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # whoever is interrupted closes the pipe
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    for other in inherited:
        other.close()
    jobs = {"once": once, "write": write, "stripe": stripe, "gap": gap, "rebuild": rebuild}
    while True:
        try:
            job, arguments = pipe.recv()
        except (EOFError, ConnectionResetError):
            break
        pipe.send(jobs[job](number, **arguments))
    connections.close_all()


def once(number: int, *, model: str, where: str) -> None:
    """Insert one row."""
    _insert(model, _row(number, where), 0.0)()


def write(number: int, *, model: str, where: str, pause: float, begin: float, end: float) -> int:
    """Insert rows and return how many were committed between two moments.

    ``where``: all writers in one coarse bucket, each with an owner (and so a day and a month bucket) of
    its own ("hot"); all in the very same three buckets ("owner"); each in buckets of its own ("spread").
    ``pause``: seconds of other work in the transaction, after the write.
    """
    insert = _insert(model, _row(number, where), pause)
    done = 0
    while time.monotonic() < end:
        insert()
        done += begin <= time.monotonic() < end
    return done


def gap(number: int, *, seconds: float) -> float:
    """Insert expenses and return the longest time between two commits, in seconds."""
    insert = _insert("expense", _row(number, "spread"), 0.0)
    insert()
    last = began = time.monotonic()
    longest = 0.0
    while last - began < seconds:
        insert()
        now = time.monotonic()
        longest, last = max(longest, now - last), now
    return longest


def stripe(number: int, *, using: str) -> int:
    """Insert one expense into each coarse bucket, into this connection's slot."""
    shape = data.dense(data.COARSE * 10)
    rows = [
        Kept(**data.dimensions(shape, i), amount=random.randrange(1, 100), description=f"heat of {number}")
        for i in range(data.COARSE)
    ]
    Kept.objects.using(using).bulk_create(rows)
    return len(rows)


def rebuild(number: int) -> float:
    """Rebuild from no totals; return the most memory this process ever held, in megabytes."""
    repairs.rebuilt()
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def _insert(model: str, row: dict[str, Any], pause: float) -> Callable[[], None]:

    source = data.model(model)
    # The engine opens its own transaction, unless there is more to do in it.
    own = model == "expense" and not pause
    opened: Callable[[], AbstractContextManager[Any]] = nullcontext if own else transaction.atomic

    def insert() -> None:
        instance = source(**row, amount=random.randrange(1, 10_000))
        with opened():
            instance.save()
            if pause:
                time.sleep(pause)

    return insert


def _row(number: int, where: str) -> dict[str, Any]:

    spread = where == "spread"
    return {
        "owner_id": 1 if where == "owner" else 1 + number,
        "category_id": 1 + number % data.CATEGORIES if spread else 1,
        "currency": "EUR",
        "spent_on": data.MONTHS[number if spread else 0].replace(day=SPREAD_DAY),
        "status": data.STATUSES[0],
        "description": f"of writer {number}",
    }
