"""Every set write of expenses leaves its trail, and keeps to the months that are open."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from typing import Any, TypeVar, cast

from django.db import connections, models

from aggregates import historical, transactions
from aggregates.batches import batched
from aggregates.images import is_plain
from aggregates.querysets import KEYS_A_STATEMENT, TrackedManager, TrackedQuerySet
from aggregates.statements import any_of
from expenses import trail

M = TypeVar("M", bound=models.Model)


class ExpenseQuerySet(TrackedQuerySet[M]):
    """A tracked queryset whose writes are recorded."""

    def _is_recorded(self) -> bool:
        """Return whether its writes are: not those that Django refuses, nor those of a model of the past."""
        return not (self.query.is_sliced or self.query.combinator or historical.is_historical(self.model))

    def update(self, **kwargs: Any) -> int:
        """Update all rows; see ``TrackedQuerySet.update``. Raises MonthClosed."""
        if not self._is_recorded():
            return super().update(**kwargs)
        self._for_write = True
        self._result_cache = None

        def operation() -> int:
            with trail.recording(self.db) as record:
                same = record.before(self._lockable())
                updated = super(ExpenseQuerySet, self.filter(same)).update(**kwargs)
                record.after(self._all().filter(same))
                return updated

        return transactions.run(operation, using=self.db)

    update.alters_data = True  # type: ignore[attr-defined]

    def delete(self) -> tuple[int, dict[str, int]]:
        """Delete all rows; see ``TrackedQuerySet.delete``. Raises MonthClosed."""
        if not self._is_recorded() or self.query.distinct_fields or cast("Any", self)._fields is not None:
            return super().delete()
        self._for_write = True
        self._result_cache = None

        def operation() -> tuple[int, dict[str, int]]:
            with trail.recording(self.db) as record:
                same = record.before(self._lockable())
                return super(ExpenseQuerySet, self._all().filter(same)).delete()

        return transactions.run(operation, using=self.db)

    delete.alters_data = True  # type: ignore[attr-defined]
    delete.queryset_only = True  # type: ignore[attr-defined]

    def bulk_create(
        self,
        objs: Any,
        batch_size: int | None = None,
        ignore_conflicts: bool = False,  # noqa: FBT001, FBT002
        update_conflicts: bool = False,  # noqa: FBT001, FBT002
        update_fields: Collection[str] | None = None,
        unique_fields: Collection[str] | None = None,
    ) -> list[M]:
        """Insert the instances; see ``TrackedQuerySet.bulk_create``. Raises MonthClosed."""
        objs = list(objs)
        self._for_write = True
        insert = super().bulk_create

        def operation() -> list[M]:
            with trail.recording(self.db) as record:
                for keys in self._parts(self._keys_of(objs)) if update_conflicts else ():
                    record.before(self._of(keys))
                created = insert(objs, batch_size, ignore_conflicts, update_conflicts, update_fields, unique_fields)
                for keys in self._parts(self._inserted if ignore_conflicts else self._keys_of(created)):
                    record.after(self._of(keys))
                return created

        if not self._is_recorded():
            return insert(objs, batch_size, ignore_conflicts, update_conflicts, update_fields, unique_fields)
        return transactions.run(operation, using=self.db)

    bulk_create.alters_data = True  # type: ignore[attr-defined]

    def _lockable(self) -> models.QuerySet[M]:
        """Return the same rows from one table, as they can be locked."""
        return self.order_by() if is_plain(self) else self._all().filter(pk__in=self.order_by().values("pk"))

    def _all(self) -> ExpenseQuerySet[M]:
        """Return all rows, whatever was selected."""
        return ExpenseQuerySet(self.model, using=self.db)

    def _parts(self, keys: Collection[Any]) -> Iterable[Collection[Any]]:
        """Return the keys in lists that a statement can hold: all of them where that takes one parameter."""
        return [keys] if connections[self.db].vendor == "postgresql" else batched(keys, KEYS_A_STATEMENT)

    def _of(self, keys: Collection[Any]) -> models.QuerySet[M]:
        return self._all().filter(any_of(self.model, keys, self.db))


class ExpenseManager(TrackedManager.from_queryset(ExpenseQuerySet)):  # type: ignore[misc]
    """The manager of expenses."""

    use_in_migrations = True  # so that historical models refuse what they cannot keep exact
