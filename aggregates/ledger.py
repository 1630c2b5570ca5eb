"""What the open transaction of one connection has accounted for so far.

A tracked write is *open* from the reading of its pre-image to the applying of its delta. Signal
receivers of the host run in between and may write the same rows, or roll back to a savepoint, so
the image last accounted for is kept here: the delta of a write is what the database holds when it
is closed, less that image. Nothing here outlives the transaction.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, TypeVar
from uuid import UUID

from django.db import DEFAULT_DB_ALIAS, DatabaseError, connections, models, transaction
from django.db.backends.base.base import BaseDatabaseWrapper

from aggregates import capture, commits, deltas, images, transactions, undo
from aggregates.applying import Applier
from aggregates.capture import Captured
from aggregates.definitions import Scope
from aggregates.exceptions import ConcurrentInsert, UntrackedWrite
from aggregates.undo import TransactionLog
from aggregates.writes import CollectedDelete, InstanceSave, Write, coming, key_of, keys_of

W = TypeVar("W", bound=Write)


class Ledger:
    """The open writes of one connection."""

    def __init__(self, connection: BaseDatabaseWrapper) -> None:
        self.using = connection.alias
        self._log = TransactionLog(connection, self._committed)
        self.applier = Applier(self.using, self._log)
        self._open: list[Write] = []
        self._queued: dict[Scope, list[models.Model]] = {}
        # In front: on leaving, Django's execute_wrapper() takes off the last one, whose ever it is.
        connection.execute_wrappers.insert(0, self._before_statement)
        connection._commit = self._log.commit  # type: ignore[attr-defined]  # noqa: SLF001 - there is no hook for it

    def _committed(self) -> None:
        self.applier.tell()

    def moment(self) -> int:
        """Return a number for now, greater than all before it in this transaction."""
        return self._log.moment()

    def undone(self, moment: int) -> bool:
        """Return whether a rollback has undone what was done at that moment."""
        return self._log.undone(moment)

    def begin_transaction(self) -> None:
        """Forget what an earlier transaction left behind; does nothing within one."""
        if self._log.ended:
            self._log.begin()
            self._open, self._queued = [], {}
            self.applier.forget()

    # Instance saves: pre_save opens, post_save closes.

    def begin_save(self, scope: Scope, instance: models.Model, *, inserts: bool, reads: bool) -> None:
        """Read and lock the row about to be saved.

        Not where it is a source row that is certain to be inserted, or is read by the statement that
        writes it.
        """
        self._read_queue()
        if reads and scope.stands_alone:
            self._begin(InstanceSave(self, scope, instance, None))
            return
        keys = () if inserts and scope.is_source else keys_of(scope, instance)
        locked = images.lock(scope, self.using, keys, coming(scope, instance))
        self._begin(InstanceSave(self, scope, instance, locked))

    def end_save(self, scope: Scope, instance: models.Model, *, created: bool) -> None:
        """Apply what the save changed."""
        write = self._latest(InstanceSave, scope, lambda write: write.is_of(instance))
        if write is not None and not write.is_read:
            self._open.remove(write)  # no column of this table was written, or its totals with it
            return
        if write is None or not (created or write.existed or write.disturbed):
            self._refuse_new_key(scope, instance)
            raise ConcurrentInsert(
                f"{scope.model._meta.label} {instance.pk} was inserted by another transaction while it was being "
                "saved: save it again."
            )
        self._end(write, write.stored())

    def _refuse_new_key(self, scope: Scope, instance: models.Model) -> None:
        """Raise UntrackedWrite where the row saved is not the one that was read: trying again would not help."""
        write = self._latest(InstanceSave, scope, lambda write: write.instance is instance)
        if write is not None and write.keys_before != keys_of(scope, instance):
            raise UntrackedWrite(
                f"The key of {scope.model._meta.label} {instance.pk} was set by a receiver of pre_save, after its "
                "stored row was looked for: set it before save()."
            )

    def applied(self, write: InstanceSave, keys: Iterable[UUID]) -> None:
        """Take in that a save's statement has written its totals, with these keys: nothing is left to account for."""
        self.applier.changed(write.scope.definition, keys)
        for other in self._overlapping(write):
            other.account(other.stored())

    def saves_of(self, instance: models.Model, model: type[models.Model], since: int) -> list[InstanceSave]:
        """Return the open saves of an instance, since a moment, of which a row of ``model`` is all there is to read."""
        return [
            write
            for write in self._live()
            if isinstance(write, InstanceSave)
            and write.instance is instance
            and write.opened > since
            and write.scope.stands_alone
            and write.scope.model._meta.concrete_model is model._meta.concrete_model
        ]

    def abandon(self, since: int) -> None:
        """Forget the writes opened since a moment: they failed before anything was written."""
        self._open = [write for write in self._open if write.opened <= since]

    # Deletes by Django's collector: pre_delete queues, the next statement reads, post_delete closes.

    def queue_delete(self, scope: Scope, instance: models.Model) -> None:
        """Note a row that the collector will delete; all of them are read in one statement."""
        self._queued.setdefault(scope, []).append(instance)

    def end_delete(self, scope: Scope, instance: models.Model) -> None:
        """Note that a row is gone, and apply the delta of all once the last one is."""
        key = key_of(scope, instance)
        write = self._latest(CollectedDelete, scope, lambda write: key in write.remaining)
        if write is None:
            return
        write.remaining.remove(key)
        if not write.remaining:
            gone = scope.is_source and not write.disturbed
            self._end(write, {} if gone else write.stored())

    def _before_statement(
        self,
        execute: Callable[..., Any],
        sql: Any,
        params: Any,
        many: bool,  # noqa: FBT001 - Django's signature
        context: Any,
    ) -> Any:
        # A rollback would undo the reading, and not the delete that comes after it.
        if self._queued and not self._log.ended and not undo.rolls_back(sql):
            self._read_queue()
        try:
            result = execute(sql, params, many, context)
        except DatabaseError as error:
            self._log.failed(error)
            raise
        self._log.note(sql)
        return result

    def _read_queue(self) -> None:
        queued, self._queued = self._queued, {}
        # Parents before children, as every writer.
        for scope in sorted(queued, key=lambda scope: scope.definition.scopes.index(scope)):
            keys = frozenset(key_of(scope, instance) for instance in queued[scope]) - {None}
            self._begin(CollectedDelete(self, scope, keys, self._taken(scope, keys)))

    def _taken(self, scope: Scope, keys: frozenset[Any]) -> deltas.Image:
        """Lock rows that are about to be deleted; return what of them the totals hold from now on."""
        if self.applier.holds_back or not capture.can_take(scope, self.using):
            return images.lock(scope, self.using, keys).image
        self.applier.take(scope.definition, capture.take(scope, self.using, keys))
        return {}

    # Set writes: one call opens and closes.

    @contextmanager
    def rewriting(self, scopes: Iterable[Scope], queryset: models.QuerySet[Any]) -> Iterator[frozenset[Any]]:
        """Lock the rows a queryset selects, yield their keys, and apply what the block changes."""
        self._read_queue()
        first, *others = scopes
        # Selected once: by the next statement another row may have joined.
        locked = images.lock_matching(first, queryset)
        keys = locked.keys
        writes = [Write(self, first, keys, locked.image)]
        writes += [Write(self, other, keys, images.lock(other, self.using, keys).image) for other in others]
        for write in writes:
            self._begin(write)
        with self._settling(writes):
            yield keys

    def capturing(self, scope: Scope, write: Callable[[bool], Captured]) -> int:
        """Run a set write that tells by how much its buckets change, and return how many rows it wrote.

        The write is told whether to apply that itself.
        """
        self._read_queue()
        open_ = [other for other in self._read() if other.scope.definition is scope.definition]
        with transaction.mark_for_rollback_on_error(self.using):
            for other in open_:
                other.settle(other.stored())
            captured = write(not self.applier.holds_back)
            self.applier.take(scope.definition, captured)
            for other in open_:
                other.account(other.stored())
        return captured.rows

    @contextmanager
    def inserting(self, scopes: Sequence[Scope], given: Collection[Any]) -> Iterator[set[Any]]:
        """Yield a set that the block fills with the keys of the rows it inserted.

        ``given`` are the keys that rows have before: source rows may be waiting for the ones they lead to.
        """
        self._read_queue()
        for other in self._read():
            other.settle(other.stored())
        waiting = [set() if scope.is_source else set(given) for scope in scopes]
        before = [images.lock(scope, self.using, keys).image for scope, keys in zip(scopes, waiting, strict=True)]
        inserted: set[Any] = set()
        yield inserted
        writes = [
            Write(self, scope, inserted | keys, image)
            for scope, keys, image in zip(scopes, waiting, before, strict=True)
        ]
        self._open.extend(writes)
        with self._settling(writes):
            pass

    @contextmanager
    def _settling(self, writes: list[Write]) -> Iterator[None]:
        """Close the writes after the block; where it or the closing fails, nothing may be committed."""
        try:
            with transaction.mark_for_rollback_on_error(self.using):
                yield
                for write in writes:
                    self._end(write, write.stored())
        finally:
            self._open = [write for write in self._open if write not in writes]

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
        if not self._open or self._open == [write]:  # nearly always, and to look further takes longer
            return []
        return [other for other in self._read() if other is not write and other.overlaps(write)]

    def _read(self) -> list[Write]:
        """Return the open writes that have something accounted for."""
        return [write for write in self._live() if write.is_read]

    def _latest(self, kind: type[W], scope: Scope, matches: Callable[[W], bool]) -> W | None:
        for write in reversed(self._live()):
            if isinstance(write, kind) and write.scope is scope and matches(write):
                return write
        return None

    def _live(self) -> list[Write]:
        """Return the open writes; those that were rolled back are dropped."""
        if self._open:
            self._open = [write for write in self._open if not self.undone(write.opened)]
        return self._open


def of(using: str) -> Ledger:
    """Return the ledger of this thread's connection, which keeps it; raise OutsideTransaction outside one."""
    connection: Any = connections[using]
    if not connection.in_atomic_block:  # looked at here, for this is asked twice a row of a cascade
        transactions.require(using)  # raises
    ledger: Ledger | None = getattr(connection, "aggregates_ledger", None)
    if ledger is None:
        ledger = connection.aggregates_ledger = Ledger(connection)
    ledger.begin_transaction()
    return ledger


@contextmanager
def batch(using: str = DEFAULT_DB_ALIAS) -> Iterator[None]:
    """Run a block in a transaction whose deltas are netted and applied once, at its end.

    For several writes in one transaction: each total is then written once, in sorted order, which
    cannot deadlock and holds the locks of hot totals only briefly. Totals read inside the block do
    not yet show its writes. What a savepoint's rollback undoes is not applied. Raises CommitInDoubt
    where the end of the transaction fails and it may be committed.
    """
    begin = transaction.atomic if connections[using].in_atomic_block else commits.outermost
    with begin(using), of(using).applier.batching():
        yield
        undo.require_whole(connections[using])
