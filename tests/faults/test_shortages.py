"""The database is full, may only be read, takes no more connections, is busy: 503, nothing partial, and it recovers."""

from __future__ import annotations

import os
import resource
import sqlite3
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager, suppress
from pathlib import Path
from typing import Any

import httpx
import psycopg
import pytest
from django.contrib.auth.models import User
from django.db import OperationalError, connection

from expenses.models import Expense
from tests import postgres
from tests.exactness import assert_totals_match
from tests.faults.client import EXPENSES, NOTHING
from tests.faults.crew import assert_sound, at_work
from tests.faults.databases import Files, Server
from tests.faults.service import Service, client_of, serving
from tests.processes import environment

pytestmark = pytest.mark.long

on_sqlite = pytest.mark.skipif(connection.vendor != "sqlite", reason="PostgreSQL has other limits")
NEW = {"amount": "12.50", "currency": "EUR", "spent_on": "2026-01-31"}
MANY = [{**NEW, "description": "x" * 2_000}] * 200  # more than is left
TOTALS = "/api/v1/totals/"


def assert_unavailable(response: httpx.Response) -> None:
    assert response.status_code == 503, response.text
    assert response.headers["Content-Type"] == "application/problem+json"
    assert int(response.headers["Retry-After"]) > 0


def assert_as_before(client: httpx.Client, before: Any) -> None:
    """Check that reads answer, and that all is stored as it was."""
    assert client.get(TOTALS).json()["results"] == before
    assert_totals_match()
    assert_sound()


def bytes_of(path: Path) -> int:
    """Return the size of a file, 0 where there is none, as of a log whose last connection has just been closed."""
    try:
        return path.stat().st_size
    except FileNotFoundError:
        return 0


@contextmanager
def limited(service: Service, room: int) -> Iterator[None]:
    """Let the service write so many bytes more to the database's files, and none after that."""
    name = connection.settings_dict["NAME"]
    connection.close()
    size = max(bytes_of(Path(f"{name}{end}")) for end in ("", "-wal"))
    usual = resource.getrlimit(resource.RLIMIT_FSIZE)
    for worker in service.workers:
        resource.prlimit(worker, resource.RLIMIT_FSIZE, (size + room, usual[1]))
    try:
        yield
    finally:
        for worker in service.workers:
            resource.prlimit(worker, resource.RLIMIT_FSIZE, usual)


@on_sqlite
def test_files_that_cannot_grow_refuse_writes_until_they_can(own: Files, owner: User) -> None:
    with serving("--workers=1") as service, client_of(service, owner) as client:
        assert client.post(EXPENSES, json=NEW).status_code == 201
        before = client.get(TOTALS).json()["results"]
        with limited(service, room=8_192):
            for _ in range(3):
                assert_unavailable(client.post(f"{EXPENSES}bulk/", json=MANY))
                assert_as_before(client, before)
        assert client.post(f"{EXPENSES}bulk/", json=MANY).status_code == 201
    assert Expense.objects.count() == 1 + len(MANY)
    assert_totals_match()
    assert_sound()


@on_sqlite
def test_a_full_database_takes_no_write_and_loses_none(own: Files, owner: User) -> None:
    """Within one process, as commands and workers write: SQLite is told how many pages there may be."""

    def new(text: str) -> Expense:
        return Expense(owner=owner, amount=1, currency="EUR", spent_on="2026-01-31", description=text)

    new("first").save()
    with connection.cursor() as cursor:
        cursor.execute("PRAGMA page_count")
        (pages,) = cursor.fetchone()
        cursor.execute(f"PRAGMA max_page_count = {pages + 4}")
    kept = 1
    with pytest.raises(OperationalError, match="full"):
        while True:
            new("x" * 5_000).save()
            kept += 1
    assert Expense.objects.count() == kept
    assert_totals_match()
    assert_sound()
    connection.close()  # whose limit it is
    new("last").save()
    assert_totals_match()


@pytest.fixture
def small_disk(own: Server) -> Iterator[Path]:
    """A disk of a few megabytes, for the server's user."""
    with tempfile.TemporaryDirectory(prefix="small-", dir="/tmp") as folder:
        mounted = subprocess.run(
            ["mount", "-t", "tmpfs", "-o", "size=6m", "tmpfs", folder], capture_output=True, check=False
        )
        if mounted.returncode:
            pytest.skip(f"no small disk can be made here: {mounted.stderr.decode().strip()}")
        try:
            own.cluster.account.own(Path(folder))
            yield Path(folder)
        finally:
            subprocess.run(["umount", folder], check=True)


def fill(file: Path) -> None:
    """Leave no room on the disk of a file."""
    with suppress(OSError), file.open("wb", buffering=0) as end:
        while True:
            end.write(b"x" * 4_096)


@pytest.mark.row_locks
@pytest.mark.skipif(os.geteuid() != 0, reason="a disk is made by root alone")
def test_a_full_disk_refuses_writes_until_there_is_room(own: Server, owner: User, small_disk: Path) -> None:
    """The table of expenses lies on a disk of its own; the server's log does not."""
    with connection.cursor() as cursor:
        cursor.execute(f"CREATE TABLESPACE small LOCATION '{small_disk}'")
        cursor.execute("ALTER TABLE expenses_expense SET TABLESPACE small")
    filler = small_disk / "filler"
    try:
        with serving("--workers=1") as service, client_of(service, owner) as client:
            assert client.post(EXPENSES, json=NEW).status_code == 201
            before = client.get(TOTALS).json()["results"]
            fill(filler)
            for _ in range(3):
                assert_unavailable(client.post(f"{EXPENSES}bulk/", json=MANY))
                assert_as_before(client, before)
            filler.unlink()
            assert client.post(f"{EXPENSES}bulk/", json=MANY).status_code == 201
        assert_totals_match()
    finally:
        filler.unlink(missing_ok=True)
        with connection.cursor() as cursor:
            cursor.execute("ALTER TABLE expenses_expense SET TABLESPACE pg_default")
            cursor.execute("DROP TABLESPACE small")


@pytest.mark.row_locks
def test_a_database_that_may_only_be_read_answers_reads_and_refuses_writes(own: Server, owner: User) -> None:
    with serving("--workers=1") as service, client_of(service, owner) as client:
        assert client.post(EXPENSES, json=NEW).status_code == 201
        before = client.get(TOTALS).json()["results"]
        path = f"{EXPENSES}{Expense.objects.get().pk}/"
        with only_read():
            for write in (
                lambda: client.post(EXPENSES, json=NEW),
                lambda: client.post(f"{EXPENSES}bulk/", json=MANY),
                lambda: client.patch(path, json={"amount": "1.00"}),
                lambda: client.delete(path),
            ):
                response = write()
                assert_unavailable(response)
                assert NOTHING in response.json()["detail"]
            assert client.get(path).status_code == 200
            assert client.get(TOTALS).json()["results"] == before
        assert client.delete(path).status_code == 204
    assert_totals_match()


@contextmanager
def only_read() -> Iterator[None]:
    """Let new connections to the database in use only read."""
    name, statement = connection.settings_dict["NAME"], 'ALTER DATABASE "{}" SET default_transaction_read_only = {}'
    with connection.cursor() as cursor:
        cursor.execute(statement.format(name, "on"))
        yield
        cursor.execute(statement.format(name, "off"))
    connection.close()


@pytest.mark.row_locks
def test_a_server_without_a_free_connection_is_503_until_there_is_one(cluster: postgres.Cluster, owner: User) -> None:
    connection.close()
    cluster.stop()
    cluster.start({**postgres.DURABLE, "max_connections": 5, "superuser_reserved_connections": 0})
    try:
        with serving("--workers=1") as service, client_of(service, owner) as client:
            with all_taken():
                assert_unavailable(client.post(EXPENSES, json=NEW))
                assert_unavailable(client.get(TOTALS))
                assert client.get("/readyz").status_code == 503
            assert client.post(EXPENSES, json=NEW).status_code == 201
        assert_totals_match()
    finally:
        connection.close()
        cluster.stop()
        cluster.start(postgres.DURABLE)


@contextmanager
def all_taken() -> Iterator[None]:
    """Hold every connection that the server has left."""
    connection.close()
    url = environment()["DATABASE_URL"].replace("postgres://", "postgresql://")
    with ExitStack() as held:
        with pytest.raises(psycopg.OperationalError, match="too many clients"):
            while True:
                held.enter_context(psycopg.connect(url))
        yield


@on_sqlite
def test_a_file_that_another_program_writes_to_for_too_long_refuses_writes_until_it_is_free(
    own: Files, owner: User
) -> None:
    with (
        serving("--workers=1", LOCK_SECONDS="0.5", RETRY_SECONDS="0") as service,
        client_of(service, owner) as client,
        closing(sqlite3.connect(connection.settings_dict["NAME"], isolation_level=None)) as other,
    ):
        assert client.post(EXPENSES, json=NEW).status_code == 201
        before = client.get(TOTALS).json()["results"]
        other.execute("BEGIN IMMEDIATE")
        refused = client.post(EXPENSES, json=NEW)
        assert_unavailable(refused)
        assert NOTHING in refused.json()["detail"]
        assert_as_before(client, before)
        other.execute("ROLLBACK")
        assert client.post(EXPENSES, json=NEW).status_code == 201
    assert Expense.objects.count() == 2
    assert_totals_match()


@on_sqlite
def test_eight_writers_of_one_file_wait_for_each_other(
    own: Files, owner: User, categories: list[int], seed: int
) -> None:
    shape = ("--workers=2", "--threads=3", "--preload")
    with serving(*shape) as service, at_work(service, seed, owner, categories) as crew:
        crew.begin(clients=6)
        crew.employ()
        crew.employ()
        crew.go_on(150)
    assert (crew.journal.told["unavailable"], crew.journal.told["in doubt"]) == (0, 0)
