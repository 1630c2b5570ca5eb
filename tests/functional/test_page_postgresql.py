"""docs/how-to/postgresql.md: its commands, addresses and migration do on a PostgreSQL what the page says."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest
from django.db import connection

from tests.functional.blocks import printed, steps_of
from tests.functional.examples import database, dropped, shop
from tests.functional.hosts import Host
from tests.functional.pages import carry_out
from tests.functional.test_deployment import tools
from tests.processes import environment, manage, served

pytestmark = [
    pytest.mark.skipif(connection.vendor != "postgresql", reason="the page is about PostgreSQL"),
    pytest.mark.django_db(transaction=True),
    pytest.mark.long,
]

PAGE = "how-to/postgresql.md"
CREATE = steps_of(PAGE, "Make the database")
KEPT = printed(PAGE, "DATABASE_URL=postgres://user@127.0.0.1:5432/expenses?conn_max_age")
POOLED = printed(PAGE, "DATABASE_URL=postgres://user@pooler:6432/expenses?server_side_binding")
ROOM = steps_of(PAGE, "Room on the pages")
# More often than prepare_threshold.
ASK = """
from django.db import connection
from expenses.models import Category
for _ in range(10):
    Category.objects.filter(name="Travel").first()
with connection.cursor() as cursor:
    cursor.execute("SELECT count(*) FROM pg_prepared_statements")
    print(*cursor.fetchone())
"""


def here(setting: str) -> str:
    """Return the address of a setting with the host, user and database of this test's."""
    _name, _, url = setting.strip().partition("=")
    return re.sub(r"^[^?]*", lambda _found: environment()["DATABASE_URL"], url)


def test_the_database_is_created_and_migrated(clone: Path) -> None:
    folder = tools()
    if folder is None:
        pytest.skip("there is no createdb of the server's version")
    at = connection.settings_dict
    name = f"{at['NAME']}_created"
    typed = CREATE.replace("user@127.0.0.1:5432", f"{at['USER']}@{at['HOST']}:{at['PORT']}")
    names = {"PGHOST": at["HOST"], "PGPORT": at["PORT"], "PGUSER": at["USER"], "PGPASSWORD": at["PASSWORD"]}
    env = {
        **environment(),
        "PATH": f"{folder}{os.pathsep}{os.environ['PATH']}",
        **{k: str(v) for k, v in names.items()},
    }
    with dropped(name):
        assert len(carry_out(typed.replace("expenses", name), clone, env)) == 2
        url = environment()["DATABASE_URL"].replace(at["NAME"], name)
        assert manage("verify_totals", DATABASE_URL=url).stdout.startswith("Clean: ")


def sessions() -> set[int]:
    """Return the server's processes for this database, but the one that answers."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT pid FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid() "
            "AND backend_type = 'client backend'"
        )
        return {pid for (pid,) in cursor.fetchall()}


@contextmanager
def asked(url: str) -> Iterator[httpx.Client]:
    """Yield a client of the service, in one process with this address."""
    with (
        served("--workers=1", "--threads=1", DATABASE_URL=url) as address,
        httpx.Client(base_url=address) as client,
    ):
        yield client


def test_an_address_with_an_age_keeps_the_connection_between_requests() -> None:
    before = sessions()
    with asked(here(KEPT)) as client:
        assert client.get("/readyz").json()["status"] == "ok"
        kept = sessions() - before
        assert len(kept) == 1
        assert client.get("/readyz").json()["status"] == "ok"
        assert sessions() - before == kept


def test_an_address_without_one_does_not() -> None:
    before = sessions()
    with asked(environment()["DATABASE_URL"]) as client:
        assert client.get("/readyz").json()["status"] == "ok"
        # The server's process ends after the answer; the test's time limit is the bound.
        while sessions() - before:
            pass


@pytest.mark.parametrize(("setting", "prepares"), [(KEPT, True), (POOLED, False)])
def test_an_address_says_whether_statements_are_prepared(setting: str, prepares: bool) -> None:
    ran = manage("shell", "--no-imports", "-c", ASK, DATABASE_URL=here(setting))
    assert (int(ran.stdout) > 0) is prepares, ran.stderr


def filled(settings: dict[str, Any]) -> str:
    """Return what the server knows of room on the pages of the example's totals."""
    import psycopg  # noqa: PLC0415 - only where it is the driver

    names = {"host": "HOST", "port": "PORT", "user": "USER", "password": "PASSWORD", "dbname": "NAME"}
    with psycopg.connect(**{ours: settings[theirs] for ours, theirs in names.items()}) as there:
        found = there.execute("SELECT reloptions FROM pg_class WHERE relname = 'shop_saletotals'").fetchone()
    assert found
    return str(found[0])


def test_the_migration_leaves_room_on_the_pages_of_a_table(shopkeeper: Host, tmp_path: Path) -> None:
    with database() as settings:
        folder = shop(tmp_path, settings)
        assert shopkeeper.run("python", "manage.py", "migrate", cwd=folder).returncode == 0
        assert filled(settings) == "None"
        assert carry_out(ROOM, folder, shopkeeper.variables())
        assert filled(settings) == "['fillfactor=70']"
        assert shopkeeper.run("python", "manage.py", "makemigrations", "--check", cwd=folder).returncode == 0
