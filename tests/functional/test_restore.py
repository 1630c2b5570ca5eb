"""docs/how-to/restore.md, carried out: a backup while clients write, a restore elsewhere, the rest sent again."""

from __future__ import annotations

import json
import os
import re
import sys
import threading
import uuid
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from itertools import count
from pathlib import Path
from typing import Any

import httpx
import pytest
from django.db import connection

from tests.concurrency.threads import wait_until
from tests.functional.blocks import printed
from tests.functional.test_deployment import BACK_UP, KEY, RESTORE, as_printed, as_the_unit_serves, bare, ran, tools
from tests.processes import ROOT, environment

PAGE = "how-to/restore.md"
ON_SQLITE = printed(PAGE, ".venv/bin/python manage.py shell"), printed(PAGE, "cp expenses.backup")
REPLAY = printed(PAGE, "import json")
KEPT = printed(PAGE, '{"method"')
_SETTINGS, REPLAYING, REPLAYED = printed(PAGE, "$ export").splitlines()
CLIENTS = 3
PROXIED = {"X-Forwarded-Proto": "https", "X-Forwarded-For": "192.0.2.1"}
DAYS = [f"2026-{month:02}-{day:02}" for month in (1, 2) for day in (1, 28)]

pytestmark = [
    pytest.mark.long,
    pytest.mark.skipif(connection.vendor == "mysql", reason="the page is about PostgreSQL and SQLite"),
]

# Somebody who may see and repair everything, and a rebuild that was under way when the backup was taken.
BEGIN = """
import datetime as dt
from django.contrib.auth.models import User
from django.utils import timezone
from knox.models import AuthToken
from aggregates.models import Run
at = timezone.now() - dt.timedelta(minutes=11)
label = 'expenses.ExpenseTotals'
Run.objects.create(totals=label, only=label, kind='rebuild', started_at=at, heartbeat_at=at, fingerprint='', chunks=9)
for number in range(%d):
    print(AuthToken.objects.create(User.objects.create(username=f'client-{number}'))[1])
print(AuthToken.objects.create(User.objects.create_superuser('root'))[1])
"""
TELL = """
import json
from aggregates.models import Run
from api.models import IdempotencyKey
from expenses.models import Expense
names = ('pk', 'owner', 'category', 'amount', 'currency', 'spent_on', 'status', 'description')
print(json.dumps({
    'expenses': sorted([str(value) for value in row] for row in Expense.objects.values_list(*names)),
    'keys': sorted(IdempotencyKey.objects.values_list('key', flat=True)),
    'runs': sorted(Run.objects.filter(chunks=9).values_list('kind', 'state')),
}))
"""


class Site:
    """A folder that looks like the one of the page, and the database that its settings name."""

    def __init__(self, folder: Path, env: dict[str, str]) -> None:
        self.folder, self.env = folder, env

    def shell(self, script: str, **given: str) -> str:
        """Run a script as the page has it; return what it printed."""
        done = ran("bash", "-euo", "pipefail", "-c", script, env={**self.env, **given}, cwd=self.folder)
        assert done.returncode == 0, f"{done.stdout}{done.stderr}"
        return done.stdout

    def manage(self, *arguments: str) -> str:
        """Run a command of the service; return what it printed."""
        done = ran(
            str(self.folder / ".venv" / "bin" / "python"), "manage.py", *arguments, env=self.env, cwd=self.folder
        )
        assert done.returncode == 0, f"{done.stdout}{done.stderr}"
        return done.stdout

    def asked(self, script: str) -> str:
        """Run Python in the service's shell; return what it printed."""
        return self.manage("shell", "--no-imports", "-c", script)

    def told(self) -> dict[str, Any]:
        """Return the expenses, the idempotency keys and what became of the run that was under way."""
        return dict(json.loads(self.asked(TELL)))

    def elsewhere(self, url: str) -> Site:
        """Return the same with another database."""
        return Site(self.folder, {**self.env, "DATABASE_URL": url})


@pytest.fixture
def site(tmp_path: Path, django_db_blocker: Any, django_db_setup: None) -> Iterator[Site]:
    for part in ("manage.py", "config"):
        (tmp_path / part).symlink_to(ROOT / part)
    (tmp_path / ".venv").symlink_to(sys.prefix)
    path, name, url = os.environ["PATH"], "", f"sqlite:///{tmp_path / 'expenses.sqlite3'}"
    if connection.vendor == "postgresql":
        name = f"restore_{connection.settings_dict['NAME']}"
        with django_db_blocker.unblock():
            folder = tools()
            if folder is None:
                pytest.skip("there is no pg_dump of the server's version")
            with connection.cursor() as cursor:
                cursor.execute(f'CREATE DATABASE "{name}"')
        path, url = f"{folder}{os.pathsep}{path}", re.sub(r"/[^/]*$", f"/{name}", environment()["DATABASE_URL"])
    files = {"CACHE_FILE": str(tmp_path / "cache.sqlite3"), "STATIC_ROOT": str(tmp_path / "static")}
    settings = as_printed(SECRET_KEY=KEY, DATABASE_URL=url, **files)
    if not name:
        settings["POOL_SIZE"] = ""
    yield Site(tmp_path, bare(PATH=path, RATE_LIMIT="", **settings))
    if name:
        with django_db_blocker.unblock(), connection.cursor() as cursor:
            for made in (name, f"{name}_restored"):
                cursor.execute(f'DROP DATABASE IF EXISTS "{made}" WITH (FORCE)')
        connection.close()


class Client:
    """Writes one expense after the other, and keeps a line of each write that was acknowledged."""

    def __init__(self, number: int, site: Site, address: httpx.URL, token: str) -> None:
        self.number, self.token = number, token
        self.kept = site.folder / f"sent-{number}.jsonl"
        self.acknowledged = 0
        host = {"Host": site.env["ALLOWED_HOSTS"]}
        self._api = httpx.Client(
            base_url=address.join("/api/v1/"),
            headers={**PROXIED, **host, "Authorization": f"Token {token}"},
            timeout=60,
        )

    def write_until(self, done: threading.Event) -> None:
        with self.kept.open("w") as kept, self._api:
            for number in count():
                key = str(uuid.UUID(int=self.number << 64 | number))
                content = {"amount": f"{number}.50", "currency": "EUR", "spent_on": DAYS[number % len(DAYS)]}
                writes = [{"method": "POST", "path": "expenses/", "key": key, "body": {"id": key, **content}}]
                if number % 2:
                    body = {"amount": f"-{number}.25", "spent_on": DAYS[number % 3]}
                    writes.append({"method": "PATCH", "path": f"expenses/{key}/", "body": body})
                if number % 4 > 1:
                    writes.append({"method": "DELETE", "path": f"expenses/{key}/"})
                for write in writes:
                    self._send(write)
                    kept.write(f"{json.dumps(write)}\n")
                if done.is_set():
                    return

    def _send(self, write: Mapping[str, Any]) -> None:
        headers = {"Idempotency-Key": write["key"]} if "key" in write else {}
        self._api.request(write["method"], write["path"], json=write.get("body"), headers=headers).raise_for_status()
        self.acknowledged += 1


def test_a_backup_taken_while_clients_write_is_restored_and_what_it_lacks_is_sent_again(site: Site) -> None:
    site.manage("migrate", "--no-input", "--verbosity=0")
    site.manage("verify_totals")
    *tokens, root = site.asked(BEGIN % CLIENTS).split()
    back_up, restore = (BACK_UP, RESTORE) if connection.vendor == "postgresql" else ON_SQLITE
    with as_the_unit_serves(site.folder, site.env) as served:
        clients = [Client(number, site, served.base_url, token) for number, token in enumerate(tokens)]
        write_while(clients, lambda: site.shell(back_up))
    lost = site.told()

    assert "Clean: " in site.shell(restore)
    restored = site.elsewhere(
        f"{site.env['DATABASE_URL']}_restored"
        if connection.vendor == "postgresql"
        else f"sqlite:///{site.folder / 'restored.sqlite3'}"
    )
    backed_up = restored.told()
    assert 0 < len(backed_up["keys"]) < len(lost["keys"]), "the backup was taken while clients wrote"
    assert backed_up["runs"] == [["rebuild", "interrupted"]]
    restored.manage("totals_status")
    with as_the_unit_serves(site.folder, restored.env) as served:
        for client in [*clients, clients[0]]:  # it may be run again
            told = replayed(restored, served.base_url, client.token, client.kept)
            assert told == f"sent {client.acknowledged} writes again\n"
        rebuild = served.post("/api/v1/totals/rebuild/", headers={**PROXIED, "Authorization": f"Token {root}"})
        assert rebuild.status_code in {200, 201, 202}, rebuild.text
        mended = restored.told()
        kept = site.folder / "sent.jsonl"
        kept.write_text(KEPT)
        assert replayed(restored, served.base_url, tokens[0], kept) == f"{REPLAYED}\n"
    assert (mended["expenses"], mended["keys"]) == (lost["expenses"], lost["keys"])
    restored.manage("fold_totals")
    assert restored.manage("verify_totals").startswith("Clean: ")


def write_while(clients: list[Client], back_up: Any) -> None:
    """Let clients write before, during and after a backup."""
    done = threading.Event()
    with ThreadPoolExecutor(len(clients)) as pool:
        writing = [pool.submit(client.write_until, done) for client in clients]

        def all_wrote(number: int, since: list[int]) -> bool:
            for one in writing:
                if one.done():
                    one.result()
            return all(client.acknowledged - before >= number for client, before in zip(clients, since, strict=True))

        try:
            wait_until(lambda: all_wrote(8, [0] * len(clients)), "clients write")
            back_up()
            since = [client.acknowledged for client in clients]
            wait_until(lambda: all_wrote(8, since), "clients write on")
        finally:
            done.set()
        for one in writing:
            one.result()


def replayed(site: Site, address: httpx.URL, token: str, kept: Path) -> str:
    """Run the page's script, behind a proxy of its own making; return what it printed."""
    proxied = {**PROXIED, "Host": site.env["ALLOWED_HOSTS"]}
    (site.folder / "replay.py").write_text(REPLAY.replace("headers={", f"headers={proxied!r} | {{", 1))
    given = {"EXPENSES_URL": str(address).rstrip("/"), "EXPENSES_TOKEN": token}
    command = REPLAYING.removeprefix("$ ").replace("sent.jsonl", str(kept))
    return site.shell(f".venv/bin/{command}", **given)
