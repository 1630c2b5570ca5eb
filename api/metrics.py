"""``/metrics``: what Prometheus reads. Counted while serving, or asked of the database when it is read."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from functools import cache
from typing import Any

from django.conf import settings
from django.db import DatabaseError, InterfaceError, models, router
from django.http import HttpRequest, HttpResponse
from django.utils import timezone
from django.utils.crypto import constant_time_compare
from django.views.decorators.cache import never_cache
from django.views.decorators.csrf import csrf_exempt
from django.views.decorators.http import require_safe
from django_prometheus.middleware import PrometheusAfterMiddleware
from prometheus_client import REGISTRY, CollectorRegistry, Counter, generate_latest
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.exposition import CONTENT_TYPE_PLAIN_0_0_4
from prometheus_client.multiprocess import MultiProcessCollector
from prometheus_client.registry import Collector

from aggregates import registry, runs
from aggregates.models import Run
from aggregates.signals import totals_applied, totals_refused, transaction_retried
from api.problems import Problem

APPLIED = Counter("totals_applied", "Committed transactions that wrote to these totals.", ["totals"])
RETRIED = Counter("totals_retries", "Transactions that were tried again after a conflict with another.")
REFUSED = Counter("totals_refused", "Writes refused because a total would have left its range.")


def connect() -> None:
    """Begin to count what the engine tells."""
    for definition in registry.definitions():
        _of(definition.label)  # 0 is a figure too
    totals_applied.connect(_applied, dispatch_uid="api.metrics")
    transaction_retried.connect(_retried, dispatch_uid="api.metrics")
    totals_refused.connect(_refused, dispatch_uid="api.metrics")


def _applied(sender: type[models.Model], **_signal: Any) -> None:
    _of(sender._meta.label).inc()


@cache
def _of(label: str) -> Counter:
    """Return the counter of one totals model, which the library would look for at each write."""
    return APPLIED.labels(label)


def _retried(**_signal: Any) -> None:
    RETRIED.inc()


def _refused(**_signal: Any) -> None:
    REFUSED.inc()


class RequestMetrics(PrometheusAfterMiddleware):  # type: ignore[misc]  # it has no types
    """Counts requests by view, method and status, and how long they take."""

    def process_request(self, request: HttpRequest) -> HttpResponse | None:
        """Begin to measure; refuse a length that is no number, which this would stumble over."""
        if not str(request.META.get("CONTENT_LENGTH") or 0).isdecimal():
            return Problem(400, "Content-Length is not a number.").response()
        super().process_request(request)
        return None

    def label_metric(self, metric: Any, request: HttpRequest, response: Any = None, **labels: str) -> Any:
        """Return the figure with these labels; methods that nobody has heard of share one."""
        if "method" in labels:
            labels["method"] = self._method(request)
        return super().label_metric(metric, request, response, **labels)


@csrf_exempt  # its page would be HTML; nothing here writes
@never_cache
@require_safe
def metrics(request: HttpRequest) -> HttpResponse:
    """Return every figure as Prometheus' text; 401 where a token is set and was not sent."""
    given = request.headers.get("Authorization", "")
    if settings.METRICS_TOKEN and not constant_time_compare(given, f"Bearer {settings.METRICS_TOKEN}"):
        return Problem(401, headers={"WWW-Authenticate": "Bearer"}).response()
    text = generate_latest(_counted()) + generate_latest(TotalsCollector())
    return HttpResponse(text, content_type=CONTENT_TYPE_PLAIN_0_0_4)


def _counted() -> CollectorRegistry:
    """Return what this process counted, or all the processes that share a folder."""
    if "PROMETHEUS_MULTIPROC_DIR" not in os.environ:
        return REGISTRY
    everything = CollectorRegistry()
    MultiProcessCollector(everything)  # type: ignore[no-untyped-call]  # the library leaves it so
    return everything


class TotalsCollector(Collector):
    """What the records of runs say about the totals. They are in the database, so all workers say the same."""

    def collect(self) -> Iterator[GaugeMetricFamily]:
        """Yield the figures; where the database is away, only that it is."""
        try:
            found = [_drifted(), _clean_verify_age(), _runs()]
        except (DatabaseError, InterfaceError):
            found = []
        yield GaugeMetricFamily("totals_database_up", "Whether the database answered.", value=bool(found))
        yield from found


def _drifted() -> GaugeMetricFamily:
    told = "Buckets that the last complete verify found to differ from their source rows."
    return _of_each("totals_drifted_buckets", told, runs.drifted)


def _clean_verify_age() -> GaugeMetricFamily:
    told = "Seconds since the last complete verify began that found no drift."
    return _of_each("totals_clean_verify_age_seconds", told, _seconds_since_verified)


def _seconds_since_verified(totals: type[models.Model], *, using: str) -> float | None:
    verified_at = runs.verified_at(totals, using=using)
    return None if verified_at is None else (timezone.now() - verified_at).total_seconds()


def _of_each(name: str, told: str, figure: Callable[..., float | None]) -> GaugeMetricFamily:
    """Return a gauge with a figure of each totals model, but those that have none yet."""
    family = GaugeMetricFamily(name, told, labels=["totals"])
    for definition in registry.definitions():
        value = figure(definition.totals, using=router.db_for_write(definition.totals))
        if value is not None:
            family.add_metric([definition.label], value)
    return family


def _runs() -> GaugeMetricFamily:
    told = "Verifies and rebuilds on record; purge forgets old ones."
    family = GaugeMetricFamily("totals_runs", told, labels=["totals", "kind", "state"])
    rows = Run.objects.using(router.db_for_write(Run)).order_by("totals", "kind", "state")
    for totals, kind, state, count in rows.values_list("totals", "kind", "state").annotate(models.Count("pk")):
        family.add_metric([totals, kind, state], count)
    return family
