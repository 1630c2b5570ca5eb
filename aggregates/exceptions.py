"""What can go wrong, and what to do about it. Each docstring gives cause and remedy."""

from __future__ import annotations

from django.db import OperationalError
from django.db.transaction import TransactionManagementError


class AggregatesError(Exception):
    """Base of every error of this package."""


class DeclarationError(AggregatesError):
    """A totals declaration cannot work. The message says what to write instead.

    ``id`` is the stable id of the system check that reports it.
    """

    def __init__(self, message: str, *, id: str = "aggregates.E001") -> None:  # noqa: A002 - Django's word for it
        super().__init__(message)
        self.id = id


class OutsideTransaction(AggregatesError):
    """A tracked row was written outside a transaction, so its total could not be written with it.

    Derive the model from ``aggregates.models.Tracked``, or wrap the write in
    ``transaction.atomic()``.
    """


class ReadOnlyTotals(AggregatesError):
    """A totals row was written by hand. Write the source rows, or run ``rebuild_totals``."""


class UntrackedWrite(AggregatesError):
    """A write path that cannot keep totals exact was used. The message names the one that can."""


class TotalsNotReady(AggregatesError):
    """No rollup that can answer was found clean yet. Run ``rebuild_totals`` once."""


class TotalOutOfRange(AggregatesError):
    """A total would leave the range of its column; the whole write was refused."""

    told = False
    """Whether ``signals.totals_refused`` was sent for it: it passes through writes within writes."""


class ConcurrentInsert(AggregatesError):
    """The row to insert was inserted by another transaction meanwhile. Retried where possible."""


class CommitInDoubt(AggregatesError, OperationalError):
    """A transaction ended with an error that leaves open whether it was committed; its cause is that error.

    The reply to COMMIT was lost, or what was to be done after it failed. Look whether the write is
    there, or repeat it in a way that is recognised: with the same key.
    """


class WriteLost(AggregatesError, TransactionManagementError):
    """An error within the transaction was swallowed, by a signal receiver for instance, so nothing of it is stored.

    Its cause is that error, where it is known; retried where that one is. Whoever goes on after an
    error of the database needs an ``atomic()`` of his own around what may fail.
    """
