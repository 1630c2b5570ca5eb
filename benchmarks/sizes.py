"""How much is measured: all of it, or what two minutes allow."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Sizes:
    """Rows and seconds of one run."""

    rows: int
    """Expenses of the main data set."""
    small: int
    """Expenses of the data set with which growth is compared: enough to be in every coarse bucket."""
    sparse: int
    """Expenses of the data set with three day buckets to four expenses; 0: none."""
    bulk: int
    """Rows of ``bulk_create_10k`` and ``cascade_10k``."""
    changed: int
    """Rows of ``update_100k`` and ``delete_100k``, about."""
    seconds: float
    """Longest time for one pair."""
    window: float
    """Seconds for which writers write side by side, once."""
    windows: int
    """Windows of ``rebuild_stall``, with and without a rebuild each."""
    full: bool
    """Whether what takes long is measured too."""


FULL = Sizes(
    rows=1_000_000,
    small=10_000,
    sparse=200_000,
    bulk=10_000,
    changed=100_000,
    seconds=15.0,
    window=1.5,
    windows=10,
    full=True,
)
QUICK = Sizes(
    rows=50_000,
    small=5_000,
    sparse=0,
    bulk=1_000,
    changed=5_000,
    seconds=1.5,
    window=0.5,
    windows=3,
    full=False,
)
