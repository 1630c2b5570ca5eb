"""Where in a sorted list a row stands: the condition that finds the rows after it.

A page that begins after a row, not after a number of rows, costs the same however far it is from the first one,
and rows that come and go elsewhere move nothing out of it or into it twice.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import reduce
from typing import Any

from django.db.models import F, Model, Q
from django.db.models.expressions import OrderBy

NONE_AFTER = Q(pk__in=())


@dataclass(frozen=True)
class Column:
    """One column that a list is sorted by. NULL is the lowest of its values.

    ``path`` is the column as lookups write it, ``nullable`` whether it can be NULL.
    """

    path: str
    nullable: bool = False
    descending: bool = False

    def reversed(self) -> Column:
        """Return the column in the other direction."""
        return replace(self, descending=not self.descending)

    def order(self) -> OrderBy:
        """Return the column as ``order_by`` takes it."""
        # Told only where there can be NULL: PostgreSQL uses no index in an order with a place for them.
        if self.descending:
            return F(self.path).desc(nulls_last=True if self.nullable else None)
        return F(self.path).asc(nulls_first=True if self.nullable else None)

    def value(self, row: Model) -> Any:
        """Return the column's value in a row, None for NULL."""
        return reduce(lambda at, name: at and getattr(at, name), self.path.split("__"), row)

    def same(self, value: Any) -> Q:
        """Return the condition of rows with this value."""
        return Q((f"{self.path}__isnull", True)) if value is None else Q((self.path, value))

    def after(self, value: Any) -> Q:
        """Return the condition of rows whose value comes after this one."""
        if value is None:
            return NONE_AFTER if self.descending else Q((f"{self.path}__isnull", False))
        if not self.descending:
            return Q((f"{self.path}__gt", value))
        below = Q((f"{self.path}__lt", value))
        return below | Q((f"{self.path}__isnull", True)) if self.nullable else below

    def from_on(self, value: Any) -> Q:
        """Return the condition of rows whose value is this one or comes after it."""
        if value is None or self.nullable:
            return self.same(value) | self.after(value)
        return Q((f"{self.path}__{'lte' if self.descending else 'gte'}", value))


def after(columns: Sequence[Column], values: Sequence[Any]) -> Q:
    """Return the condition of rows that come after one with these values, sorted by these columns.

    The last column tells all rows apart. Each level has a bound of its own first, by which an index finds
    where to begin.
    """
    (first, *others), (value, *rest) = columns, values
    if not others:
        return first.after(value)
    return first.from_on(value) & (first.after(value) | (first.same(value) & after(others, rest)))
