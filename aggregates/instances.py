"""Instances that are written, and are as their caller gave them where the write is tried again or fails."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, TypeVar

from django.db import models

from aggregates import transactions
from aggregates.exceptions import CommitInDoubt

T = TypeVar("T")


def run(operation: Callable[[], T], instances: Sequence[models.Model], *, using: str) -> T:
    """Return what ``transactions.run`` returns of an operation that writes instances.

    Django gives a new instance its key, takes the key of a deleted one, and notes that an instance is
    stored, all before the commit. After a commit that failed, trying again with that would write to
    whatever row has got the key meanwhile.
    """
    before: list[tuple[Any, bool, str | None, Any]] = [(i, i._state.adding, i._state.db, i.pk) for i in instances]
    attempted = False

    def attempt() -> T:
        nonlocal attempted
        if attempted:
            _restore(before)
        attempted = True
        return operation()

    try:
        return transactions.run(attempt, using=using)
    except CommitInDoubt:
        _restore([known for known in before if known[0].pk is None])  # so that it can be looked for
        raise
    except BaseException:
        _restore(before)
        raise


def _restore(before: Sequence[tuple[Any, bool, str | None, Any]]) -> None:
    for instance, adding, database, key in before:
        instance._state.adding, instance._state.db, instance.pk = adding, database, key
