"""Databases of a test's own, each with the tables and nothing in them, which may be filled, copied and killed."""

from __future__ import annotations

import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import psycopg
from django.contrib.contenttypes.models import ContentType
from django.core.management import call_command
from django.db import connection, connections

from tests import postgres
from tests.processes import called

TEMPLATE = "template_of_faults"
_number = count()


@contextmanager
def in_use(**settings: Any) -> Iterator[None]:
    """Let Django, commands and services use the database with these settings in the place of the run's own."""
    usual = dict(connection.settings_dict)
    _turn_to(settings)
    try:
        yield
    finally:
        _turn_to(usual)


def _turn_to(settings: Mapping[str, Any]) -> None:
    connection.close()
    connection.settings_dict.update(settings)
    ContentType.objects.clear_cache()  # the other database has other ids


def prepare() -> None:
    """Make the tables in the database in use, and find its totals clean, so that they may be read."""
    call_command("migrate", verbosity=0, run_syncdb=True)
    assert called("verify_totals")[1] == 0
    connections.close_all()


@dataclass(frozen=True)
class Files:
    """SQLite's: each is a file."""

    folder: Path

    def prepare(self) -> None:
        """Make the template."""
        with in_use(NAME=str(self.folder / TEMPLATE)):
            prepare()
            with connection.cursor() as cursor:  # so that the file is all there is to copy
                cursor.execute("PRAGMA wal_checkpoint(TRUNCATE)")

    @contextmanager
    def fresh(self) -> Iterator[dict[str, Any]]:
        """Yield the settings of a new database."""
        name = self.folder / f"{next(_number)}.sqlite3"
        shutil.copyfile(self.folder / TEMPLATE, name)
        yield {"NAME": str(name)}
        for file in self.folder.glob(f"{name.name}*"):
            file.unlink()


@dataclass(frozen=True)
class Server:
    """PostgreSQL's: they are a cluster's, which commits to the disk."""

    cluster: postgres.Cluster

    def prepare(self) -> None:
        """Make the template."""
        self._run(f"CREATE DATABASE {TEMPLATE}")
        with in_use(**self._settings(TEMPLATE)):
            prepare()

    @contextmanager
    def fresh(self) -> Iterator[dict[str, Any]]:
        """Yield the settings of a new database."""
        name = f"faults_{next(_number)}"
        self._run(f"CREATE DATABASE {name} TEMPLATE {TEMPLATE}")
        yield self._settings(name)
        self._run(f"DROP DATABASE {name} WITH (FORCE)")

    def _settings(self, name: str) -> dict[str, Any]:
        address = urlsplit(self.cluster.url)
        return {"NAME": name, "USER": address.username, "PASSWORD": "", "HOST": address.hostname, "PORT": address.port}

    def _run(self, statement: str) -> None:
        with psycopg.connect(self.cluster.url, autocommit=True) as session:
            session.execute(statement)
