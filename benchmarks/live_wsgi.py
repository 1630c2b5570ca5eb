"""The service, but that totals are computed: ``gunicorn benchmarks.live_wsgi:application``."""

from __future__ import annotations

from config.wsgi import application  # first: it sets Django up

__all__ = ["application"]

from benchmarks import live
from expenses import reports

reports.answer = live.answer
