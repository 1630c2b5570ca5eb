"""What a host's tests import to hold its models to the promise.

``assert_totals_match()`` ends a test of one write. ``RandomWrites`` makes writes up, every kind that
Django has, in any order, with rollbacks and savepoints between them, and needs hypothesis.
"""

from __future__ import annotations

from aggregates.testing.assertion import assert_totals_match
from aggregates.testing.random_writes import RandomWrites

__all__ = ["RandomWrites", "assert_totals_match"]
