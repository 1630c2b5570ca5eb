"""The Django app of what django-computedfields keeps."""

from __future__ import annotations

from django.apps import AppConfig


class ComputedConfig(AppConfig):
    """Expenses whose buckets are rows with computed fields."""

    name = "benchmarks.computed"
    label = "benchmarks_computed"
    default_auto_field = "django.db.models.BigAutoField"
