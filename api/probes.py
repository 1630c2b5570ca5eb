"""What an orchestrator asks: whether the process lives, and whether it can serve."""

from __future__ import annotations

from typing import Any

from django.db import DEFAULT_DB_ALIAS, DatabaseError, connections
from django.db.migrations.executor import MigrationExecutor
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.utils import timezone
from django.views.decorators.cache import never_cache
from django.views.decorators.csrf import csrf_exempt
from django.views.decorators.http import require_safe

from aggregates import runs
from api.problems import Problem
from expenses.models import ExpenseTotals


@csrf_exempt  # its page would be HTML; nothing here writes
@never_cache
@require_safe
def livez(request: HttpRequest) -> HttpResponse:
    """Answer 200: the process answers."""
    return JsonResponse({"status": "ok"})


@csrf_exempt  # its page would be HTML; nothing here writes
@never_cache
@require_safe
def readyz(request: HttpRequest) -> HttpResponse:
    """Answer 200 where the database is there and migrated, else 503; tell of the last comparison of the totals.

    Drift is told and does not take the service away: it would stop the writes that are right.
    """
    try:
        executor = MigrationExecutor(connections[DEFAULT_DB_ALIAS])
        if unapplied := executor.migration_plan(executor.loader.graph.leaf_nodes()):
            return Problem(503, f"{len(unapplied)} migrations are not applied.").response()
        return JsonResponse({"status": "ok", **_compared()})
    except DatabaseError:
        return Problem(503, "The database cannot be reached.").response()


def _compared() -> dict[str, Any]:
    """Return when the totals were last found clean, how long ago, and what the last verify found."""
    verified_at = runs.verified_at(ExpenseTotals)
    return {
        "verified_at": verified_at,
        "verified_seconds_ago": verified_at and int((timezone.now() - verified_at).total_seconds()),
        "drifted_buckets": runs.drifted(ExpenseTotals),
    }
