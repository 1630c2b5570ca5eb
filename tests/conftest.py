"""What every test can rely on."""

from __future__ import annotations

import math
import signal
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from django.db import DEFAULT_DB_ALIAS, connection, connections
from hypothesis import settings

from aggregates import returning
from tests.faults import seeds

# pytest-randomly imports model_bakery, and with it a part of Django that fails when imported first: what was
# loaded by then is no attribute of its package any more.
for name, module in list(sys.modules.items()):
    package, _, child = name.rpartition(".")
    if package == "django.db.models":
        setattr(sys.modules[package], child, module)

BROWSER = Path(__file__).parent / "browser"

# A slow machine is no failure; the blob reproduces an example found elsewhere.
settings.register_profile("project", deadline=None, print_blob=True)
settings.load_profile("project")


@pytest.fixture
def values_in_the_text(transactional_db: None) -> Iterator[None]:
    """Let Django put values into the text of statements on PostgreSQL, as it does unless told otherwise."""
    usual = connections[DEFAULT_DB_ALIAS]
    connections[DEFAULT_DB_ALIAS] = other = usual.copy()
    other.settings_dict["OPTIONS"] = {}
    yield
    other.close()
    connections[DEFAULT_DB_ALIAS] = usual


@pytest.fixture
def engine_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let expenses be written without their audit trail, whose locks would stand before the engine's."""
    from aggregates.models import Tracked  # noqa: PLC0415 - the apps are not loaded yet when this file is
    from expenses.models import Expense  # noqa: PLC0415
    from expenses.querysets import ExpenseQuerySet  # noqa: PLC0415

    monkeypatch.setattr(ExpenseQuerySet, "_is_recorded", lambda rows: False)
    monkeypatch.setattr(Expense, "_save_table", Tracked._save_table)
    monkeypatch.setattr(Expense, "delete", Tracked.delete)


UPDATES = ["told what the row was", "as before PostgreSQL 18"] if connection.vendor == "postgresql" else ["read"]


@pytest.fixture(params=UPDATES)
def each_update(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Run a test with each form that the update of a save has on this database."""
    if request.param == UPDATES[-1]:
        monkeypatch.setattr(returning, "TELLS_OLD", math.inf)


def pytest_configure() -> None:
    """Take Ctrl-C, which tests send, also where a shell began the run in its background, and had it ignored."""
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)


def pytest_addoption(parser: pytest.Parser) -> None:
    """Let the browser tests also take pictures, and the fault tests run for longer, or with other seeds."""
    parser.addoption("--screenshots", metavar="FOLDER", help="write pictures of the pages to this folder")
    parser.addoption("--full-faults", action="store_true", help="run the fault tests with more seeds and rounds")
    parser.addoption("--fault-seed", action="append", type=int, metavar="N", help="run them with this seed, or these")


def pytest_report_header(config: pytest.Config) -> list[str]:
    """Say which database a run is on, and with which seeds a fault that was found can be met again."""
    # The vendor, not display_name: to tell MariaDB from MySQL, that would connect.
    return [
        f"database: {connection.vendor}, {connection.settings_dict['TEST']['NAME']}",
        f"fault seeds: {', '.join(map(str, seeds.of(config)))}",
    ]


@pytest.hookimpl(trylast=True)  # after pytest-randomly
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Put the long tests first, and skip what another database is for."""
    # Else one of them may come last, and the other workers wait for it. The browser's come before, in one go:
    # a worker that is done with them stops its browser.
    items.sort(key=lambda item: (BROWSER not in item.path.parents, item.get_closest_marker("long") is None))
    if connection.vendor == "sqlite":
        _skip(items, "row_locks", "needs row locks; SQLite has one writer")
    else:
        _skip(items, "once", "asks nothing of the database; shown on SQLite")


def _skip(items: list[pytest.Item], marker: str, reason: str) -> None:
    for item in items:
        if item.get_closest_marker(marker):
            item.add_marker(pytest.mark.skip(reason=reason))
