"""Verify and rebuild in the admin, in its theme, with the permissions that the API asks for."""

from __future__ import annotations

from typing import Any

from django.contrib import admin
from django.http import HttpRequest
from unfold.admin import ModelAdmin
from unfold.widgets import UnfoldAdminSelectWidget, UnfoldBooleanWidget

from aggregates.admin import RollupStateAdmin as PlainRollupStateAdmin
from aggregates.admin import RunAdmin as PlainRunAdmin
from aggregates.admin_runs import BeginForm, RebuildForm
from aggregates.models import RollupState, Run
from expenses.admin_base import EVERYBODY, BoundedPaginator

ADVICE = "Rebuild the totals under Runs, or with manage.py rebuild_totals."

admin.site.unregister(Run)
admin.site.unregister(RollupState)


class ThemedBeginForm(BeginForm):
    """The form of a verify, with the theme's widgets."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        for field in self.fields.values():
            choices = getattr(field, "choices", None)
            field.widget = UnfoldBooleanWidget() if choices is None else UnfoldAdminSelectWidget(choices=choices)


class ThemedRebuildForm(ThemedBeginForm, RebuildForm):
    """The form of a rebuild, with the theme's widgets."""


@admin.register(Run)
class RunAdmin(PlainRunAdmin, ModelAdmin):  # type: ignore[misc]
    """Verifies and rebuilds. A verify, and what a run found, show everybody's sums."""

    begin_template = "expenses/admin/run_begin.html"
    progress_template = "expenses/admin/run_progress.html"
    begin_forms = {Run.Kind.VERIFY: ThemedBeginForm, Run.Kind.REBUILD: ThemedRebuildForm}
    paginator = BoundedPaginator

    def has_work_permission(self, request: HttpRequest, kind: str) -> bool:
        """Return whether the user may work on runs, and for a verify see everybody's expenses."""
        return super().has_work_permission(request, kind) and (
            kind == Run.Kind.REBUILD or request.user.has_perm(EVERYBODY)
        )

    def has_findings_permission(self, request: HttpRequest) -> bool:
        """Return whether the user may see runs and everybody's expenses."""
        return super().has_findings_permission(request) and request.user.has_perm(EVERYBODY)


@admin.register(RollupState)
class RollupStateAdmin(PlainRollupStateAdmin, ModelAdmin):  # type: ignore[misc]
    """Which rollups are ready."""
