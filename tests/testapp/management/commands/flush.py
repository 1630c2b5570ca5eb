"""What is left of a database after each test that commits: what a new one has, brought back in milliseconds."""

from __future__ import annotations

from typing import Any

from django.apps import apps
from django.contrib.contenttypes.models import ContentType
from django.core.management.color import no_style
from django.core.management.commands import flush
from django.db import connections, models, transaction
from django.db.backends.base.base import BaseDatabaseWrapper

Rows = list[tuple[type[models.Model], list[models.Model]]]


class Command(flush.Command):
    """Django's, which takes a quarter of a second to have permissions and the like made anew, on PostgreSQL a whole.

    So it is run once, and what it leaves is remembered. TRUNCATE, which makes a file for each table, is for
    large ones: those of a test are small.
    """

    _remembered: dict[str, Rows] = {}
    """By the name of the database."""

    def handle(self, **options: Any) -> None:
        """Empty all tables, and bring back what was remembered."""
        connection = connections[options["database"]]
        name = str(connection.settings_dict["NAME"])
        if name in self._remembered:
            _emptied(connection, self._remembered[name])
        else:
            super().handle(**options)
            self._remembered[name] = _rows(connection.alias)


def _rows(using: str) -> Rows:
    """Return all rows that there are, by model."""
    every = [model for model in apps.get_models(include_auto_created=True) if _has_a_table(model)]
    found = [(model, list(models.QuerySet(model, using=using))) for model in every]
    return [(model, rows) for model, rows in found if rows]


def _has_a_table(model: type[models.Model]) -> bool:
    return model._meta.managed and not model._meta.proxy


def _emptied(connection: BaseDatabaseWrapper, kept: Rows) -> None:
    tables = connection.introspection.django_table_names(only_existing=True, include_views=False)
    if connection.vendor == "postgresql":
        statements = ["; ".join(f"DELETE FROM {connection.ops.quote_name(table)}" for table in tables)]
    else:
        statements = connection.ops.sql_flush(no_style(), tables)
    with transaction.atomic(using=connection.alias):
        connection.ops.execute_sql_flush(statements)
        with connection.constraint_checks_disabled():  # rows may come before those that they refer to
            for model, rows in kept:
                models.QuerySet(model, using=connection.alias).bulk_create(rows)
        # A sequence is behind the rows' keys where a test made their table anew.
        resets = connection.ops.sequence_reset_sql(no_style(), [model for model, _ in kept])
        connection.ops.execute_sql_flush(resets)
    ContentType.objects.clear_cache()
