"""Which aggregates watch which model."""

from __future__ import annotations

from collections.abc import Iterable
from weakref import WeakKeyDictionary

from django.apps import apps
from django.db import models

from aggregates.declarations import define
from aggregates.definitions import Definition, Scope
from aggregates.exceptions import DeclarationError

_definitions: dict[str, Definition] = {}
_broken: dict[str, DeclarationError] = {}
# What each model was found to be watched by, among which definitions: each write asks several times.
_watching: WeakKeyDictionary[type[models.Model], tuple[dict[str, Definition], tuple[Scope, ...]]] = WeakKeyDictionary()


def load() -> None:
    """Resolve every concrete Totals model; a declaration that cannot work is kept for the checks."""
    from aggregates.models import Totals

    _definitions.clear()
    _broken.clear()
    _watching.clear()
    for model in apps.get_models():
        if issubclass(model, Totals) and not model._meta.proxy:
            try:
                _definitions[model._meta.label] = define(model)
            except DeclarationError as error:
                _broken[model._meta.label] = error


def definitions() -> tuple[Definition, ...]:
    """Return every declaration that works."""
    return tuple(_definitions.values())


def broken() -> Iterable[tuple[str, DeclarationError]]:
    """Return the label and the error of every declaration that does not."""
    return _broken.items()


def working() -> tuple[Definition, ...]:
    """Return every declaration; raise the first one's DeclarationError where any cannot work."""
    for error in _broken.values():
        raise error
    return definitions()


def definition(totals: type[models.Model] | str) -> Definition:
    """Return the declaration of a totals model; raise its DeclarationError, or KeyError."""
    label = totals if isinstance(totals, str) else totals._meta.label
    if label in _broken:
        raise _broken[label]
    return _definitions[label]


def watching(model: type[models.Model]) -> tuple[Scope, ...]:
    """Return what writes to rows of a model can change: proxies and multi-table children count as what they are."""
    known = _watching.get(model)
    if known is None or known[0] is not _definitions:
        known = _watching[model] = _definitions, _found(model)
    return known[1]


def _found(model: type[models.Model]) -> tuple[Scope, ...]:
    concrete = model._meta.concrete_model
    return tuple(
        scope
        for definition in _definitions.values()
        for scope in definition.scopes
        if concrete is not None and issubclass(concrete, scope.model._meta.concrete_model or scope.model)
    )
