"""With which seeds the fault tests run."""

from __future__ import annotations

import pytest

FEW, ALL = 1, 4  # how many, in the reduced form and in the full one: four meet each shape and pool


def of(config: pytest.Config) -> list[int]:
    """Return the seeds that were given with --fault-seed, or else the first few."""
    given: list[int] | None = config.getoption("fault_seed")
    return given or list(range(1, 1 + (ALL if config.getoption("full_faults") else FEW)))
