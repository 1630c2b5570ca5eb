"""Owners and categories by name: looked up a batch at a time, created where they are new."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from typing import Any

from django.contrib.auth import get_user_model
from django.contrib.auth.hashers import make_password
from django.db import models

from expenses import audit
from expenses.models import Category

MAX_KNOWN = 50_000
"""Names remembered between batches; beyond that they are looked up again."""


@dataclass(frozen=True)
class Resolved:
    """Primary keys by name. ``new`` are the names that were not there before."""

    keys: Mapping[str, Any]
    new: Collection[str]


@dataclass
class Names:
    """The rows of a model by their unique name. Bounded memory; a constant number of statements a batch."""

    model: type[models.Model]
    column: str
    build: Callable[[str], models.Model]
    record: Callable[[Mapping[str, Any]], None] = lambda created: None
    """Is told the keys of names that were created."""
    _known: dict[str, Any] = field(default_factory=dict)

    def resolve(self, wanted: Collection[str]) -> Resolved:
        """Return the key of each name, creating those that are new. Needs an open transaction.

        Names are created in order, so that two imports that create the same ones do not deadlock,
        and a name that somebody else creates meanwhile is taken as theirs. Missing from the result
        is a name that the database does not tell from another one, as some collations do.
        """
        unknown = sorted(set(wanted) - self._known.keys())
        found = self._look_up(unknown)
        new = [name for name in unknown if name not in found]
        if new:
            self.model._default_manager.bulk_create([self.build(name) for name in new], ignore_conflicts=True)
            created = self._look_up(new)
            self.record(created)
            found |= created
        known = {name: self._known[name] for name in wanted if name in self._known}
        return Resolved(keys=known | found, new=new)

    def learn(self, resolved: Resolved) -> None:
        """Remember names for the next batch: call it when they are committed, not before."""
        if len(self._known) + len(resolved.keys) > MAX_KNOWN:
            self._known.clear()
        self._known.update(resolved.keys)

    def forget(self) -> None:
        """Look every name up afresh: a row may have been deleted meanwhile."""
        self._known.clear()

    def _look_up(self, names: Collection[str]) -> dict[str, Any]:
        if not names:
            return {}
        rows = self.model._default_manager.filter(**{f"{self.column}__in": names})
        return dict(rows.values_list(self.column, "pk"))


def owners() -> Names:
    """Return the users; new ones have no usable password, so that nobody can log in as them yet."""
    user_model = get_user_model()
    return Names(user_model, "username", lambda name: user_model(username=name, password=make_password(None)))


def categories() -> Names:
    """Return the categories."""
    return Names(Category, "name", lambda name: Category(name=name), audit.categories_created)
