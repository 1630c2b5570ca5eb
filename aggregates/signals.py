"""What a host may listen to."""

from __future__ import annotations

from django.dispatch import Signal

totals_changed = Signal(use_caching=True)  # each write asks whether anybody listens
"""Sent once a transaction that changed totals is committed; nothing is sent for what was rolled back.

``sender`` is the totals model, ``using`` the database, ``keys`` the keys of the buckets that
changed, as a frozenset of UUIDs: those of their rows in slot 0. A receiver that raises is logged
and keeps nobody else from hearing.
"""

totals_applied = Signal(use_caching=True)
"""Sent once a transaction that wrote to totals is committed, without the keys: to listen costs next to nothing.

``sender`` is the totals model, ``using`` the database. A statement that lets PostgreSQL work out the
difference itself does not tell whether there was one, so what it wrote is told also where it was zero.
"""

totals_refused = Signal()
"""Sent when a write is refused because a total would leave its range; what it wrote is rolled back.

``sender`` is None, ``using`` the database, ``error`` the TotalOutOfRange that the writer gets.
"""

transaction_retried = Signal()
"""Sent when a transaction is about to be tried again after a conflict.

``sender`` is None, ``using`` the database, ``error`` the conflict, ``attempt`` counts from 1. Receivers
run between the two transactions, so they keep a writer waiting.
"""
