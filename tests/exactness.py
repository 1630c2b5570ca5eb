"""The promise, as an assertion."""

from __future__ import annotations

from aggregates.testing import assert_totals_match

__all__ = ["assert_totals_match"]
