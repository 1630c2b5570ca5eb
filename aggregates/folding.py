"""Tidying totals without changing a sum: slots folded into slot 0, rows brought under their key."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from functools import partial
from typing import Any
from uuid import UUID

from django.db import connections, models

from aggregates import deltas, store, transactions
from aggregates.batches import batched
from aggregates.chunks import Chunk
from aggregates.definitions import MAX_SLOTS, Definition, Rollup
from aggregates.keys import bucket_key

ROWS_A_TRANSACTION = 500
MANY = 1_000  # rows gone, over which reads stumble until PostgreSQL gets round to clearing them away


def fold(definition: Definition, chunk: Chunk, *, using: str, wait: bool = False) -> int:
    """Bring the slots of a chunk's buckets back to slot 0 and drop empty rows; return how many went.

    Rows that a writer holds are left for the next fold, unless ``wait``.
    """
    # An empty row that was ever corrected stays: its generation tells late corrections off.
    empty = models.Q(slot=0, generation=0, **dict.fromkeys(definition.measures, 0))
    rows = chunk.stored_rows(definition, using).filter(models.Q(slot__gt=0) | empty)
    keys = list(rows.values_list("pk", flat=True))
    gone = _bring_home(definition, rows, keys, skip_locked=not wait)
    if gone >= MANY:
        _clear(definition, using)
    return gone


def refile(definition: Definition, chunk: Chunk, *, using: str) -> int:
    """Move rows whose key is not that of their dimensions to where they belong; return how many.

    What readers see, the sum by dimensions, stays as it is.
    """
    rows = chunk.stored_rows(definition, using)
    strangers = list(_strangers(definition, rows))
    _bring_home(definition, rows, strangers, skip_locked=False)
    return len(strangers)


def refile_at(definition: Definition, buckets: Iterable[tuple[Rollup, deltas.Values]], *, using: str) -> int:
    """Move the rows that stand under the keys of these buckets, but name others, to those; return how many."""
    stored: models.QuerySet[Any] = models.QuerySet(definition.totals, using=using)
    declared = stored.filter(rollup__in=definition.fingerprints).order_by("pk")
    moved = 0
    for batch in batched((bucket_key(rollup.name, values) for rollup, values in buckets), ROWS_A_TRANSACTION):
        strangers = list(_strangers(definition, declared.filter(pk__in=batch)))
        moved += _bring_home(definition, declared, strangers, skip_locked=False)
    return moved


def drop_undeclared(definition: Definition, *, using: str) -> int:
    """Delete the rows of rollups that are no longer declared; return how many went."""
    declared = [rollup.name for rollup in definition.rollups]
    everything: models.QuerySet[Any] = models.QuerySet(definition.totals, using=using)
    rows = everything.order_by("pk").exclude(rollup__in=declared)

    def step() -> int:
        ids = [row.id for row in store.lock_rows(definition, rows[:ROWS_A_TRANSACTION], skip_locked=False)]
        store.remove(definition, using, ids)
        return len(ids)

    done = 0
    while gone := transactions.run(step, using=using):
        done += gone
    return done


def _bring_home(definition: Definition, rows: models.QuerySet[Any], keys: Iterable[UUID], *, skip_locked: bool) -> int:
    """Move those of the rows that have these keys, a transaction at a time; return how many."""
    return sum(
        transactions.run(
            partial(_move_home, definition, rows.filter(pk__in=batch), skip_locked=skip_locked), using=rows.db
        )
        for batch in batched(keys, ROWS_A_TRANSACTION)
    )


def _move_home(definition: Definition, rows: models.QuerySet[Any], *, skip_locked: bool) -> int:
    """Add rows to slot 0 of the bucket that their dimensions name, and delete them."""
    locked = store.lock_rows(definition, rows, skip_locked=skip_locked)
    homes = store.at_slot_0(definition, locked)
    store.move(definition, rows.db, [row.id for row in locked], homes)
    return len(locked)


def _clear(definition: Definition, using: str) -> None:
    """Have PostgreSQL clear away what was deleted; this stops neither writers nor readers.

    Not within a transaction, in which the rows are still there.
    """
    connection = connections[using]
    if connection.vendor == "postgresql" and not connection.in_atomic_block:
        with connection.cursor() as cursor:
            cursor.execute(f"VACUUM (SKIP_LOCKED) {connection.ops.quote_name(definition.totals._meta.db_table)}")


def _strangers(definition: Definition, rows: models.QuerySet[Any]) -> Iterator[UUID]:
    columns: Any = rows.values_list("id", "rollup", "slot", *definition.attnames)
    for id_, name, slot, *values in columns.iterator():
        where = dict(zip(definition.dimensions, values, strict=True))
        own = [where.pop(dimension) for dimension in definition.rollup(name).dimensions]
        elsewhere = any(value is not None for value in where.values())
        if elsewhere or not 0 <= slot < MAX_SLOTS or id_ != bucket_key(name, own, slot):
            yield id_
