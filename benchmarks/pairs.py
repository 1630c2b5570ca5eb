"""Two things timed side by side: A B B A, again and again, until the median of their ratio is steady.

A machine that others use is slower now and faster then; what is timed side by side is slow
together, so the ratio stays where the seconds do not.
"""

from __future__ import annotations

import math
import statistics
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

Sample = Callable[[], float]
"""Does the thing once and returns what it cost, in seconds."""
Clock = Callable[[], float]

LENIENCE = 3
NOTCH = 1.57  # of the interquartile range over √n: half the 95 % interval of a median (McGill, Tukey, Larsen 1978)


@dataclass(frozen=True)
class Ratio:
    """The median of the rounds' ratios, their quartiles, and how many rounds there were."""

    median: float
    low: float
    high: float
    runs: int


@dataclass(frozen=True)
class Patience:
    """When to stop: once steady, or out of time.

    Before ``fewest`` rounds only where they take three times as long as there is time for.
    """

    seconds: float
    fewest: int = 3
    most: int = 400
    within: float = 0.01
    """The median is steady once it is known to this part of itself."""
    warm: bool = True
    """Whether each is done once before, unmeasured, so that no round pays for what is only done once."""


def summary(ratios: Sequence[float]) -> Ratio:
    """Return median and quartiles; a single ratio is its own quartiles."""
    if len(ratios) == 1:
        return Ratio(ratios[0], ratios[0], ratios[0], 1)
    low, median, high = statistics.quantiles(ratios, n=4, method="inclusive")
    return Ratio(median, low, high, len(ratios))


def is_steady(ratios: Sequence[float], within: float) -> bool:
    """Return whether the median is known to ``within`` of itself."""
    if len(ratios) < 5:  # noqa: PLR2004 - quartiles of fewer say nothing
        return False
    found = summary(ratios)
    return NOTCH * (found.high - found.low) / math.sqrt(len(ratios)) <= within * found.median


def interleaved(base: Sample, other: Sample, patience: Patience, *, clock: Clock = time.monotonic) -> Ratio:
    """Return what ``other`` costs, in units of ``base``."""
    if patience.warm:
        base()
        other()
    began, ratios = clock(), list[float]()
    while len(ratios) < patience.most:
        first = base()
        second, third = other(), other()
        ratios.append((second + third) / (first + base()))
        taken = clock() - began
        enough = len(ratios) >= patience.fewest
        if taken > patience.seconds * (1 if enough else LENIENCE) or (enough and is_steady(ratios, patience.within)):
            break
    return summary(ratios)


def timed(operation: Callable[[], object]) -> float:
    """Return the seconds that an operation took."""
    began = time.perf_counter()
    operation()
    return time.perf_counter() - began
