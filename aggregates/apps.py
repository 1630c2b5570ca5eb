"""The Django app: declarations are resolved and receivers connected once all models are loaded."""

from __future__ import annotations

from django.apps import AppConfig


class AggregatesConfig(AppConfig):
    """Running totals for any model."""

    name = "aggregates"
    verbose_name = "Running totals"
    default_auto_field = "django.db.models.BigAutoField"

    def ready(self) -> None:
        """Resolve every declaration and start watching its source."""
        from aggregates import checks, historical, readiness, receivers, registry  # noqa: F401 - checks register themselves

        registry.load()
        receivers.connect()
        historical.connect()
        readiness.connect()
