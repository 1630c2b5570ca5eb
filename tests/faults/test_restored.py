"""An older backup takes the place of the database: it is exact in itself, and clients may repeat what it lacks."""

from __future__ import annotations

import shutil
import sqlite3
from pathlib import Path

import pytest
from django.contrib.auth.models import User
from django.db import connection

from tests.exactness import assert_totals_match
from tests.faults.client import Call, Client
from tests.faults.crew import assert_sound, at_work
from tests.faults.databases import Files
from tests.faults.journal import Journal, once, stored
from tests.faults.service import client_of, serving
from tests.processes import called

pytestmark = [
    pytest.mark.long,
    pytest.mark.skipif(connection.vendor != "sqlite", reason="a file is swapped; PostgreSQL restores a dump"),
]

WRITES = 60  # before the backup, and after it


def backed_up(to: Path) -> None:
    """Copy the database while others write to it."""
    with sqlite3.connect(connection.settings_dict["NAME"]) as source, sqlite3.connect(to) as target:
        source.backup(target)
    source.close()
    target.close()


def restored(backup: Path) -> None:
    """Put a backup in the place of the database, which nobody has open."""
    connection.close()
    name = connection.settings_dict["NAME"]
    for end in ("-wal", "-shm"):
        Path(f"{name}{end}").unlink(missing_ok=True)
    shutil.copyfile(backup, name)


def assert_exact() -> None:
    assert_totals_match()
    assert called("verify_totals")[1] == 0
    assert_sound()


class Remembering(Client):
    """Keeps what it asks for."""

    asked: list[Call]

    def carry_out(self, call: Call) -> None:
        """Send a request, and remember it."""
        self.asked.append(call)
        super().carry_out(call)

    def write_and_remember(self, number: int) -> list[Call]:
        """Make so many writes; return them."""
        self.asked = []
        for _ in range(number):
            self.write()
        return self.asked


@pytest.mark.in_full  # tests/functional/test_restore.py has one, taken as the page says
def test_an_older_backup_is_exact_and_takes_what_it_lacks_once(
    own: Files, owner: User, categories: list[int], seed: int, tmp_path: Path
) -> None:
    backup, journal = tmp_path / "backup.sqlite3", Journal()
    with serving("--workers=1") as service, client_of(service, owner) as http:
        client = Remembering("client", seed, http, journal, categories)
        kept = client.write_and_remember(WRITES)
        with at_work(service, seed, owner, categories, journal) as crew:
            crew.employ()
            crew.go_on(5)
            backed_up(backup)
        lacking = client.write_and_remember(WRITES)
        service.kill()
        restored(backup)
        assert_exact()
        service.start()
        for call in lacking:
            client.repeat(call)
        for call in kept:
            if "Idempotency-Key" in call.headers:  # it is known, whatever has become of its expenses since
                assert http.post(call.path, json=call.json, headers=call.headers).status_code == 201
    assert_exact()
    found = {label: rows for label, rows in stored().items() if label.startswith("client")}
    assert found == once({label: v for label, v in journal.known.items() if v and label.startswith("client")})
