"""The Django app of expenses."""

from __future__ import annotations

from django.apps import AppConfig


class ExpensesConfig(AppConfig):
    """Expenses and their totals."""

    name = "expenses"
    default_auto_field = "django.db.models.BigAutoField"

    def ready(self) -> None:
        """Let texts be searched alike on every database, and changes be recorded."""
        from expenses import audit, lookups

        lookups.register()
        audit.connect()
