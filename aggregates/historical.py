"""Models of the past, as ``RunPython`` in a migration sees them: their totals cannot be kept.

A historical model has the columns of its time, which today's declaration may not fit. Its writes
are refused, unless they stand in ``untracked()``, which takes the totals out of use until the next
rebuild.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

from django.db import DEFAULT_DB_ALIAS, connections, models, transaction
from django.db.models import signals

from aggregates import registry
from aggregates.definitions import Definition
from aggregates.exceptions import UntrackedWrite

_untracked: ContextVar[frozenset[tuple[str, str]]] = ContextVar("untracked", default=frozenset())
# Django keys receivers by the id of their sender: one that is kept has an id of its own.
_watched: list[type[models.Model]] = []


def is_historical(model: type[models.Model]) -> bool:
    """Return whether a model was made from the state of a migration."""
    return model.__module__ == "__fake__"


def connect() -> None:
    """Watch the historical models of every model that decides totals, as they are made."""
    signals.class_prepared.connect(_watch, dispatch_uid="aggregates.historical")


def _watch(sender: type[models.Model], **_signal: Any) -> None:
    if is_historical(sender) and _watched_label(sender):
        _watched.append(sender)
        for signal in (signals.pre_save, signals.pre_delete):
            signal.connect(_refuse_instance, sender=sender, dispatch_uid="aggregates.historical")


def _refuse_instance(sender: type[models.Model], using: str, **_signal: Any) -> None:
    refuse(sender, using)


def refuse(model: type[models.Model], using: str) -> None:
    """Raise UntrackedWrite for the write of a historical source outside ``untracked()``."""
    label = _watched_label(model)
    if label and (label, using) not in _untracked.get():
        raise UntrackedWrite(
            f"{label} is written through a historical model, which cannot keep its totals: write within "
            f"aggregates.untracked({label!r}), and run rebuild_totals after the migration."
        )


def _watched_label(model: type[models.Model]) -> str:
    """Return the label of the watched model whose rows a model's are, or were; empty where there is none."""
    watched: set[str] = set().union(*map(_labels, registry.definitions()))
    own = [kind._meta.label for kind in model.__mro__ if hasattr(kind, "_meta")]
    return next((label for label in own if label in watched), "")


def _labels(definition: Definition) -> set[str]:
    return {scope.model._meta.label for scope in definition.scopes}


@contextmanager
def untracked(source: str, using: str = DEFAULT_DB_ALIAS) -> Iterator[None]:
    """Let a block write the source named by ``app_label.Model`` through its historical model.

    Its totals are not read any more (reading raises TotalsNotReady) until ``rebuild_totals`` has
    found them right. Block and mark are one transaction.
    """
    with transaction.atomic(using=using):
        _take_out_of_use(source, using)
        token = _untracked.set(_untracked.get() | {(source, using)})
        try:
            yield
        finally:
            _untracked.reset(token)


def _take_out_of_use(source: str, using: str) -> None:
    from aggregates import runs
    from aggregates.models import RollupState

    if RollupState._meta.db_table not in connections[using].introspection.table_names():
        return  # earlier in the history than the totals: none is in use yet
    totals = [d.label for d in registry.definitions() if source in _labels(d)]
    if not totals:
        raise LookupError(f"{source!r} is the source of no totals: write 'app_label.Model'.")
    runs.break_off(totals, using=using)  # first: one that is about to end may mark totals ready
    RollupState.objects.using(using).filter(totals__in=totals).delete()
