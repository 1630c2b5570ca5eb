"""A served instance, a browser that visits it, and the people who do."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.db import connection
from playwright.sync_api import Browser, Page, sync_playwright

from tests import chromium
from tests.browser.books import keep_books
from tests.browser.visits import Visits
from tests.integration.api.conftest import PASSWORD
from tests.processes import manage, served

HERE = Path(__file__).parent

FLAGS = [
    "--no-sandbox",  # chromium has none for root
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1",  # nothing but the service is reached
]


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Run all that is here on SQLite alone, for pages ask the same of any database, and one after the other."""
    for item in items:
        if HERE in item.path.parents:
            item.add_marker(pytest.mark.once)
            item.add_marker(pytest.mark.django_db(transaction=True))


@pytest.fixture(scope="package")
def browser() -> Iterator[Browser]:
    """Yield the browser. Of the package, not of the session: while it is there, asyncio takes its loop for running."""
    path = chromium.found()
    if path is None:
        pytest.skip(chromium.MISSING)
    with pytest.MonkeyPatch.context() as patch, sync_playwright() as playwright:
        # Playwright waits on a loop in the thread of the test, where Django then refuses to ask a database.
        patch.setenv("DJANGO_ALLOW_ASYNC_UNSAFE", "yes")
        browser = playwright.chromium.launch(executable_path=path, args=FLAGS)
        yield browser
        browser.close()


@pytest.fixture(scope="package")
def instance(django_db_setup: None, django_db_blocker: Any, tmp_path_factory: Any, browser: Browser) -> Iterator[str]:
    """Yield the address of the service, on the database of the tests."""
    static = {"STATIC_ROOT": str(tmp_path_factory.mktemp("static"))}
    with django_db_blocker.unblock():
        manage("collectstatic", "--no-input", "--link", **static).check_returncode()
        with served("--workers=1", "--threads=4", "--log-level=error", **static) as address:
            yield address


@pytest.fixture(scope="package")
def empty(django_db_setup: None, django_db_blocker: Any) -> Iterator[sqlite3.Connection]:
    """Yield a copy of the database as it is before the tests."""
    copy = sqlite3.connect(":memory:")
    with django_db_blocker.unblock():
        connection.ensure_connection()
        connection.connection.backup(copy)
    yield copy
    copy.close()


@pytest.fixture
def service(instance: str, empty: sqlite3.Connection, transactional_db: None) -> str:
    """Return the address of the service, on a database that is as it was when the service began.

    The flush after a test gives content types other keys, while the service, one for all tests, remembers the first.
    """
    connection.ensure_connection()
    empty.backup(connection.connection)
    return instance


@pytest.fixture
def visits(browser: Browser, service: str) -> Iterator[Visits]:
    """Yield what opens pages; where one had an error, broke the policy or asked elsewhere, the test fails."""
    visits = Visits(browser, service)
    yield visits
    visits.end()
    assert visits.faults == []


@pytest.fixture
def page(visits: Visits) -> Page:
    """Return a page of somebody unknown."""
    return visits.page()


@pytest.fixture
def admin(service: str) -> User:
    """Return somebody who may do everything."""
    return User.objects.create_superuser("root", password=PASSWORD)


@pytest.fixture
def admin_page(visits: Visits, admin: User) -> Page:
    """Return a page of somebody who may do everything and has logged in."""
    return visits.page(admin)


@pytest.fixture
def books(admin: User) -> User:
    """Store expenses of two owners in every state, their history, closed months and runs; return an owner."""
    return keep_books(admin)
