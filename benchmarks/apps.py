"""The Django app of the models that are only measured."""

from __future__ import annotations

from django.apps import AppConfig


class BenchmarksConfig(AppConfig):
    """Twins of the service's expenses, and the rivals of its totals."""

    name = "benchmarks"
    default_auto_field = "django.db.models.BigAutoField"

    def ready(self) -> None:
        """Let the rivals listen."""
        from benchmarks import naive

        naive.connect()
