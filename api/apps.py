"""The Django app of the REST API."""

from __future__ import annotations

from django.apps import AppConfig


class ApiConfig(AppConfig):
    """The REST API."""

    name = "api"

    def ready(self) -> None:
        """Let the schema know this project's authentication, and begin to count."""
        from api import metrics, schema  # noqa: F401 - its extensions register themselves

        metrics.connect()
