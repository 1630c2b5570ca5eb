"""What the open transaction of one connection has accounted for so far.

A tracked write is *open* from the reading of its pre-image to the applying of its delta. Signal
receivers of the host run in between and may write the same rows, or roll back to a savepoint, so
the image last accounted for is kept here: the delta of a write is what the database holds when it
is closed, less that image. Nothing here outlives the transaction.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import Any, TypeVar
from weakref import WeakKeyDictionary

from django.db import DEFAULT_DB_ALIAS, connections, models, transaction
from django.db.backends.base.base import BaseDatabaseWrapper

from aggregates import deltas, images, store, transactions
from aggregates.definitions import Definition
from aggregates.exceptions import ConcurrentInsert

W = TypeVar("W", bound="Write")


class Marker:
    """Stands in Django's list of on-commit callbacks, which loses it with its savepoint."""

    def __call__(self) -> None:
        """Do nothing on commit: to be in the list is all it is for."""


class Write:
    """A tracked write in progress: the rows it concerns and the image accounted for them."""

    def __init__(self, ledger: Ledger, definition: Definition, keys: set[Any], image: deltas.Image) -> None:
        self.definition = definition
        self.keys = keys
        self.opened = ledger.marker()
        self._ledger = ledger
        self._accounted = [(self.opened, image)]

    @property
    def accounted(self) -> deltas.Image:
        """Return the image last accounted for that no savepoint's rollback has undone."""
        while not self._ledger.holds(self._accounted[-1][0]):
            self._accounted.pop()
        return self._accounted[-1][1]

    @property
    def disturbed(self) -> bool:
        """Whether another write has touched these rows since this one was opened."""
        return len(self._accounted) > 1

    def stored(self) -> deltas.Image:
        """Return the image of the rows as the database holds them now."""
        return images.summed(self.definition, self._ledger.using, self.keys)

    def settle(self, image: deltas.Image) -> None:
        """Apply the difference between ``image`` and what is accounted for."""
        self._ledger.apply(self.definition, deltas.net(self.accounted, image))
        self.account(image)

    def account(self, image: deltas.Image) -> None:
        """Take ``image`` as accounted for: somebody else has applied its delta."""
        self._accounted.append((self._ledger.marker(), image))


class InstanceSave(Write):
    """The save of one instance. ``existed`` says whether its row was there before."""

    existed = False


class CollectedDelete(Write):
    """A delete that Django's collector carries out, announcing one instance at a time."""

    def __init__(self, ledger: Ledger, definition: Definition, keys: set[Any], image: deltas.Image) -> None:
        super().__init__(ledger, definition, keys, image)
        self.remaining = set(keys)


class Ledger:
    """The open writes and the unflushed deltas of one connection."""

    def __init__(self, connection: BaseDatabaseWrapper) -> None:
        self.using = connection.alias
        self._open: list[Write] = []
        self._queued: dict[Definition, set[Any]] = {}
        self._queued_at: Marker | None = None
        self._batches = 0
        self._pending: list[tuple[Marker, Definition, deltas.Delta]] = []
        self._last: Marker | None = None
        self._last_savepoints: frozenset[str] = frozenset()

    @property
    def _connection(self) -> BaseDatabaseWrapper:
        return connections[self.using]

    def marker(self) -> Marker:
        """Return a marker of this point of the transaction, the same one for the same savepoints."""
        savepoints = frozenset(self._connection.savepoint_ids)
        if self._last is None or savepoints != self._last_savepoints or not self.holds(self._last):
            self._last, self._last_savepoints = Marker(), savepoints
            self._connection.on_commit(self._last)
        return self._last

    def holds(self, marker: Marker) -> bool:
        """Return whether nothing has rolled back what was done when the marker was taken."""
        callbacks: Any = self._connection.run_on_commit  # (savepoints, callback, robust)
        return any(callback is marker for _savepoints, callback, _robust in callbacks)

    def apply(self, definition: Definition, delta: deltas.Delta) -> None:
        """Apply a delta to the totals: now, or when the batch ends."""
        if self._batches:
            self._pending.append((self.marker(), definition, delta))
        elif delta:
            store.apply(definition, self.using, delta)

    # Instance saves: pre_save opens, post_save closes.

    def begin_save(self, definition: Definition, key: Any, *, inserts: bool) -> None:
        """Read and lock the row about to be saved; not where it is certain to be inserted."""
        self._read_queue()
        keys = set() if key is None else {key}
        locked = images.lock(definition, self.using, () if inserts else keys)
        write = InstanceSave(self, definition, keys, locked.image)
        write.existed = bool(locked.keys)
        self._begin(write)

    def end_save(self, definition: Definition, key: Any, *, created: bool) -> None:
        """Apply what the save changed."""
        write = self._latest(InstanceSave, definition, lambda write: write.keys <= {key})
        if write is None or not (created or write.existed or write.disturbed):
            raise ConcurrentInsert(
                f"{definition.source._meta.label} {key} was inserted by another transaction while it was being saved: "
                "save it again."
            )
        write.keys = {key}
        self._end(write, write.stored())

    # Deletes by Django's collector: pre_delete queues, the next statement reads, post_delete closes.

    def queue_delete(self, definition: Definition, key: Any) -> None:
        """Note a row that the collector will delete; all of them are read in one statement."""
        if self._queued_at is None or not self.holds(self._queued_at):
            self._forget_queue()
            self._queued_at = self.marker()
            self._connection.execute_wrappers.append(self._before_statement)
        self._queued.setdefault(definition, set()).add(key)

    def end_delete(self, definition: Definition, key: Any) -> None:
        """Note that a row is gone, and apply the delta of all once the last one is."""
        write = self._latest(CollectedDelete, definition, lambda write: key in write.remaining)
        if write is None:
            return
        write.remaining.discard(key)
        if not write.remaining:
            self._end(write, write.stored() if write.disturbed else {})

    def _before_statement(self, execute: Callable[..., Any], sql: Any, params: Any, many: bool, context: Any) -> Any:  # noqa: FBT001
        self._read_queue()
        return execute(sql, params, many, context)

    def _read_queue(self) -> None:
        queued, marker = self._queued, self._queued_at
        self._forget_queue()
        if marker is None or not self.holds(marker):
            return
        for definition, keys in queued.items():
            locked = images.lock(definition, self.using, keys)
            self._begin(CollectedDelete(self, definition, keys, locked.image))

    def _forget_queue(self) -> None:
        self._queued, self._queued_at = {}, None
        if self._before_statement in self._connection.execute_wrappers:
            self._connection.execute_wrappers.remove(self._before_statement)

    # Set writes: one call opens and closes.

    @contextmanager
    def rewriting(self, definitions: Iterable[Definition], queryset: models.QuerySet[Any]) -> Iterator[frozenset[Any]]:
        """Lock the rows a queryset selects, yield their keys, and apply what the block changes."""
        self._read_queue()
        writes = []
        keys: frozenset[Any] = frozenset()
        for definition in definitions:
            locked = images.lock_matching(definition, queryset)
            keys = locked.keys
            writes.append(Write(self, definition, set(keys), locked.image))
            self._begin(writes[-1])
        yield keys
        self._end_all(writes)

    @contextmanager
    def inserting(self, definitions: Iterable[Definition]) -> Iterator[set[Any]]:
        """Yield a set that the block fills with the keys of the rows it inserted."""
        self._read_queue()
        for other in self._live():
            other.settle(other.stored())
        inserted: set[Any] = set()
        yield inserted
        writes = [Write(self, definition, inserted, {}) for definition in definitions]
        self._open.extend(writes)
        self._end_all(writes)

    def _end_all(self, writes: list[Write]) -> None:
        for write in writes:
            self._end(write, write.stored())

    # Batches

    @contextmanager
    def batching(self) -> Iterator[None]:
        """Hold back deltas until the outermost batch ends, then apply their net."""
        self._batches += 1
        try:
            yield
            if self._batches == 1:
                self._flush()
        finally:
            self._batches -= 1
            if not self._batches:
                self._pending = []

    def _flush(self) -> None:
        held: defaultdict[Definition, list[tuple[deltas.Values, deltas.Amounts]]] = defaultdict(list)
        for marker, definition, delta in self._pending:
            if self.holds(marker):
                held[definition].extend(delta.items())
        for definition, items in held.items():
            if delta := deltas.add(items):
                store.apply(definition, self.using, delta)

    # Writes within writes

    def _begin(self, write: Write) -> None:
        """Open a write; what other open writes did to its rows so far is applied first."""
        for other in self._overlapping(write):
            other.settle(other.stored())
        self._open.append(write)

    def _end(self, write: Write, image: deltas.Image) -> None:
        """Close a write, and let the other open writes of its rows know what they hold now."""
        write.settle(image)
        self._open.remove(write)
        for other in self._overlapping(write):
            other.account(other.stored())

    def _overlapping(self, write: Write) -> list[Write]:
        return [
            other
            for other in self._live()
            if other is not write and other.definition is write.definition and not other.keys.isdisjoint(write.keys)
        ]

    def _latest(self, kind: type[W], definition: Definition, matches: Callable[[W], bool]) -> W | None:
        for write in reversed(self._live()):
            if isinstance(write, kind) and write.definition is definition and matches(write):
                return write
        return None

    def _live(self) -> list[Write]:
        """Return the open writes; those whose transaction or savepoint was rolled back are dropped."""
        if self._open:
            self._open = [write for write in self._open if self.holds(write.opened)]
        return self._open


_ledgers: WeakKeyDictionary[BaseDatabaseWrapper, Ledger] = WeakKeyDictionary()


def of(using: str) -> Ledger:
    """Return the ledger of this thread's connection; raise OutsideTransaction outside one."""
    transactions.require(using)
    connection = connections[using]
    if connection not in _ledgers:
        _ledgers[connection] = Ledger(connection)
    return _ledgers[connection]


@contextmanager
def batch(using: str = DEFAULT_DB_ALIAS) -> Iterator[None]:
    """Run a block in a transaction whose deltas are netted and applied once, at its end.

    For several writes in one transaction: each total is then written once, in sorted order, which
    cannot deadlock and holds the locks of hot totals only briefly. Totals read inside the block do
    not yet show its writes. What a savepoint's rollback undoes is not applied.
    """
    with transaction.atomic(using=using), of(using).batching():
        yield
