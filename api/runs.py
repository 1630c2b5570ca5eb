"""Verify and rebuild of the totals over HTTP: begun, worked off a bounded step a request, cancelled.

A verify's report shows everybody's sums, so it takes the permission to see them. A rebuild's progress
has numbers of buckets alone.
"""

from __future__ import annotations

import datetime as dt
import uuid
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any, ClassVar

from django.db import router
from django.http import Http404
from django.urls import reverse
from django.utils import timezone
from drf_spectacular.utils import OpenApiResponse, extend_schema, extend_schema_view
from rest_framework import serializers
from rest_framework.permissions import SAFE_METHODS, BasePermission
from rest_framework.request import Request
from rest_framework.response import Response

from aggregates import conf, registry, runs, steps
from aggregates.models import Run
from aggregates.rebuild import Options
from aggregates.steps import BeingWorkedOn, NotUnderWay, RunRefused, RunUnderWay
from api import parameters
from api.access import SEE_ALL
from api.problems import RETRY_AFTER, Problem
from api.serializers import StrictSerializer, body
from api.views import PrivateView
from expenses.models import ExpenseTotals

READ_RUNS = "aggregates.view_run"
WORK_ON_RUNS = "aggregates.change_run"

REFUSALS: Mapping[type[RunRefused], tuple[str, str]] = {
    RunUnderWay: ("run-under-way", "A rebuild is under way"),
    BeingWorkedOn: ("run-being-worked-on", "The run is being worked on"),
    NotUnderWay: ("run-not-under-way", "There is nothing to go on with"),
}


class MayRun(BasePermission):
    """Reading runs and working on them are permissions of their own; reports want that to see all as well."""

    def has_permission(self, request: Request, view: Any) -> bool:
        """Return whether the user has all permissions that the method takes."""
        own = READ_RUNS if request.method in SAFE_METHODS else WORK_ON_RUNS
        return bool(request.user.has_perms([own, *view.also_needed]))


class FlagField(serializers.BooleanField):
    """A JSON true or false; DRF would also take "yes" and 1."""

    default_error_messages: ClassVar[dict[str, Any]] = {"invalid": "Send true or false."}

    def to_internal_value(self, data: Any) -> bool:
        """Return the flag."""
        if type(data) is not bool:
            self.fail("invalid")
        return data


class RebuildSerializer(StrictSerializer):
    """How to rebuild."""

    from_scratch = FlagField(default=False, help_text="Rely on nothing stored: rewrite keys and dimensions as well.")
    dry_run = FlagField(default=False, help_text="Compare, and correct nothing.")


class RunSerializer(serializers.Serializer[Run]):
    """How far a verify or a rebuild has come."""

    id = serializers.UUIDField()
    kind = serializers.ChoiceField(Run.Kind.choices)
    state = serializers.ChoiceField(Run.State.choices, help_text="While it is running, POST to `url` goes on with it.")
    options = serializers.DictField(help_text="How it was asked.")
    started_at = serializers.DateTimeField()
    heartbeat_at = serializers.DateTimeField(help_text="When it last made progress.")
    finished_at = serializers.DateTimeField(allow_null=True)
    chunks = serializers.IntegerField(help_text="Chunks in all.")
    chunks_done = serializers.IntegerField()
    buckets = serializers.IntegerField(help_text="Buckets compared.")
    drifted = serializers.IntegerField(help_text="Buckets found to differ.")
    corrected = serializers.IntegerField(help_text="Corrections applied.")
    error = serializers.CharField(help_text="Why it failed, or why its last step could not go on; else empty.")
    url = serializers.SerializerMethodField(help_text="Its address.")

    def get_url(self, run: Run) -> str:
        """Return the run's address."""
        return address(run, self.context["request"])


class DriftSerializer(serializers.Serializer[Any]):
    """A bucket whose stored total differs from its expenses."""

    totals = serializers.CharField()
    rollup = serializers.CharField()
    bucket = serializers.DictField(help_text="The keys by name.")
    stored = serializers.DictField(help_text="Amount and count as they are stored.")
    expected = serializers.DictField(help_text="What the expenses add up to.")
    difference = serializers.DictField(help_text="Expected less stored.")


class VerifySerializer(serializers.Serializer[Any]):
    """What a verify has found so far."""

    clean = serializers.BooleanField(
        allow_null=True, help_text="Whether everything was compared and none drifted; null while that is open."
    )
    verified_at = serializers.DateTimeField(
        allow_null=True, help_text="Start of the last complete verify that found no drift."
    )
    drift = DriftSerializer(many=True, help_text=f"The first {runs.FINDINGS_KEPT} drifted buckets.")
    run = RunSerializer(allow_null=True, help_text="null where there was no verify yet.")


REBUILDS = {200: RunSerializer, 202: OpenApiResponse(RunSerializer, "There is more to do: POST to `url`.")}
VERIFIES = {200: VerifySerializer, 202: OpenApiResponse(VerifySerializer, "There is more to do: POST to the `url`.")}


class VerifyView(PrivateView):
    """The last verify, and a fresh one."""

    permission_classes = (MayRun,)
    also_needed = (SEE_ALL,)

    @extend_schema(responses=VerifySerializer)
    def get(self, request: Request) -> Response:
        """Return what the last verify of the totals found, whoever began it."""
        parameters.read(request.query_params, ())
        return Response(_report(_runs(Run.Kind.VERIFY).exclude(options__has_key=runs.SCOPE).first(), request))

    @extend_schema(request=None, responses=VERIFIES)
    def post(self, request: Request) -> Response:
        """Compare every total with its expenses, for some seconds. With 202, POST to the run's `url` goes on."""
        parameters.read(request.query_params, ())
        run = _begun(Run.Kind.VERIFY, Options(), request)
        return _answer(run, _report(run, request), request)


class RebuildView(PrivateView):
    """Where rebuilds begin."""

    permission_classes = (MayRun,)
    also_needed = ()

    @extend_schema(request=RebuildSerializer, responses=REBUILDS)
    def post(self, request: Request) -> Response:
        """Begin a rebuild and work on it for some seconds. With 202, POST to its `url` goes on. 409 beside another."""
        parameters.read(request.query_params, ())
        serializer = RebuildSerializer(data=body(request) if _has_body(request) else {})
        serializer.is_valid(raise_exception=True)
        run = _begun(Run.Kind.REBUILD, Options(**serializer.validated_data), request)
        return _answer(run, _progress(run, request), request)


class RebuildRunView(PrivateView):
    """One rebuild."""

    permission_classes = (MayRun,)
    also_needed: tuple[str, ...] = ()
    kind = Run.Kind.REBUILD

    def shown(self, run: Run, request: Request) -> Any:
        """Return the run as its address shows it."""
        return _progress(run, request)

    @extend_schema(operation_id="totals_rebuild_run_retrieve", responses=RunSerializer)
    def get(self, request: Request, id: uuid.UUID) -> Response:  # noqa: A002 - the name in the address
        """Return how far the run has come."""
        parameters.read(request.query_params, ())
        return Response(self.shown(self._run(id), request))

    @extend_schema(operation_id="totals_rebuild_run_step", request=None, responses=REBUILDS)
    def post(self, request: Request, id: uuid.UUID) -> Response:  # noqa: A002 - as above
        """Go on with the run for some seconds. 409 while another request does, and where it failed or was cancelled."""
        parameters.read(request.query_params, ())
        run = _stepped(self._run(id), request)
        return _answer(run, self.shown(run, request), request)

    @extend_schema(operation_id="totals_rebuild_run_cancel", responses={204: None})
    def delete(self, request: Request, id: uuid.UUID) -> Response:  # noqa: A002 - as above
        """Cancel the run. What it corrected stays."""
        parameters.read(request.query_params, ())
        with _refusals(request):
            steps.cancel(self._run(id), at=timezone.now())
        return Response(status=204)

    def _run(self, key: uuid.UUID) -> Run:
        run: Run | None = _runs(self.kind).filter(pk=key).first()
        if run is None:
            raise Http404
        return run


@extend_schema_view(
    get=extend_schema(operation_id="totals_verify_run_retrieve", responses=VerifySerializer),
    post=extend_schema(operation_id="totals_verify_run_step", request=None, responses=VERIFIES),
    delete=extend_schema(operation_id="totals_verify_run_cancel", responses={204: None}),
)
class VerifyRunView(RebuildRunView):
    """One verify."""

    also_needed = (SEE_ALL,)
    kind = Run.Kind.VERIFY

    def shown(self, run: Run, request: Request) -> Any:
        """Return the run with what it has found."""
        return _report(run, request)


def address(run: Run, request: Request) -> str:
    """Return the address of a run."""
    return request.build_absolute_uri(reverse(f"{run.kind}-run", kwargs={"id": run.pk}))


def _begun(kind: Run.Kind, options: Options, request: Request) -> Run:
    with _refusals(request):
        run = steps.begin(
            registry.definition(ExpenseTotals),
            kind,
            Options(options.from_scratch, options.dry_run, batch_size=conf.current().STEP_ROWS),
            using=_database(),
            at=timezone.now(),
            by=request.user,
        )
    return _stepped(run, request)


def _stepped(run: Run, request: Request) -> Run:
    with _refusals(request):
        return steps.step(run, clock=timezone.now, seconds=conf.current().STEP_SECONDS)


@contextmanager
def _refusals(request: Request) -> Iterator[None]:
    """Turn what the engine refuses within the block into the 409."""
    try:
        yield
    except RunRefused as error:
        where = address(error.run, request)
        headers = {"Location": where}
        if isinstance(error, BeingWorkedOn):
            headers["Retry-After"] = str(RETRY_AFTER)
        raise Problem(409, f"{error} Its address is {where}", kind=REFUSALS[type(error)], headers=headers) from error


def _answer(run: Run, shown: Any, request: Request) -> Response:
    """Return 202 with the address to go on at while the run is under way, else 200."""
    status = 202 if run.state == Run.State.RUNNING else 200
    return Response(shown, status=status, headers={"Location": address(run, request)})


def _progress(run: Run, request: Request) -> dict[str, Any]:
    return dict(RunSerializer(run, context={"request": request}).data)


def _report(run: Run | None, request: Request) -> dict[str, Any]:
    verified_at: dt.datetime | None = runs.verified_at(ExpenseTotals, using=_database())
    return {
        "clean": _is_clean(run),
        "verified_at": verified_at,
        "drift": run.findings if run else [],
        "run": _progress(run, request) if run else None,
    }


def _is_clean(run: Run | None) -> bool | None:
    if run is None:
        return None
    if run.drifted:
        return False
    return True if run.state == Run.State.COMPLETE else None


def _runs(kind: Run.Kind) -> Any:
    """Return the runs of a kind that concern the totals, the last one first."""
    return Run.objects.using(_database()).filter(totals=ExpenseTotals._meta.label, kind=kind)


def _database() -> str:
    """Return the database that is written: a replica may not know of a run that has just begun."""
    return router.db_for_write(ExpenseTotals)


def _has_body(request: Request) -> bool:
    """Return whether there is a body to read, or to refuse: one without a length would pass for none."""
    return request.META.get("CONTENT_LENGTH") not in (None, "", "0") or "HTTP_TRANSFER_ENCODING" in request.META
