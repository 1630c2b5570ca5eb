"""Tidying totals without changing a sum: slots folded into slot 0, rows brought under their key."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from typing import Any
from uuid import UUID

from django.db import models

from aggregates import drift, store, transactions
from aggregates.batches import batched
from aggregates.definitions import MAX_SLOTS, Definition
from aggregates.drift import Chunk
from aggregates.keys import bucket_key

ROWS_A_TRANSACTION = 500


def fold(definition: Definition, chunk: Chunk, *, using: str, wait: bool = False) -> int:
    """Bring the slots of a chunk's buckets back to slot 0 and drop empty rows; return how many went.

    Rows that a writer holds are left for the next fold, unless ``wait``.
    """
    rows = drift.stored_rows(definition, chunk, using)
    striped = rows.filter(slot__gt=0)
    # An empty row that was ever corrected stays: its generation tells late corrections off.
    empty = rows.filter(slot=0, generation=0, **dict.fromkeys(definition.measures, 0))
    return sum(
        _in_steps(using, partial(_move_home, definition, part, skip_locked=not wait)) for part in (striped, empty)
    )


def refile(definition: Definition, chunk: Chunk, *, using: str) -> int:
    """Move rows whose key is not that of their dimensions to where they belong; return how many.

    What readers see, the sum by dimensions, stays as it is.
    """
    strangers = list(_strangers(definition, chunk, using))
    for batch in batched(strangers, ROWS_A_TRANSACTION):
        rows = drift.stored_rows(definition, chunk, using).filter(pk__in=batch)
        transactions.run(partial(_move_home, definition, rows, skip_locked=False), using=using)
    return len(strangers)


def drop_undeclared(definition: Definition, *, using: str) -> int:
    """Delete the rows of rollups that are no longer declared; return how many went."""
    declared = [rollup.name for rollup in definition.rollups]
    everything: models.QuerySet[Any] = models.QuerySet(definition.totals, using=using)
    rows = everything.order_by("pk").exclude(rollup__in=declared)

    def step() -> int:
        ids = [row.id for row in store.lock_rows(definition, rows[:ROWS_A_TRANSACTION], skip_locked=False)]
        store.remove(definition, using, ids)
        return len(ids)

    return _in_steps(using, step)


def _in_steps(using: str, step: Callable[[], int]) -> int:
    """Run a step, each in a transaction of its own, until it finds less than a full batch."""
    done = 0
    while moved := transactions.run(step, using=using):
        done += moved
        if moved < ROWS_A_TRANSACTION:
            break
    return done


def _move_home(definition: Definition, rows: models.QuerySet[Any], *, skip_locked: bool) -> int:
    """Add rows to slot 0 of the bucket that their dimensions name, and delete them."""
    locked = store.lock_rows(definition, rows[:ROWS_A_TRANSACTION], skip_locked=skip_locked)
    homes = store.at_slot_0(definition, locked)
    store.move(definition, rows.db, [row.id for row in locked], homes)
    return len(locked)


def _strangers(definition: Definition, chunk: Chunk, using: str) -> Iterator[UUID]:
    rows: Any = drift.stored_rows(definition, chunk, using).values_list("id", "slot", *definition.attnames)
    for id_, slot, *values in rows.iterator():
        where = dict(zip(definition.dimensions, values, strict=True))
        own = [where.pop(name) for name in chunk.rollup.dimensions]
        elsewhere = any(value is not None for value in where.values())
        if elsewhere or not 0 <= slot < MAX_SLOTS or id_ != bucket_key(chunk.rollup.name, own, slot):
            yield id_
