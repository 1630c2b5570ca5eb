"""Whether the memory of the service's workers is flat, by what ``/proc`` says of them."""

from __future__ import annotations

import os
import statistics
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

PERIODS = 5
"""The load is judged by the second and the last of so many equal parts: of five minutes, the second and the last."""
GROWTH = 0.10
"""By how much a worker may have grown from the one to the other."""
LEAST_SECONDS = 120.0
"""Of a shorter load the parts are no measure: workers are still warming up."""
PAGE = os.sysconf("SC_PAGE_SIZE")

Sample = tuple[float, Mapping[int, int]]
"""Seconds since the load began, and the bytes that each worker holds."""


def workers(master: int) -> list[int]:
    """Return the processes that a gunicorn has started."""
    return [int(number) for number in Path(f"/proc/{master}/task/{master}/children").read_text().split()]


def resident(process: int) -> int:
    """Return the bytes of memory that a process holds."""
    return int(Path(f"/proc/{process}/statm").read_text().split()[1]) * PAGE


class Watch:
    """Samples of the memory of one service's workers."""

    def __init__(self, master: int) -> None:
        self._master, self._began = master, time.monotonic()
        self.samples: list[Sample] = []

    def look(self) -> None:
        """Take a sample; raise RuntimeError where a worker has gone or come."""
        held = {number: resident(number) for number in workers(self._master)}
        if self.samples and held.keys() != self.samples[0][1].keys():
            raise RuntimeError(f"a worker has ended: {list(self.samples[0][1])} have become {list(held)}")
        self.samples.append((time.monotonic() - self._began, held))


def growth(samples: Sequence[Sample], seconds: float) -> dict[int, tuple[int, int]]:
    """Return what each worker held in the second part of the load and in the last, in bytes, by the median."""
    part = seconds / PERIODS
    early = [held for at, held in samples if part <= at < 2 * part]
    late = [held for at, held in samples if seconds - part <= at < seconds]
    if not early or not late:
        return {}
    return {number: (_median(early, number), _median(late, number)) for number in late[-1]}


def grown(found: Mapping[int, tuple[int, int]], seconds: float) -> list[str]:
    """Return a line for each worker whose memory is not flat."""
    if seconds < LEAST_SECONDS:
        return []
    return [
        f"memory: worker {number} held {early / 2**20:.1f} MB and in the end {late / 2**20:.1f} MB"
        for number, (early, late) in found.items()
        if late > early * (1 + GROWTH)
    ]


def _median(samples: Sequence[Mapping[int, int]], number: int) -> int:
    return round(statistics.median(held[number] for held in samples))
