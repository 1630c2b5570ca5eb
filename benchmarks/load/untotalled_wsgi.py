"""The service with totals switched off: ``gunicorn benchmarks.load.untotalled_wsgi:application``."""

from __future__ import annotations

from benchmarks.live_wsgi import application  # first: it sets Django up, and has totals computed

__all__ = ["application"]

from django.db import models

from aggregates import registry
from aggregates.definitions import Scope


def _nothing(model: type[models.Model]) -> tuple[Scope, ...]:
    return ()


registry.watching = _nothing
