"""The set-based writes that send no signal, each with its delta in the same transaction."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from typing import Any, TypeVar, cast

from django.db import connections, models, transaction
from django.db.models import sql
from django.db.models.constants import OnConflict

from aggregates import capture, collecting, conflicts, historical, instances, ledger, registry, statements, transactions
from aggregates.batches import batched
from aggregates.definitions import Scope
from aggregates.exceptions import ConcurrentInsert, UntrackedWrite

M = TypeVar("M", bound=models.Model)

KEYS_A_STATEMENT = 1_000
ROWS_AN_UPSERT = 200  # each is a branch of an OR, of which SQLite takes at most 1,000


class TrackedQuerySet(models.QuerySet[M]):
    """Keeps the totals of its model exact through ``update``, ``delete`` and the ``bulk_…`` writes."""

    _inserted: Collection[Any] = ()
    """Keys of the rows that the last insert that ignored conflicts put in."""

    def _tracked(self) -> Sequence[Scope]:
        if historical.is_historical(self.model):
            historical.refuse(self.model, self.db)
        return registry.watching(self.model)

    def update(self, **kwargs: Any) -> int:
        """Update all rows and their totals in one transaction; see Django's ``update``."""
        tracked = self._tracked()
        if not tracked or self.query.is_sliced or self.query.combinator:
            return super().update(**kwargs)
        fields = [self.model._meta.pk if name == "pk" else self.model._meta.get_field(name) for name in kwargs]
        written = frozenset(field.name for field in fields)
        scopes = [scope for scope in tracked if scope.concerns(written)]
        if not {self.model._meta.pk, *(scope.model._meta.pk for scope in tracked)}.isdisjoint(fields):
            raise UntrackedWrite(
                f"update() of the primary key of {self.model._meta.label} would lose track of its rows: "
                "insert rows with the new keys and delete the old ones."
            )
        if not scopes:
            return super().update(**kwargs)
        self._for_write = True
        self._result_cache = None
        query: Any = self.query.chain(sql.UpdateQuery)
        query.add_update_values(kwargs)  # refuses what it must before anything is locked

        def operation() -> int:
            if capture.applies(scopes, self):
                return ledger.of(self.db).capturing(
                    scopes[0], lambda adding: capture.update(scopes[0], self, kwargs, adding=adding)
                )
            with ledger.of(self.db).rewriting(scopes, self) as keys:
                return self._update_rows(scopes[0], keys, kwargs)

        return transactions.run(operation, using=self.db)

    update.alters_data = True  # type: ignore[attr-defined]

    def _update_rows(self, scope: Scope, keys: Collection[Any], kwargs: dict[str, Any]) -> int:
        if not keys:
            return 0
        if not connections[self.db].features.has_select_for_update:
            # SQLite has one writer, this one: no row can have joined since the rows were read.
            return super().update(**kwargs)
        rows = self.filter(statements.any_of(scope.model, keys, self.db))
        return super(TrackedQuerySet, rows).update(**kwargs)

    def bulk_update(self, objs: Any, fields: Any, batch_size: int | None = None) -> int:
        """Update the given fields of the instances; see Django's ``bulk_update``."""
        objs, fields = tuple(objs), list(fields)
        self._for_write = True
        update = super().bulk_update

        def operation() -> int:
            # In each statement a key for each row, and key and value for each of its fields.
            limit = statements.most_rows(1 + 2 * len(fields), batch_size, self.db)
            with ledger.of(self.db).applier.batching():
                return update(objs, fields, limit)

        return transactions.run(operation, using=self.db)

    bulk_update.alters_data = True  # type: ignore[attr-defined]

    def delete(self) -> tuple[int, dict[str, int]]:
        """Delete all rows and take them out of their totals in one transaction.

        Where nothing else needs to see the rows (no receiver of the host's, no cascade), they are
        not loaded.
        """
        query = self.query
        if query.is_sliced or query.distinct_fields or query.combinator or cast("Any", self)._fields is not None:
            return super().delete()  # refused there, in Django's words
        rows = self.all()
        rows._for_write = True  # noqa: SLF001 - as Django's own delete() does
        rows.query.select_for_update = False
        rows.query.select_related = False
        rows.query.clear_ordering(force=True)
        if not collecting.is_by_itself(rows, rows.db):
            delete = super().delete
            return transactions.run(delete, using=rows.db)
        self._result_cache = None
        count = rows._raw_delete(rows.db)  # noqa: SLF001 - as Django's own collector does
        return count, {self.model._meta.label: count} if count else {}

    delete.alters_data = True  # type: ignore[attr-defined]
    delete.queryset_only = True  # type: ignore[attr-defined]

    def _raw_delete(self, using: str | None) -> int:
        # Deleting a multi-table child's own row alone leaves the row it extends, whose delete comes by itself.
        concrete = self.model._meta.concrete_model
        scopes = [scope for scope in self._tracked() if scope.model._meta.concrete_model is concrete]
        if not scopes:
            return super()._raw_delete(using)
        rows = self.using(using)

        def operation() -> int:
            if capture.applies(scopes, rows):
                return ledger.of(rows.db).capturing(
                    scopes[0], lambda adding: capture.delete(scopes[0], rows, adding=adding)
                )
            with ledger.of(rows.db).rewriting(scopes, rows) as keys:
                parts = [rows.filter(pk__in=batch) for batch in batched(keys, KEYS_A_STATEMENT)]
                return sum(super(TrackedQuerySet, part)._raw_delete(rows.db) for part in parts)

        return transactions.run(operation, using=rows.db)

    _raw_delete.alters_data = True  # type: ignore[attr-defined]

    def bulk_create(
        self,
        objs: Any,
        batch_size: int | None = None,
        ignore_conflicts: bool = False,  # noqa: FBT001, FBT002
        update_conflicts: bool = False,  # noqa: FBT001, FBT002
        update_fields: Collection[str] | None = None,
        unique_fields: Collection[str] | None = None,
    ) -> list[M]:
        """Insert the instances and add them to their totals; see Django's ``bulk_create``."""
        objs = list(objs)
        self._for_write = True
        insert = super().bulk_create

        def upsert(part: list[M]) -> list[M]:
            return insert(
                part, batch_size, update_conflicts=True, update_fields=update_fields, unique_fields=unique_fields
            )

        if not self._tracked() or (ignore_conflicts and update_conflicts):
            return insert(objs, batch_size, ignore_conflicts, update_conflicts, update_fields, unique_fields)
        if update_conflicts:
            self._require_conflict_target()
            names = [self.model._meta.pk.name if name == "pk" else name for name in unique_fields or ()]
            if not names or not update_fields:
                return insert([*objs], batch_size, update_conflicts=True, update_fields=update_fields)  # refused there
            return instances.run(lambda: self._insert_or_update(objs, names, upsert), objs, using=self.db)
        if ignore_conflicts:
            return instances.run(lambda: self._insert_new(objs, batch_size), objs, using=self.db)
        return instances.run(lambda: self._insert_all(objs, batch_size), objs, using=self.db)

    bulk_create.alters_data = True  # type: ignore[attr-defined]

    def _insert_all(self, objs: list[M], batch_size: int | None) -> list[M]:
        with ledger.of(self.db).inserting(self._tracked(), self._keys_of(objs)) as inserted:
            created = super().bulk_create(objs, batch_size)
            inserted.update(obj.pk for obj in created)
        return created

    def _insert_new(self, objs: list[M], batch_size: int | None) -> list[M]:
        """Insert what conflicts with nothing; only the database can tell which rows went in."""
        if not connections[self.db].features.can_return_rows_from_bulk_insert:
            raise UntrackedWrite(
                f"This database does not tell which rows of {self.model._meta.label} an INSERT that ignores conflicts "
                "put in: insert only rows that are new, or save them one by one."
            )
        with ledger.of(self.db).inserting(self._tracked(), self._keys_of(objs)) as self._inserted:
            return super().bulk_create(objs, batch_size, ignore_conflicts=True)

    def _keys_of(self, objs: list[M]) -> set[Any]:
        """Return the keys that instances have before they are inserted."""
        pk: Any = self.model._meta.pk
        given = (obj.pk for obj in objs)
        return {pk.to_python(key) for key in given if key is not None and not hasattr(key, "resolve_expression")}

    def _require_conflict_target(self) -> None:
        """Refuse to upsert where a conflict with any unique key would update whatever row it is with."""
        if not connections[self.db].features.supports_update_conflicts_with_target:
            raise UntrackedWrite(
                f"On this database an upsert does not say which unique fields decide, so the rows of "
                f"{self.model._meta.label} that it changes are not known: use update_or_create()."
            )

    def _insert_or_update(self, objs: list[M], unique: list[str], upsert: Callable[[list[M]], list[M]]) -> list[M]:
        """Insert the new rows, then lock all and update: an upsert alone does not tell which it was."""
        with transaction.mark_for_rollback_on_error(self.db):
            for part in batched(objs, ROWS_AN_UPSERT):
                if present := self._insert_absent(part, conflicts.Unique(self.model, unique)):
                    self._update_present(present, conflicts.Unique(self.model, unique), upsert)
        return objs

    def _insert_absent(self, objs: list[M], unique: conflicts.Unique) -> list[M]:
        """Insert the instances whose unique values no row has; return the others."""
        loose, keyed = unique.partition(objs)
        if loose:
            self._insert_all(loose, None)
        if keyed:
            self._insert_new(keyed, None)
        return unique.without(keyed, models.QuerySet(self.model, using=self.db).filter(pk__in=self._inserted))

    def _update_present(self, objs: list[M], unique: conflicts.Unique, upsert: Callable[[list[M]], list[M]]) -> None:
        rows: models.QuerySet[Any] = models.QuerySet(self.model, using=self.db).filter(unique.condition(objs))
        with ledger.of(self.db).rewriting(self._tracked(), rows) as keys:
            upsert(objs)
            if keys != set(rows.all().values_list("pk", flat=True)):
                raise ConcurrentInsert(
                    f"A row of {self.model._meta.label} came or went while it was being upserted: try again."
                )

    def _batched_insert(
        self,
        objs: list[M],
        fields: Any,
        batch_size: int | None,
        on_conflict: OnConflict | None = None,
        update_fields: Any = None,
        unique_fields: Any = None,
    ) -> Any:
        if on_conflict != OnConflict.IGNORE or not self._tracked():
            limit = statements.most_rows(len(fields), batch_size, self.db)
            return super()._batched_insert(  # type: ignore[misc]
                objs, fields, limit, on_conflict, update_fields, unique_fields
            )
        limit = min(max(connections[self.db].ops.bulk_batch_size(fields, objs), 1), conflicts.ROWS_AN_INSERT)
        for batch in batched(objs, min(batch_size or limit, limit)):
            cast("set[Any]", self._inserted).update(conflicts.insert_returning_keys(self.model, self.db, batch, fields))
        return []


class TrackedManager(models.Manager.from_queryset(TrackedQuerySet)):  # type: ignore[misc]
    """The manager of a tracked model. Derive your own from it, or from TrackedQuerySet."""

    use_in_migrations = True  # so that historical models refuse what they cannot keep exact
