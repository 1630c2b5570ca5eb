"""What every test can rely on."""

from __future__ import annotations

import pytest
from django.db import connection
from hypothesis import settings

# A slow machine is no failure; the blob reproduces an example found elsewhere.
settings.register_profile("project", deadline=None, print_blob=True)
settings.load_profile("project")


def pytest_report_header() -> str:
    """Say which database a run is on."""
    return f"database: {connection.display_name}, {connection.settings_dict['TEST']['NAME']}"


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Skip what needs PostgreSQL on other databases."""
    if connection.vendor == "postgresql":
        return
    skip = pytest.mark.skip(reason=f"needs PostgreSQL; this run is on {connection.display_name}")
    for item in items:
        if item.get_closest_marker("postgresql"):
            item.add_marker(skip)
