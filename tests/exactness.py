"""The promise, as an assertion."""

from __future__ import annotations

from aggregates import drift, registry


def assert_totals_match(using: str = "default") -> None:
    """Every bucket of every declaration equals what the database computes from the source rows."""
    for definition in registry.definitions():
        for rollup in definition.rollups:
            found = drift.compare(definition, drift.whole(rollup), using=using).drift
            assert not found, f"{definition.label} drifted: {found}"
