"""Which rollups may be read: those found clean under the present declaration."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from functools import cache
from typing import Any

from django.db import DEFAULT_DB_ALIAS, connections, models, router
from django.db.models.signals import post_migrate
from django.utils import timezone

from aggregates import chunks, drift, registry
from aggregates.definitions import Definition, Rollup
from aggregates.drift import Comparison


def ready(definition: Definition, *, using: str = DEFAULT_DB_ALIAS) -> dict[str, int]:
    """Return the ready rollups by name, with the number of buckets each had when last compared."""
    with connections[using].cursor() as cursor:
        cursor.execute(*_states(definition, using))
        found = cursor.fetchall()
    fingerprints = definition.fingerprints
    return {name: buckets for name, fingerprint, buckets in found if fingerprints.get(name) == fingerprint}


@cache
def _states(definition: Definition, using: str) -> tuple[str, tuple[Any, ...]]:
    """Return text and parameters of the query for them: each read asks, and compiling it took half of the time."""
    from aggregates.models import RollupState

    states = RollupState.objects.using(using).filter(totals=definition.label)
    query = states.values_list("rollup", "fingerprint", "buckets").query
    text, params = query.get_compiler(using=using).as_sql()
    return text, tuple(params)


def mark(definition: Definition, rollup: Rollup, *, buckets: int, at: dt.datetime, using: str) -> None:
    """Note that a rollup was found clean: from now on it is read."""
    from aggregates.models import RollupState

    RollupState.objects.using(using).update_or_create(
        totals=definition.label,
        rollup=rollup.name,
        defaults={"fingerprint": definition.fingerprints[rollup.name], "buckets": buckets, "checked_at": at},
    )


class Clean:
    """Which rollups a run has found clean so far, chunk by chunk.

    ``so_far`` is what an earlier part of the same run has left; without it the run is at its beginning.
    """

    def __init__(self, definition: Definition, *, using: str, so_far: Mapping[str, int] | None = None) -> None:
        self._definition = definition
        self._using = using
        if so_far is None:
            so_far = dict.fromkeys(definition.fingerprints, 0)
        self._buckets = {rollup: so_far[rollup.name] for rollup in definition.rollups if rollup.name in so_far}

    @property
    def so_far(self) -> dict[str, int]:
        """Return the rollups without drift by name, with the number of buckets they were found to have."""
        return {rollup.name: buckets for rollup, buckets in self._buckets.items()}

    def note(self, comparison: Comparison) -> None:
        """Take in what a chunk, or a part of it, was found to hold in the end."""
        for finding in comparison.drift:
            self._buckets.pop(finding.rollup, None)
        for rollup, buckets in comparison.counts.items():
            if rollup in self._buckets:
                self._buckets[rollup] += buckets

    def mark_ready(self, *, at: dt.datetime) -> None:
        """Mark every rollup ready of which all chunks were clean."""
        for rollup, buckets in self._buckets.items():
            mark(self._definition, rollup, buckets=buckets, at=at, using=self._using)


def forget_undeclared(definition: Definition, *, using: str) -> None:
    """Note that rollups that are no longer declared must be rebuilt before they are read again."""
    from aggregates.models import RollupState

    states = RollupState.objects.using(using).filter(totals=definition.label)
    states.exclude(rollup__in=definition.fingerprints).delete()


def connect() -> None:
    """Mark the rollups of empty sources ready after each migrate."""
    post_migrate.connect(_mark_empty, dispatch_uid="aggregates.readiness")


def _mark_empty(sender: Any, using: str, **_signal: Any) -> None:
    """A fresh database needs no rebuild: nothing is there, and nothing is in the totals."""
    if sender.name != "aggregates" or not _has_tables(using):
        return
    for definition in registry.definitions():
        if not _is_empty(definition.source, using):
            continue
        for rollup in set(definition.rollups) - {definition.rollup(name) for name in ready(definition, using=using)}:
            comparison = drift.compare(definition, chunks.whole(rollup), using=using)
            if not comparison.drift:
                mark(definition, rollup, buckets=0, at=timezone.now(), using=using)


def _has_tables(using: str) -> bool:
    from aggregates.models import RollupState

    tables = set(connections[using].introspection.table_names())
    needed: set[type[models.Model]] = {RollupState}
    needed |= {model for d in registry.definitions() for model in (d.totals, d.source)}
    return all(router.allow_migrate_model(using, m) and m._meta.db_table in tables for m in needed)


def _is_empty(source: type[models.Model], using: str) -> bool:
    return not models.QuerySet(source, using=using).exists()
