"""Tracked writes in progress, each between its pre-image and its delta."""

from __future__ import annotations

from collections.abc import Collection
from typing import TYPE_CHECKING, Any

from django.db import models

from aggregates import deltas, images
from aggregates.definitions import Definition

if TYPE_CHECKING:
    from aggregates.ledger import Ledger


class Write:
    """A tracked write in progress: the rows it concerns and the image accounted for them."""

    def __init__(self, ledger: Ledger, definition: Definition, keys: Collection[Any], image: deltas.Image) -> None:
        self.definition = definition
        self._keys = frozenset(keys)
        self.opened = ledger.moment()
        self._ledger = ledger
        self._accounted = [(self.opened, image)]

    @property
    def keys(self) -> frozenset[Any]:
        """Return the primary keys of the rows."""
        return self._keys

    @property
    def accounted(self) -> deltas.Image:
        """Return the image last accounted for that no rollback to a savepoint has undone."""
        while self._ledger.undone(self._accounted[-1][0]):
            self._accounted.pop()
        return self._accounted[-1][1]

    @property
    def disturbed(self) -> bool:
        """Whether another write has touched these rows since this one was opened."""
        return len(self._accounted) > 1

    def stored(self) -> deltas.Image:
        """Return the image of the rows as the database holds them now."""
        return images.summed(self.definition, self._ledger.using, self.keys)

    def settle(self, image: deltas.Image) -> None:
        """Apply the difference between ``image`` and what is accounted for."""
        self._ledger.apply(self.definition, deltas.net(self.accounted, image))
        self.account(image)

    def account(self, image: deltas.Image) -> None:
        """Take ``image`` as accounted for: somebody else has applied its delta."""
        self._accounted.append((self._ledger.moment(), image))


class InstanceSave(Write):
    """The save of one instance, whose key may be known only once it is inserted."""

    def __init__(self, ledger: Ledger, definition: Definition, instance: models.Model, locked: images.Locked) -> None:
        super().__init__(ledger, definition, keys_of(definition, instance), locked.image)
        self._instance = instance
        self.existed = bool(locked.keys)

    @property
    def keys(self) -> frozenset[Any]:
        """Return the key the save began with, or else the one it was given since."""
        return self._keys or keys_of(self.definition, self._instance)


class CollectedDelete(Write):
    """A delete that Django's collector carries out, announcing one instance at a time."""

    def __init__(self, ledger: Ledger, definition: Definition, keys: Collection[Any], image: deltas.Image) -> None:
        super().__init__(ledger, definition, keys, image)
        self.remaining = set(keys)


def keys_of(definition: Definition, instance: models.Model) -> frozenset[Any]:
    """Return the key of the source row of an instance as the database knows it; none where it has none yet.

    A child in a table of its own may have another key than the source row it extends.
    """
    field: Any = definition.source._meta.pk
    link: Any = instance._meta.get_ancestor_link(definition.source)
    key = getattr(instance, field.attname)
    if key is None and link is not None:
        key = getattr(instance, link.attname)
    return frozenset() if key is None or hasattr(key, "resolve_expression") else frozenset({field.to_python(key)})
