"""The four signals of an instance write. Each receiver names its sender."""

from __future__ import annotations

from functools import lru_cache
from typing import Any

from django.apps import apps
from django.db import models
from django.db.models import signals

from aggregates import ledger, registry
from aggregates.definitions import Scope


def connect() -> None:
    """Watch every table of totals: proxies and children by their saves, its own rows by their deletes."""
    for model in apps.get_models():
        if not registry.watching(model):
            continue
        signals.pre_save.connect(before_save, sender=model, dispatch_uid="aggregates")
        signals.post_save.connect(after_save, sender=model, dispatch_uid="aggregates")
        if _announced(model):
            signals.pre_delete.connect(before_delete, sender=model, dispatch_uid="aggregates")
            signals.post_delete.connect(after_delete, sender=model, dispatch_uid="aggregates")


def _announced(model: type[models.Model]) -> tuple[Scope, ...]:
    """Return what a delete signal of ``model`` announces."""
    return _own(model, registry.watching(model))


@lru_cache  # a cascade asks twice a row
def _own(model: type[models.Model], scopes: tuple[Scope, ...]) -> tuple[Scope, ...]:
    """Return the scopes of the model's own table.

    Deleting a multi-table child announces its parent as well, which is when the parent's row goes, if it does.
    """
    concrete = model._meta.concrete_model
    return tuple(scope for scope in scopes if scope.model._meta.concrete_model is concrete)


def is_own(receiver: Any) -> bool:
    """Return whether a signal's receiver belongs to this engine."""
    return receiver in {before_save, after_save, before_delete, after_delete}


def before_save(
    sender: type[models.Model],
    instance: models.Model,
    using: str,
    update_fields: frozenset[str] | None,
    **_signal: Any,
) -> None:
    """Read and lock the stored row, before it changes."""
    book = ledger.of(using)
    inserts, reads = getattr(instance, "_inserts", False), getattr(instance, "_reads_since", None) is not None
    for scope in registry.watching(sender):
        if scope.concerns(update_fields):
            book.begin_save(scope, instance, inserts=inserts, reads=reads)


def after_save(
    sender: type[models.Model],
    instance: models.Model,
    using: str,
    created: bool,  # noqa: FBT001 - Django's signature
    update_fields: frozenset[str] | None,
    **_signal: Any,
) -> None:
    """Apply the difference between the stored row before and after."""
    book = ledger.of(using)
    for scope in registry.watching(sender):
        if scope.concerns(update_fields):
            book.end_save(scope, instance, created=created)


def before_delete(sender: type[models.Model], instance: models.Model, using: str, **_signal: Any) -> None:
    """Queue the row for reading, before the collector's first statement."""
    book = ledger.of(using)
    for scope in _announced(sender):
        book.queue_delete(scope, instance)


def after_delete(sender: type[models.Model], instance: models.Model, using: str, **_signal: Any) -> None:
    """Take what was deleted out of the totals."""
    book = ledger.of(using)
    for scope in _announced(sender):
        book.end_delete(scope, instance)
