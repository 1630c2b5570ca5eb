"""What a host derives from (Totals, Tracked), and the records of runs and of ready rollups."""

from __future__ import annotations

import uuid
from collections.abc import Callable
from functools import partial
from typing import Any, ClassVar

from django.conf import settings
from django.db import connections, models, router, transaction

from aggregates import capture, collecting, combined, instances, ledger, registry, returning, undo
from aggregates.definitions import Scope
from aggregates.exceptions import ReadOnlyTotals
from aggregates.querysets import TrackedManager
from aggregates.writes import InstanceSave


class TotalsQuerySet(models.QuerySet["Totals"]):
    """Reads totals. Whatever would write them raises ReadOnlyTotals."""

    def _refuse(self, *args: Any, **kwargs: Any) -> Any:
        raise ReadOnlyTotals(
            f"{self.model._meta.label} is written by the engine alone: write its source rows, or run rebuild_totals."
        )

    update = bulk_create = bulk_update = delete = _raw_delete = _insert = _update = _refuse
    update.alters_data = delete.alters_data = True  # type: ignore[attr-defined]


class Totals(models.Model):
    """One stored total: the sums of one bucket in one rollup and slot.

    Subclasses add a nullable field for each dimension, a field for each measure, and an inner
    class ``Aggregate`` that says what they are totals of.
    """

    id = models.UUIDField(primary_key=True, editable=False, help_text="Digest of rollup and dimensions, and the slot.")
    rollup = models.CharField(max_length=100, editable=False)
    slot = models.PositiveSmallIntegerField(default=0, editable=False)
    generation = models.BigIntegerField(default=0, editable=False, help_text="How often this bucket was corrected.")

    objects = TotalsQuerySet.as_manager()

    class Meta:
        abstract = True
        base_manager_name = "objects"

    def _save_table(self, raw: bool = False, *args: Any, **kwargs: Any) -> bool:  # noqa: FBT001, FBT002 - Django's
        """Refuse to write; a fixture's rows are skipped, for loading its source rows derives them."""
        if raw:
            return True
        raise ReadOnlyTotals(
            f"{self._meta.label} is written by the engine alone: write its source rows, or run rebuild_totals."
        )

    def delete(self, *args: Any, **kwargs: Any) -> Any:
        """Refuse: a total goes when its source rows go."""
        raise ReadOnlyTotals(
            f"{self._meta.label} is written by the engine alone: delete its source rows, or run rebuild_totals."
        )


class Tracked(models.Model):
    """A source of totals: each save or delete is one transaction with its totals.

    Where the write opens the outermost transaction itself, conflicts (serialization failures,
    deadlocks, lock timeouts) are retried.
    """

    objects = TrackedManager()
    _inserts = False
    """Whether the save in progress is certain to insert, so that there is no row to read before it."""
    _reads_since: int | None = None
    """When the save in progress began, if the statement that writes the row is to read it as well."""
    _wrote = False
    """Whether the save in progress has come to write the row."""

    class Meta:
        abstract = True
        base_manager_name = "objects"

    def save_base(
        self,
        raw: bool = False,  # noqa: FBT001, FBT002
        force_insert: Any = False,  # noqa: FBT002
        force_update: bool = False,  # noqa: FBT001, FBT002
        using: str | None = None,
        update_fields: Any = None,
    ) -> None:
        """Save the row and its totals in one transaction; see Django's ``Model.save_base``."""
        using = using or router.db_for_write(self.__class__, instance=self)
        adding = self._state.adding

        def attempt() -> None:
            outer, began = (self._inserts, self._reads_since, self._wrote), ledger.of(using).moment()
            # Django skips the UPDATE for a new instance whose key has a default.
            defaulted = all(f.has_default() or f.has_db_default() for f in self._meta.pk_fields)
            self._wrote = False
            self._reads_since = began if returning.is_exact(using) and not self._meta.select_on_save else None
            # The row of a parent in another table may be there already, whatever is said of this one.
            self._inserts = not self._meta.parents and (
                force_insert is True or (adding and defaulted and not (raw or force_update or update_fields))
            )
            try:
                super(Tracked, self).save_base(raw, force_insert, force_update, using, update_fields)
            except BaseException as error:
                self._save_failed(using, began, error)
                raise
            finally:
                self._inserts, self._reads_since, self._wrote = (
                    outer  # a receiver may have saved the instance within its save
                )

        instances.run(attempt, [self], using=using)

    def _save_table(self, *args: Any, **kwargs: Any) -> bool:
        self._wrote = True
        parent: Any = super()  # the stubs leave this method out
        return bool(parent._save_table(*args, **kwargs))  # noqa: SLF001 - as Django's own save_base() does

    def _saves(self, model: type[models.Model], using: str) -> list[InstanceSave]:
        """Return the writes that want to know what a statement of this save on ``model``'s table does."""
        return [] if self._reads_since is None else ledger.of(using).saves_of(self, model, self._reads_since)

    def _do_insert(self, manager: Any, using: str, fields: Any, returning_fields: Any, raw: bool) -> Any:  # noqa: FBT001
        """Insert the row, and take from the same statement what it contributes."""
        saves = self._saves(manager.model, using)
        if not saves:
            parent: Any = super()
            return parent._do_insert(manager, using, fields, returning_fields, raw)  # noqa: SLF001 - as above
        values = [(f, getattr(self, f.attname) if raw else f.pre_save(self, add=True)) for f in fields]
        definitions = [save.scope.definition for save in saves]
        book = saves[0].ledger
        if not book.applier.holds_back and combined.can_insert(definitions, values, using):
            given, keys = combined.insert(manager.model, using, values, returning_fields, definitions[0])
            book.applied(saves[0], keys)
            return given
        given, changes = returning.insert(manager.model, using, values, returning_fields, definitions)
        for save, change in zip(saves, changes, strict=True):
            save.wrote(change.before, change.after)
        return given

    def _do_update(  # type: ignore[override]  # the stubs have the signature of Django 6
        self,
        base_qs: models.QuerySet[Any],
        using: str,
        pk_val: Any,
        values: Any,
        update_fields: Any,
        forced_update: Any,
    ) -> bool:
        """Update the row, and take from the same statement what it contributed and contributes."""
        saves = self._saves(base_qs.model, using) if values else []
        if not saves:
            parent: Any = super()
            return bool(
                parent._do_update(base_qs, using, pk_val, values, update_fields, forced_update)  # noqa: SLF001 - as above
            )
        given = [(field, value) for field, _model, value in values]
        definitions = [save.scope.definition for save in saves]
        book = saves[0].ledger
        if not book.applier.holds_back and combined.can_update(definitions, given, using):
            found, keys = combined.update(base_qs, pk_val, given, definitions[0])
            book.applied(saves[0], keys)
            return found
        changes = returning.update(base_qs, pk_val, given, definitions)
        for save, change in zip(saves, changes, strict=False):
            save.wrote(change.before, change.after)
        return bool(changes)

    def _save_failed(self, using: str, began: int, error: BaseException) -> None:
        """Let no row be committed without its total; a save that wrote nothing is just forgotten."""
        if self._wrote:
            transaction.set_rollback(True, using=using)
            undo.note_cause(connections[using], error)
        else:
            ledger.of(using).abandon(began)

    def delete(
        self,
        using: str | None = None,
        keep_parents: bool = False,  # noqa: FBT001, FBT002 - Django's signature
    ) -> tuple[int, dict[str, int]]:
        """Delete the row and take it out of its totals in one transaction.

        Where nothing else needs to see it (no receiver of the host's, no cascade), one statement does both.
        """
        using = using or router.db_for_write(self.__class__, instance=self)
        delete: Callable[[], tuple[int, dict[str, int]]] = partial(
            super().delete, using=using, keep_parents=keep_parents
        )
        scopes = registry.watching(type(self))
        if (
            self.pk is not None
            and capture.applies_to(scopes, type(self), using)
            and collecting.is_by_itself(self, using)
        ):
            delete = partial(self._delete_row, scopes[0], using)
        return instances.run(delete, [self], using=using)

    def _delete_row(self, scope: Scope, using: str) -> tuple[int, dict[str, int]]:
        count = ledger.of(using).capturing(
            scope, lambda adding: capture.delete_row(scope, using, self.pk, adding=adding)
        )
        self.pk = None  # as Django does
        return count, {self._meta.label: count} if count else {}


class RollupState(models.Model):
    """That a rollup was found clean under the declaration with this fingerprint: it is ready."""

    totals = models.CharField(max_length=255, help_text="Label of the totals model.")
    rollup = models.CharField(max_length=100)
    fingerprint = models.CharField(max_length=64)
    buckets = models.BigIntegerField(default=0, help_text="Buckets when it was last compared.")
    checked_at = models.DateTimeField(help_text="When it was last found clean.")

    class Meta:
        constraints: ClassVar[list[Any]] = [
            models.UniqueConstraint(fields=["totals", "rollup"], name="aggregates_rollup_state")
        ]

    def __str__(self) -> str:
        return f"{self.totals} {self.rollup}"


class Run(models.Model):
    """One verify or rebuild: what it was asked, how far it came, what it found."""

    class Kind(models.TextChoices):
        VERIFY = "verify"
        REBUILD = "rebuild"

    class State(models.TextChoices):
        RUNNING = "running"
        COMPLETE = "complete"
        INTERRUPTED = "interrupted"
        FAILED = "failed"

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    totals = models.CharField(max_length=255, help_text="Label of the totals model.")
    kind = models.CharField(max_length=10, choices=Kind.choices)
    state = models.CharField(max_length=12, choices=State.choices, default=State.RUNNING)
    options = models.JSONField(default=dict, help_text="How it was asked: from_scratch, dry_run, scope.")
    fingerprint = models.CharField(max_length=64, help_text="Of the declaration it ran under.")
    started_at = models.DateTimeField()
    heartbeat_at = models.DateTimeField(help_text="When it last made progress.")
    finished_at = models.DateTimeField(null=True)
    started_by = models.ForeignKey(settings.AUTH_USER_MODEL, null=True, on_delete=models.SET_NULL, related_name="+")
    chunks = models.PositiveIntegerField(default=0, help_text="Chunks in all.")
    chunks_done = models.PositiveIntegerField(default=0)
    buckets = models.BigIntegerField(default=0, help_text="Buckets compared.")
    drifted = models.BigIntegerField(default=0, help_text="Buckets found to differ.")
    corrected = models.BigIntegerField(default=0, help_text="Corrections applied.")
    findings = models.JSONField(default=list, help_text="The first drifted buckets: stored, expected, difference.")
    error = models.TextField(blank=True)
    plan = models.JSONField(null=True, help_text="Where its chunks begin, if it is worked off in steps.")
    clean_so_far = models.JSONField(default=dict, help_text="Buckets of the rollups in which no drift was found yet.")
    worker = models.UUIDField(null=True, help_text="Who works off a step of it just now.")
    only = models.CharField(  # noqa: DJ001 - unique where it is set
        max_length=255, null=True, unique=True, help_text="The totals of which no second such run may be under way."
    )

    class Meta:
        ordering = ("-started_at",)
        get_latest_by = "started_at"

    def __str__(self) -> str:
        return f"{self.kind} of {self.totals} at {self.started_at:%Y-%m-%d %H:%M:%S}"

    @property
    def clean_result(self) -> bool:
        """Whether the run came to its end, and found no drift in what it was asked to look at."""
        return self.state == self.State.COMPLETE and self.drifted == 0
