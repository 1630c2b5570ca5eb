"""Tracked writes in progress, each between its pre-image and its delta."""

from __future__ import annotations

from collections.abc import Collection
from typing import TYPE_CHECKING, Any

from django.db import models
from django.db.models.constants import LOOKUP_SEP

from aggregates import deltas, images
from aggregates.definitions import Scope

if TYPE_CHECKING:
    from aggregates.ledger import Ledger


class Write:
    """A tracked write in progress: the rows it writes, and the image accounted for what these concern."""

    def __init__(self, ledger: Ledger, scope: Scope, keys: Collection[Any], image: deltas.Image | None) -> None:
        self.scope = scope
        self._keys = frozenset(keys)
        self.opened = ledger.moment()
        self.ledger = ledger
        self._accounted = [] if image is None else [(self.opened, image)]

    @property
    def is_read(self) -> bool:
        """Whether it is known what the rows contributed before; until then they have not been written either."""
        self._forget()
        return bool(self._accounted)

    @property
    def keys(self) -> frozenset[Any]:
        """Return the primary keys of the rows."""
        return self._keys

    def overlaps(self, other: Write) -> bool:
        """Return whether the two may concern the same source rows."""
        if other.scope is self.scope and self.scope.is_source:
            return not self.keys.isdisjoint(other.keys)
        return other.scope.definition is self.scope.definition

    @property
    def accounted(self) -> deltas.Image:
        """Return the image last accounted for that no rollback to a savepoint has undone."""
        self._forget()
        return self._accounted[-1][1]

    def _forget(self) -> None:
        """Drop what a rollback to a savepoint has undone."""
        while self._accounted and self.ledger.undone(self._accounted[-1][0]):
            self._accounted.pop()

    @property
    def disturbed(self) -> bool:
        """Whether another write may have touched these rows since this one was opened."""
        return len(self._accounted) > 1

    def stored(self) -> deltas.Image:
        """Return the image of the rows as the database holds them now."""
        return images.summed(self.scope, self.ledger.using, self.keys)

    def settle(self, image: deltas.Image) -> None:
        """Apply the difference between ``image`` and what is accounted for."""
        self.ledger.applier.apply(self.scope.definition, deltas.net(self.accounted, image))
        self.account(image)

    def account(self, image: deltas.Image) -> None:
        """Take ``image`` as accounted for: somebody else has applied its delta."""
        self._accounted.append((self.ledger.moment(), image))


class InstanceSave(Write):
    """The save of one instance, whose key may be known only once it is inserted.

    Without a lock, its row is read and locked by the statement that writes it.
    """

    def __init__(self, ledger: Ledger, scope: Scope, instance: models.Model, locked: images.Locked | None) -> None:
        super().__init__(ledger, scope, keys_of(scope, instance), None if locked is None else locked.image)
        self.instance = instance
        self.existed = locked is not None and bool(locked.keys)
        self._stored: deltas.Image | None = None

    def wrote(self, before: deltas.Image, after: deltas.Image) -> None:
        """Take in what the row contributed before the statement that wrote it, and after."""
        self.existed = True
        self.account(before)
        self._stored = after

    def stored(self) -> deltas.Image:
        """Return what the statement stored: writes that came after it account for themselves."""
        return super().stored() if self._stored is None else self._stored

    def is_of(self, instance: models.Model) -> bool:
        """Return whether this is a save of the row that an instance stands for."""
        if self.instance is instance and not self._keys:
            return True
        return self.keys == keys_of(self.scope, instance)

    @property
    def keys_before(self) -> frozenset[Any]:
        """Return the key the save began with; none where there was none."""
        return self._keys

    @property
    def keys(self) -> frozenset[Any]:
        """Return the key the save began with, or else the one it was given since."""
        return self._keys or keys_of(self.scope, self.instance)


class CollectedDelete(Write):
    """A delete that Django's collector carries out, announcing one instance at a time."""

    def __init__(self, ledger: Ledger, scope: Scope, keys: Collection[Any], image: deltas.Image) -> None:
        super().__init__(ledger, scope, keys, image)
        self.remaining = set(keys)


def keys_of(scope: Scope, instance: models.Model) -> frozenset[Any]:
    """Return the key of the scope's row of an instance as the database knows it; none where it has none yet."""
    key = key_of(scope, instance)
    return frozenset() if key is None else frozenset({key})


def key_of(scope: Scope, instance: models.Model) -> Any:
    """Return the same by itself, or None.

    A child in a table of its own may have another key than the row it extends.
    """
    field: Any = scope.model._meta.pk
    key = getattr(instance, field.attname)
    if key is None and (link := instance._meta.get_ancestor_link(scope.model)) is not None:
        key = getattr(instance, link.attname)
    return None if key is None or hasattr(key, "resolve_expression") else field.to_python(key)


def coming(scope: Scope, instance: models.Model) -> dict[Scope, set[Any]]:
    """Return the keys of the rows to which an instance will lead once it is saved as it is."""
    by_path = {path: parent for parent in scope.definition.scopes for path in parent.paths}
    found: dict[Scope, set[Any]] = {}
    for path, parent in by_path.items():
        before, _, name = path.rpartition(LOOKUP_SEP)
        if not path or before not in scope.paths:
            continue
        field: Any = instance._meta.get_field(name)
        key = instance.__dict__.get(field.attname)  # one that is deferred is not written either
        if key is not None and not hasattr(key, "resolve_expression"):
            found.setdefault(parent, set()).add(parent.model._meta.pk.to_python(key))
    return found
