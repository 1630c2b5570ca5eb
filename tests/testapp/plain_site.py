"""The engine's admin on a site of a host that has no theme."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from django.contrib import admin
from django.urls import path

from aggregates.admin import RunAdmin
from aggregates.models import Run

site = admin.AdminSite(name="plain")
site.register(Run, RunAdmin)
urlpatterns = [path("plain/", site.urls)]


def templates(settings: Any) -> list[dict[str, Any]]:
    """Return the settings of templates, with Django's own admin before a theme's."""
    [usual] = settings.TEMPLATES
    return [{**usual, "DIRS": [Path(admin.__file__).parent / "templates"]}]
