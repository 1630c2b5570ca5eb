"""What an orchestrator asks: whether the process lives, and whether it can serve."""

from __future__ import annotations

from django.db import DEFAULT_DB_ALIAS, DatabaseError, connections
from django.db.migrations.executor import MigrationExecutor
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.views.decorators.cache import never_cache
from django.views.decorators.csrf import csrf_exempt
from django.views.decorators.http import require_safe

from api.problems import Problem


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
    """Answer 200 where the database is there and migrated, else 503."""
    try:
        executor = MigrationExecutor(connections[DEFAULT_DB_ALIAS])
        unapplied = executor.migration_plan(executor.loader.graph.leaf_nodes())
    except DatabaseError:
        return Problem(503, "The database cannot be reached.").response()
    if unapplied:
        return Problem(503, f"{len(unapplied)} migrations are not applied.").response()
    return JsonResponse({"status": "ok"})
