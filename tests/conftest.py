"""What every test can rely on."""

from __future__ import annotations

import sys

import pytest
from django.db import connection
from hypothesis import settings

# pytest-randomly imports model_bakery, and with it a part of Django that fails when imported first: what was
# loaded by then is no attribute of its package any more.
for name, module in list(sys.modules.items()):
    package, _, child = name.rpartition(".")
    if package == "django.db.models":
        setattr(sys.modules[package], child, module)

# A slow machine is no failure; the blob reproduces an example found elsewhere.
settings.register_profile("project", deadline=None, print_blob=True)
settings.load_profile("project")


def pytest_report_header() -> str:
    """Say which database a run is on."""
    # The vendor, not display_name: to tell MariaDB from MySQL, that would connect.
    return f"database: {connection.vendor}, {connection.settings_dict['TEST']['NAME']}"


@pytest.hookimpl(trylast=True)  # after pytest-randomly
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Put the long tests first, and skip what another database is for."""
    # Else one of them may come last, and the other workers wait for it.
    items.sort(key=lambda item: item.get_closest_marker("long") is None)
    if connection.vendor == "sqlite":
        _skip(items, "row_locks", "needs row locks; SQLite has one writer")
    else:
        _skip(items, "once", "asks nothing of the database; shown on SQLite")


def _skip(items: list[pytest.Item], marker: str, reason: str) -> None:
    for item in items:
        if item.get_closest_marker(marker):
            item.add_marker(pytest.mark.skip(reason=reason))
