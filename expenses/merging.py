"""Two categories become one: the expenses of the first move to the second, the first is deleted."""

from __future__ import annotations

import datetime as dt

from django.db import router
from django.db.models import Q

from aggregates import transactions
from expenses.models import Category, Expense


class NoSuchCategory(Exception):
    """A category to be merged is not there, or not any more. ``key`` is its id; choose another."""

    def __init__(self, key: int) -> None:
        super().__init__(f"There is no category {key}.")
        self.key = key


def merge(source: int, into: int, now: dt.datetime) -> tuple[Category, int]:
    """Merge a category into another, given their ids, in one transaction that is retried after conflicts.

    Returns the category merged into and the number of expenses moved, whose ``updated_at`` becomes
    ``now``. Takes the same number of statements however many they are. Raises NoSuchCategory, and
    ValueError for a category that would be merged into itself.
    """
    if source == into:
        raise ValueError(f"Category {source} cannot be merged into itself: name another.")

    def operation() -> tuple[Category, int]:
        # Both, in the order of their ids: two merges in opposite directions wait for each other in turn. And before
        # any expense is moved: one that is stored in the source meanwhile waits, and then finds that it is gone.
        locked = Category.objects.select_for_update().filter(Q(pk=source) | Q(pk=into)).order_by("pk")
        categories = {category.pk: category for category in locked}
        for key in (source, into):
            if key not in categories:
                raise NoSuchCategory(key)
        moved = Expense.objects.filter(category=source).update(category=into, updated_at=now)
        categories[source].delete()
        return categories[into], moved

    return transactions.run(operation, using=router.db_for_write(Category))
