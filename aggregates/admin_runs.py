"""Verify and rebuild in the admin: asked for, confirmed, worked off a bounded step a request, cancelled, reported.

Plain Django: a host's admin derives from it, says in its own words who may do what, and brings its style.
"""

from __future__ import annotations

import uuid
from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, Any

from django import forms
from django.contrib import admin, messages
from django.core.exceptions import PermissionDenied
from django.db import models, router
from django.http import Http404, HttpRequest, HttpResponse, JsonResponse
from django.shortcuts import redirect
from django.template.response import TemplateResponse
from django.urls import URLPattern, path, reverse
from django.utils import timezone
from django.utils.html import format_html
from django.views.decorators.http import require_POST

from aggregates import conf, registry, steps
from aggregates.admin_findings import table
from aggregates.models import Run
from aggregates.rebuild import Options
from aggregates.steps import BeingWorkedOn, NotUnderWay, RunUnderWay

if TYPE_CHECKING:
    _ModelAdmin = admin.ModelAdmin[models.Model]
else:
    _ModelAdmin = admin.ModelAdmin  # generic for type checkers only

HTML, JSON = "text/html", "application/json"
KINDS = (Run.Kind.VERIFY, Run.Kind.REBUILD)


class BeginForm(forms.Form):
    """Which totals a verify is of."""

    totals = forms.ChoiceField(label="Totals")

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        field: Any = self.fields["totals"]
        field.choices = [(d.label, str(d.totals._meta.verbose_name_plural)) for d in registry.definitions()]

    @property
    def options(self) -> Options:
        """Return how to go about it."""
        asked = {name: self.cleaned_data.get(name, False) for name in ("from_scratch", "dry_run")}
        return Options(**asked, batch_size=conf.current().STEP_ROWS)


class RebuildForm(BeginForm):
    """Which totals a rebuild is of, and how it is done."""

    dry_run = forms.BooleanField(required=False, label="Dry run: compare, and correct nothing")
    from_scratch = forms.BooleanField(
        required=False, label="From scratch: rely on nothing stored, rewrite keys and dimensions as well"
    )


class WorksOffRuns(_ModelAdmin):
    """The pages on which runs are begun, worked off and cancelled."""

    change_list_template = "aggregates/admin/run_list.html"
    begin_template = "aggregates/admin/run_begin.html"
    progress_template = "aggregates/admin/run_progress.html"
    begin_forms: dict[str, type[BeginForm]] = {Run.Kind.VERIFY: BeginForm, Run.Kind.REBUILD: RebuildForm}

    def has_work_permission(self, request: HttpRequest, kind: str) -> bool:
        """Return whether the user may begin, go on with and cancel runs of a kind."""
        return self.has_view_permission(request) and request.user.has_perm(f"{self.opts.app_label}.change_run")

    def has_findings_permission(self, request: HttpRequest) -> bool:
        """Return whether the user may see what drifted, which tells sums. A host may want more than seeing runs."""
        return self.has_view_permission(request)

    def get_urls(self) -> list[URLPattern]:
        """Add the pages' addresses."""
        wrap = self.admin_site.admin_view
        pages: list[URLPattern] = [
            path(f"{kind}/", wrap(partial(self.begin_view, kind=kind)), name=f"aggregates_run_{kind}") for kind in KINDS
        ]
        views: dict[str, Callable[..., HttpResponse]] = {
            "progress": self.progress_view,
            "step": require_POST(self.step_view),
            "cancel": require_POST(self.cancel_view),
        }
        for name, view in views.items():
            pages.append(path(f"<uuid:key>/{name}/", wrap(view), name=f"aggregates_run_{name}"))
        return [*pages, *super().get_urls()]

    def changelist_view(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> HttpResponse:
        """List the runs, with links to begin another."""
        kinds = [kind for kind in KINDS if self.has_work_permission(request, kind)]
        begin = [(kind, self._page(kind)) for kind in kinds]
        return super().changelist_view(request, {**(extra_context or {}), "begin": begin})

    def begin_view(self, request: HttpRequest, kind: Run.Kind) -> HttpResponse:
        """Ask whether to begin a run; begin it, unless it is a rebuild beside another."""
        self._require_work(request, kind)
        form = self.begin_forms[kind](request.POST or None)
        if not form.is_valid():
            context = self._context(request, f"Begin a {kind}", form=form, kind=kind, list_url=self._page("changelist"))
            return TemplateResponse(request, self.begin_template, context)
        definition = registry.definition(form.cleaned_data["totals"])
        using = router.db_for_write(definition.totals)
        try:
            run = steps.begin(definition, kind, form.options, using=using, at=timezone.now(), by=request.user)
        except RunUnderWay as error:
            messages.error(request, str(error))
            run = error.run
        return redirect(self._page("progress", run.pk))

    def progress_view(self, request: HttpRequest, key: uuid.UUID) -> HttpResponse:
        """Show how far a run has come, with the buttons to go on and to cancel; at its end, its report."""
        run = self._run(request, key)
        running = run.state == Run.State.RUNNING
        context = self._context(
            request,
            f"{Run.Kind(run.kind).label} of {run.totals}",
            run=run,
            running=running,
            in_steps=running and run.plan is not None and self.has_work_permission(request, run.kind),
            took=self.took(run),
            options=_options(run),
            found=table(run),
            findings_shown=self.has_findings_permission(request),
            step_url=self._page("step", key),
            cancel_url=self._page("cancel", key),
            list_url=self._page("changelist"),
            change_url=self._page("change", key),
        )
        return TemplateResponse(request, self.progress_template, context)

    def step_view(self, request: HttpRequest, key: uuid.UUID) -> HttpResponse:
        """Go on with a run for some seconds; answer with its page, or with figures for a script."""
        run = self._run(request, key)
        self._require_work(request, run.kind)
        for_script = request.get_preferred_type([HTML, JSON]) == JSON
        try:
            run = steps.step(run, clock=timezone.now, seconds=conf.current().STEP_SECONDS)
        except (BeingWorkedOn, NotUnderWay) as error:
            if for_script:
                return JsonResponse({**_figures(error.run), "detail": str(error)}, status=409)
            messages.warning(request, str(error))
        return JsonResponse(_figures(run)) if for_script else redirect(self._page("progress", key))

    def cancel_view(self, request: HttpRequest, key: uuid.UUID) -> HttpResponse:
        """End a run early; what it corrected stays."""
        run = self._run(request, key)
        self._require_work(request, run.kind)
        try:
            steps.cancel(run, at=timezone.now())
        except NotUnderWay as error:
            messages.warning(request, str(error))
        else:
            messages.success(request, f"The {run.kind} was cancelled. What it has corrected stays.")
        return redirect(self._page("progress", key))

    @admin.display(description="took")
    def took(self, run: Run) -> str:
        """Return how long it ran, or has run so far, in seconds."""
        seconds = ((run.finished_at or run.heartbeat_at) - run.started_at).total_seconds()
        return f"{seconds:.1f} s" if run.finished_at else f"{seconds:.1f} s so far"

    @admin.display(description="progress")
    def follow(self, run: Run) -> str:
        """Return a link to the page that shows how far it is, or its report."""
        text = "go on" if run.state == Run.State.RUNNING else "report"
        return format_html('<a href="{}">{}</a>', self._page("progress", run.pk), text)

    def _run(self, request: HttpRequest, key: uuid.UUID) -> Run:
        if not self.has_view_permission(request):
            raise PermissionDenied
        runs: Any = self.get_queryset(request)
        run: Run | None = runs.using(router.db_for_write(Run)).filter(pk=key).first()
        if run is None:
            raise Http404
        return run

    def _require_work(self, request: HttpRequest, kind: str) -> None:
        if not self.has_work_permission(request, kind):
            raise PermissionDenied

    def _page(self, name: str, *args: Any) -> str:
        return reverse(f"{self.admin_site.name}:aggregates_run_{name}", args=args)

    def _context(self, request: HttpRequest, title: str, **more: Any) -> dict[str, Any]:
        request.current_app = self.admin_site.name
        site = self.admin_site.each_context(request)
        return {**site, "title": title, "opts": self.opts, "media": self.media, **more}


def _options(run: Run) -> list[str]:
    """Return what it was asked for: a switch by its name, anything else with what was given."""
    return [name if value is True else f"{name}: {value}" for name, value in run.options.items() if value]


def _figures(run: Run) -> dict[str, Any]:
    names = ("state", "chunks", "chunks_done", "buckets", "drifted", "corrected", "error")
    return {"running": run.state == Run.State.RUNNING, **{name: getattr(run, name) for name in names}}
