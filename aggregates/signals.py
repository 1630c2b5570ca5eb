"""What a host may listen to."""

from __future__ import annotations

from django.dispatch import Signal

totals_changed = Signal()
"""Sent once a transaction that changed totals is committed; nothing is sent for what was rolled back.

``sender`` is the totals model, ``using`` the database, ``keys`` the keys of the buckets that
changed, as a frozenset of UUIDs: those of their rows in slot 0. A receiver that raises is logged
and keeps nobody else from hearing.
"""
