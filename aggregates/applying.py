"""Deltas on their way to the totals: applied at once, or held back by a batch, and told of after the commit."""

from __future__ import annotations

import logging
from collections import defaultdict
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from uuid import UUID

from aggregates import deltas, store, transactions
from aggregates.capture import Captured
from aggregates.definitions import Definition
from aggregates.exceptions import TotalOutOfRange
from aggregates.keys import home
from aggregates.signals import totals_applied, totals_changed
from aggregates.undo import TransactionLog

logger = logging.getLogger(__name__)


class Applier:
    """The deltas of one connection's open transaction. What a rollback undoes is neither flushed nor told."""

    def __init__(self, using: str, log: TransactionLog) -> None:
        self._using = using
        self._log = log
        self._batches = 0
        self._pending: list[tuple[int, Definition, deltas.Delta]] = []
        self._changed: list[tuple[int, Definition, frozenset[UUID]]] = []

    def forget(self) -> None:
        """Forget what an earlier transaction left behind."""
        self._pending, self._changed = [], []

    def apply(self, definition: Definition, delta: deltas.Delta) -> None:
        """Apply a delta to the totals: now, or when the batch ends."""
        if self._batches:
            self._pending.append((self._log.moment(), definition, delta))
        elif delta:
            self.changed(definition, store.apply(definition, self._using, delta))

    def take(self, definition: Definition, captured: Captured) -> None:
        """Apply what a set write changed, or note that its own statement has."""
        if captured.delta is not None:
            self.apply(definition, captured.delta)
        elif captured.rows:
            self.changed(definition, captured.keys)

    @property
    def holds_back(self) -> bool:
        """Whether a batch is open, at whose end deltas are applied."""
        return bool(self._batches)

    def changed(self, definition: Definition, keys: Iterable[UUID]) -> None:
        """Note that totals were written, and which rows, for those who want to hear of it after the commit.

        Where nobody listens to ``totals_changed``, the keys may be left out.
        """
        homes = frozenset(map(home, keys)) if totals_changed.has_listeners(definition.totals) else frozenset()
        if homes or totals_applied.has_listeners(definition.totals):
            self._changed.append((self._log.moment(), definition, homes))

    def tell(self) -> None:
        """Send what changed; the transaction is committed."""
        told: defaultdict[Definition, set[UUID]] = defaultdict(set)
        for moment, definition, keys in self._changed:
            if not self._log.undone(moment):
                told[definition] |= keys
        self._changed = []
        for definition, found in told.items():
            answers = totals_applied.send_robust(definition.totals, using=self._using)
            if found:
                answers += totals_changed.send_robust(definition.totals, using=self._using, keys=frozenset(found))
            for receiver, answer in answers:
                if isinstance(answer, Exception):
                    logger.error("%r failed on changed totals of %s", receiver, definition.label, exc_info=answer)

    @contextmanager
    def batching(self) -> Iterator[None]:
        """Hold back deltas until the outermost batch ends, then apply their net."""
        self._batches += 1
        try:
            yield
            if self._batches == 1:
                self._flush()
        except TotalOutOfRange as error:
            transactions.tell_refused(error, self._using)
            raise
        finally:
            self._batches -= 1
            if not self._batches:
                self._pending = []

    def _flush(self) -> None:
        held: defaultdict[Definition, list[tuple[deltas.Values, deltas.Amounts]]] = defaultdict(list)
        for moment, definition, delta in self._pending:
            if not self._log.undone(moment):
                held[definition].extend(delta.items())
        for definition, items in held.items():
            if delta := deltas.add(items):
                self.changed(definition, store.apply(definition, self._using, delta))
