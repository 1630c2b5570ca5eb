"""Which rollups may be read: those found clean under the present declaration."""

from __future__ import annotations

import datetime as dt
from typing import Any

from django.db import DEFAULT_DB_ALIAS, connections, models, router
from django.db.models.signals import post_migrate
from django.utils import timezone

from aggregates import registry
from aggregates.definitions import Definition, Rollup


def ready(definition: Definition, *, using: str = DEFAULT_DB_ALIAS) -> dict[str, int]:
    """Return the ready rollups by name, with the number of buckets each had when last compared."""
    from aggregates.models import RollupState

    states = RollupState.objects.using(using).filter(totals=definition.label)
    fingerprints = definition.fingerprints
    return {
        name: buckets
        for name, fingerprint, buckets in states.values_list("rollup", "fingerprint", "buckets")
        if fingerprints.get(name) == fingerprint
    }


def mark(definition: Definition, rollup: Rollup, *, buckets: int, at: dt.datetime, using: str) -> None:
    """Note that a rollup was found clean: from now on it is read."""
    from aggregates.models import RollupState

    RollupState.objects.using(using).update_or_create(
        totals=definition.label,
        rollup=rollup.name,
        defaults={"fingerprint": definition.fingerprints[rollup.name], "buckets": buckets, "checked_at": at},
    )


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
    from aggregates import drift

    if sender.name != "aggregates" or not _has_tables(using):
        return
    for definition in registry.definitions():
        if not _is_empty(definition.source, using):
            continue
        for rollup in set(definition.rollups) - {definition.rollup(name) for name in ready(definition, using=using)}:
            comparison = drift.compare(definition, drift.whole(rollup), using=using)
            if not comparison.drift:
                mark(definition, rollup, buckets=0, at=timezone.now(), using=using)


def _has_tables(using: str) -> bool:
    from aggregates.models import RollupState

    tables = set(connections[using].introspection.table_names())
    needed = {RollupState, *(model for d in registry.definitions() for model in (d.totals, d.source))}
    return all(router.allow_migrate_model(using, m) and m._meta.db_table in tables for m in needed)


def _is_empty(source: type[models.Model], using: str) -> bool:
    return not models.QuerySet(source, using=using).exists()
