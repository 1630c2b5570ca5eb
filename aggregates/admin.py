"""The history of verify and rebuild runs, and which rollups are ready. To be read; runs are begun in ``admin_runs``."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from django.contrib import admin
from django.db import models
from django.http import HttpRequest

from aggregates import registry
from aggregates.admin_findings import pairs, table
from aggregates.admin_runs import WorksOffRuns
from aggregates.models import RollupState, Run

if TYPE_CHECKING:
    _ModelAdmin = admin.ModelAdmin[models.Model]
else:
    _ModelAdmin = admin.ModelAdmin  # generic for type checkers only


class ReadOnlyAdmin(_ModelAdmin):
    """Shows rows to those who may view them; nobody may write them here."""

    def has_add_permission(self, request: HttpRequest) -> bool:
        """Refuse: the engine writes these."""
        return False

    def has_change_permission(self, request: HttpRequest, obj: models.Model | None = None) -> bool:
        """Refuse: the engine writes these."""
        return False

    def has_delete_permission(self, request: HttpRequest, obj: models.Model | None = None) -> bool:
        """Refuse: a record that can be deleted proves nothing."""
        return False


@admin.register(Run)
class RunAdmin(WorksOffRuns, ReadOnlyAdmin):
    """Each verify and rebuild: when, by whom, how far it came, and what it found."""

    list_display = (
        "started_at", "kind", "totals", "state", "buckets", "drifted", "corrected", "started_by", "took",
        "follow",
    )  # fmt: skip
    list_filter = ("kind", "state", "totals")
    list_select_related = ("started_by",)
    show_full_result_count = False
    # A line each: several beside each other are columns too narrow to read where an admin's theme has wide labels.
    fields = (
        "totals", "kind", "state",
        "started_at", "heartbeat_at", "finished_at", "took",
        "started_by", "asked",
        "chunks_done", "chunks",
        "buckets", "drifted", "corrected",
        "error",
        "found",
        "follow",
    )  # fmt: skip

    def get_fields(self, request: HttpRequest, obj: models.Model | None = None) -> list[Any]:
        """Return the fields, without what drifted for those who may not see sums."""
        found = list(super().get_fields(request, obj))
        return found if self.has_findings_permission(request) else [each for each in found if each != "found"]

    @admin.display(description="options")
    def asked(self, run: Run) -> str:
        """Return the options it was given, as text."""
        return pairs(run.options) or "-"

    @admin.display(description="drifted buckets")
    def found(self, run: Run) -> str:
        """Return the first drifted buckets as a table."""
        return table(run)


@admin.register(RollupState)
class RollupStateAdmin(ReadOnlyAdmin):
    """Which rollups were found clean, when, and how many buckets they had then."""

    list_display = ("totals", "rollup", "buckets", "checked_at", "declared")
    list_filter = ("totals",)
    show_full_result_count = False

    @admin.display(description="still declared so", boolean=True)
    def declared(self, state: RollupState) -> bool:
        """Return whether the rollup still means what it meant when it was found clean."""
        definitions = {definition.label: definition for definition in registry.definitions()}
        definition = definitions.get(state.totals)
        return definition is not None and definition.fingerprints.get(state.rollup) == state.fingerprint
