"""Seeds, and databases of the tests' own."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.db import connection

from expenses.models import Category
from tests import postgres
from tests.faults import seeds
from tests.faults.client import IMPORTS, OWNER, category_name
from tests.faults.databases import Files, Server, in_use
from tests.faults.failing import FAILURES, FEWER_FAILURES
from tests.integration.api.conftest import permitted

logging.getLogger("httpx").setLevel(logging.WARNING)  # else a failure is buried under requests

HERE = Path(__file__).parent


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Run what takes a seed with each of them; the id of a test tells its seed."""
    if "seed" in metafunc.fixturenames:
        metafunc.parametrize("seed", seeds.of(metafunc.config), ids="seed-{}".format)
    if "failure" in metafunc.fixturenames:
        failures = FAILURES if metafunc.config.getoption("full_faults") else FEWER_FAILURES
        metafunc.parametrize("failure", failures, ids=lambda failure: failure.name.replace(" ", "_"))


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Skip all of it where it is not shown, and what takes long in the reduced form."""
    for item in items:
        if HERE not in item.path.parents:
            continue
        if connection.vendor == "mysql":
            item.add_marker(pytest.mark.skip(reason="faults are shown on PostgreSQL and SQLite"))
        elif not config.getoption("full_faults") and item.get_closest_marker("in_full"):
            item.add_marker(pytest.mark.skip(reason="shown by make test-faults"))


@pytest.fixture
def full(request: pytest.FixtureRequest) -> bool:
    """Whether the tests are to run in their full form."""
    return bool(request.config.getoption("full_faults"))


@pytest.fixture(scope="session")
def databases(
    tmp_path_factory: pytest.TempPathFactory, django_db_setup: None, django_db_blocker: Any
) -> Iterator[Files | Server]:
    """Databases that a worker of the run has for itself."""
    with django_db_blocker.unblock():
        if connection.vendor == "sqlite":
            files = Files(tmp_path_factory.mktemp("databases"))
            files.prepare()
            yield files
            return
        with postgres.cluster(postgres.DURABLE) as cluster:
            server = Server(cluster)
            server.prepare()
            yield server


@pytest.fixture
def own(databases: Files | Server, django_db_blocker: Any) -> Iterator[Files | Server]:
    """Use a database of the test's own, with the tables and nothing in them."""
    with django_db_blocker.unblock(), databases.fresh() as settings, in_use(**settings):
        yield databases


@pytest.fixture
def cluster(own: Files | Server) -> postgres.Cluster:
    """The server of the database in use."""
    if not isinstance(own, Server):
        pytest.skip("SQLite is no server")
    return own.cluster


@pytest.fixture
def owner(own: Files | Server) -> User:
    """Whose expenses are written."""
    return permitted(User.objects.create_user(OWNER), *IMPORTS)


@pytest.fixture
def categories(own: Files | Server) -> list[int]:
    """The categories of expenses."""
    return [Category.objects.create(pk=number, name=category_name(number)).pk for number in (1, 2)]
