"""Two versions of a program that write at once, each in its own process, and a declaration added beside writers."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from itertools import count
from pathlib import Path
from typing import Any

import httpx
import pytest
from django.contrib.auth.models import User
from django.db import connection
from knox.models import AuthToken

from aggregates.models import RollupState
from expenses.models import Expense
from tests.concurrency.threads import wait_until
from tests.exactness import assert_totals_match
from tests.functional import pages
from tests.functional.test_pages import database
from tests.integration.expenses.live import assert_totals_are_live
from tests.processes import PATIENCE, ROOT, called, environment, served

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.long]

NEWEST = '            Rollup("category", "currency", "status", "month", slots=16, name="overview"),\n'
DAYS = [f"2026-{month:02}-{day:02}" for month in (1, 2) for day in (1, 28)]
TOTALS = "/api/v1/totals/?group_by=category,month"
WRITERS = 2  # of each version


class Writer:
    """Writes expenses to one version of the service until told to stop, and knows what it was told of each."""

    def __init__(self, address: str, token: str, seed: int) -> None:
        self._api = httpx.Client(
            base_url=f"{address}/api/v1/", headers={"Authorization": f"Token {token}"}, timeout=PATIENCE
        )
        self._seed = seed
        self.stop = threading.Event()
        self.acknowledged: dict[str, str | None] = {}

    def run(self) -> None:
        """Create, change and delete."""
        with self._api:
            for number in count(self._seed):
                content = {"amount": f"{number}.50", "currency": "EUR", "spent_on": DAYS[number % len(DAYS)]}
                key = self._sent("POST", "expenses/", content)["id"]
                self.acknowledged[key] = f"{number}.50"
                if number % 2:
                    self._sent("PATCH", f"expenses/{key}/", {"amount": "-3.25", "spent_on": DAYS[number % 3]})
                    self.acknowledged[key] = "-3.25"
                if number % 4 > 1:
                    self._sent("DELETE", f"expenses/{key}/")
                    self.acknowledged[key] = None
                if self.stop.is_set():
                    return

    def _sent(self, method: str, path: str, body: Any = None) -> Any:
        answer = self._api.request(method, path, json=body).raise_for_status()
        return answer.json() if answer.content else None


@contextmanager
def writing(address: str, tokens: list[str]) -> Iterator[list[Writer]]:
    """Let clients write to a version for as long as the block; they have to have met no error."""
    writers = [Writer(address, token, seed * 1000) for seed, token in enumerate(tokens)]
    with ThreadPoolExecutor(len(writers)) as pool:
        running = [pool.submit(writer.run) for writer in writers]
        try:
            yield writers
        finally:
            for writer in writers:
                writer.stop.set()
        for one in running:
            one.result()


def await_writes(*writers: Writer) -> None:
    """Return once each has written some more expenses."""
    since = [len(writer.acknowledged) for writer in writers]
    wait_until(
        lambda: all(len(w.acknowledged) >= n + 5 for w, n in zip(writers, since, strict=True)), "all clients write"
    )


def before_the_overview(folder: Path) -> Path:
    """Return the service as it was before it kept its newest rollup; the database is as that version left it."""
    for part in ("aggregates", "api", "config", "expenses"):
        shutil.copytree(ROOT / part, folder / part, ignore=shutil.ignore_patterns("__pycache__"))
    models = folder / "expenses" / "models.py"
    text = models.read_text()
    assert text.count(NEWEST) == 1
    models.write_text(text.replace(NEWEST, ""))
    assert called("verify_totals")[1] == 0
    RollupState.objects.filter(rollup="overview").delete()
    with connection.cursor() as cursor:
        cursor.execute("DELETE FROM expenses_expensetotals WHERE rollup = 'overview'")
    return folder


def test_a_service_that_is_upgraded_while_the_old_version_writes_is_exact_after_one_rebuild(tmp_path: Path) -> None:
    tokens = [AuthToken.objects.create(User.objects.create(username=f"user-{n}"))[1] for n in range(WRITERS)]
    auditor = User.objects.create_superuser("auditor")
    headers = {"Authorization": f"Token {AuthToken.objects.create(auditor)[1]}"}
    Expense.objects.create(owner=auditor, amount=1, currency="EUR", spent_on=DAYS[0])
    old = before_the_overview(tmp_path)
    with served("--workers=1", "--threads=4") as new_address, writing(new_address, tokens) as new_writers:
        code: dict[str, Any] = {"folder": old, "PYTHONPATH": f"{old}{os.pathsep}{ROOT}"}
        with served("--workers=1", "--threads=4", **code) as old_address, writing(old_address, tokens) as old_writers:
            await_writes(*old_writers, *new_writers)
            told = json.loads(called("verify_totals", "--format", "json")[0])
            for address in (old_address, new_address):  # from a rollup that both keep
                assert httpx.get(f"{address}{TOTALS}", headers=headers, timeout=PATIENCE).status_code == 200
            await_writes(*old_writers, *new_writers)
        assert {drifted["rollup"] for drifted in told["drift"]} == {"overview"}
        assert any(drifted["difference"]["count"] > 0 for drifted in told["drift"])
        report, status = called("rebuild_totals")
        assert status == 0, report
        await_writes(*new_writers)
    report, status = called("verify_totals")
    assert status == 0, report
    assert_totals_are_live()
    assert_totals_match()
    acknowledged = {k: v for writer in (*old_writers, *new_writers) for k, v in writer.acknowledged.items() if v}
    stored = Expense.objects.exclude(owner=auditor).values_list("pk", "amount")
    assert {str(key): f"{amount:.2f}" for key, amount in stored} == acknowledged


class Shop:
    """The example project, in a folder of its own, under one version of its code."""

    def __init__(self, folder: Path, settings: Mapping[str, Any]) -> None:
        self.folder = folder
        shutil.copytree(ROOT / "examples" / "shop", folder)
        with (folder / "project" / "settings.py").open("a") as file:
            file.write(f"DATABASES['default'] |= {dict(settings)!r}\n")

    def declare(self, page: str, *replaced: tuple[str, str]) -> None:
        """Write the files of a page of docs/how-to, with some of their text replaced."""
        text = (ROOT / "docs" / "how-to" / page).read_text()
        for old, new in replaced:
            assert old in text
            text = text.replace(old, new)
        for step in pages.steps(text):
            if isinstance(step, pages.File):
                pages._write(step, self.folder)

    def manage(self, *arguments: str, status: int = 0, **given: str) -> str:
        """Run a command; return what it printed."""
        done = subprocess.run(
            [sys.executable, "manage.py", *arguments],
            cwd=self.folder, env={**self._environment(), **given}, capture_output=True, text=True, timeout=PATIENCE,
            check=False,
        )  # fmt: skip
        assert done.returncode == status, f"{done.stdout}{done.stderr}"
        return done.stdout

    @contextmanager
    def open(self, **given: str) -> Iterator[None]:
        """Let the shop sell for as long as the block: a process that has not ended by itself."""
        with subprocess.Popen(
            [sys.executable, "manage.py", "sell"],
            cwd=self.folder, env={**self._environment(), **given}, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
            text=True,
        ) as process:  # fmt: skip
            try:
                assert process.stdout
                assert process.stdout.readline() == "The shop is open.\n"
                yield
                assert process.poll() is None, process.communicate()[1]
            finally:
                process.send_signal(signal.SIGTERM)

    def sold(self) -> int:
        """Return how many visits and sales there are."""
        script = "from shop.models import *; print(Sale.objects.count() + Visit.objects.count())"
        return int(self.manage("shell", "--no-imports", "-c", script))

    def await_sales(self) -> None:
        """Return once more was sold."""
        since = self.sold()
        wait_until(lambda: self.sold() > since, "the shop sells")

    def _environment(self) -> dict[str, str]:
        kept = {name: value for name, value in environment().items() if name != "DJANGO_SETTINGS_MODULE"}
        return {**kept, "PYTHONPATH": str(ROOT), "PYTHONUNBUFFERED": "1"}


@pytest.fixture
def shop_settings(tmp_path: Path) -> Iterator[dict[str, Any]]:
    with database() as settings:
        yield settings or {"NAME": str(tmp_path / "shop.sqlite3")}


def test_a_dimension_and_rollups_added_while_old_and_new_code_sell_are_exact_in_the_end(
    tmp_path: Path, shop_settings: dict[str, Any]
) -> None:
    old = Shop(tmp_path / "old", shop_settings)
    old.manage("migrate")
    old.manage("sell", "--times", "50")
    old.manage("rebuild_totals")
    new = Shop(tmp_path / "new", shop_settings)
    # By channel, as the page has it, and a rollup over what is there already.
    by_month = '            Rollup("month", slots=16),\n'
    new.declare("add-a-dimension.md", (by_month, f'{by_month}            Rollup("shop", name="by shop"),\n'))
    new.manage("makemigrations", "shop", "--name", "channel")
    with old.open():
        new.manage("migrate")
        with new.open():
            new.await_sales()
            told = json.loads(new.manage("verify_totals", "--format", "json", status=1))
            assert {drifted["rollup"] for drifted in told["drift"]} == {"shop,channel,month", "by shop"}
            with pytest.raises(AssertionError, match="TotalsNotReady"):
                new.manage("shell", "--no-imports", "-c", CHANNELS)
            old.await_sales()
    with new.open():
        new.manage("rebuild_totals")
        new.await_sales()
    assert new.manage("verify_totals").startswith("Clean: ")
    assert new.manage("shell", "--no-imports", "-c", CHANNELS) == "True\n"


CHANNELS = """
from django.db.models import Count, Sum
from aggregates import reads
from shop.models import *
found = Sale.objects.filter(taken_back=False).order_by().values_list('channel').annotate(Sum('price'), Count('pk'))
print(sorted(map(tuple, reads.sums(SaleTotals, 'channel'))) == sorted(found))
"""


MILLION_VISITS = """
INSERT INTO shop_visit (shop_id, came_on)
SELECT shop.id, '2020-01-01'::date + n % 2000 FROM generate_series(1, 1000000) AS n
CROSS JOIN (SELECT min(id) AS id FROM shop_shop) AS shop
"""


@pytest.mark.skipif(connection.vendor != "postgresql", reason="locks of tables are PostgreSQL's")
def test_a_declaration_is_added_without_a_lock_that_writers_do_not_share(
    tmp_path: Path, shop_settings: dict[str, Any]
) -> None:
    """The table has a million rows, and all the while a transaction is open that has written each of them.

    Whatever wanted a lock that a write excludes, on the table or on a row, would have to wait for it, and be given up.
    """
    import psycopg  # noqa: PLC0415 - for PostgreSQL alone

    shop = Shop(tmp_path / "shop", shop_settings)
    shop.manage("migrate")
    shop.manage("sell", "--times", "50")
    impatient = {"PGOPTIONS": "-c lock_timeout=5s"}
    address = {name: shop_settings[name.upper()] for name in ("host", "port", "user", "password")}
    with psycopg.connect(**address, dbname=shop_settings["NAME"]) as writer:
        writer.execute(MILLION_VISITS)
        writer.commit()
        writer.execute("UPDATE shop_visit SET came_on = came_on + 1")
        writer.execute("INSERT INTO shop_visit (shop_id, came_on) SELECT id, '2026-01-01' FROM shop_shop")
        with shop.open(**impatient):
            shop.declare("backfill.md")
            shop.manage("makemigrations", "shop", "--name", "visit_totals")
            shop.manage("migrate", **impatient)
            shop.await_sales()
        with shop.open(**impatient):
            shop.manage("rebuild_totals", **impatient)
            shop.manage("verify_totals", **impatient)
            shop.await_sales()
        writer.rollback()
    assert shop.manage("verify_totals").startswith("Clean: ")


@pytest.mark.skipif(connection.vendor != "postgresql", reason="locks of tables are PostgreSQL's")
def test_a_migration_that_takes_such_a_lock_is_found_out(tmp_path: Path, shop_settings: dict[str, Any]) -> None:
    import psycopg  # noqa: PLC0415 - for PostgreSQL alone

    shop = Shop(tmp_path / "shop", shop_settings)
    shop.manage("migrate")
    models = shop.folder / "shop" / "models.py"
    models.write_text(
        re.sub(
            r"    came_on = models.DateField\(\)", "    came_on = models.DateField(db_index=True)", models.read_text()
        )
    )
    shop.manage("makemigrations", "shop", "--name", "indexed")
    address = {name: shop_settings[name.upper()] for name in ("host", "port", "user", "password")}
    with psycopg.connect(**address, dbname=shop_settings["NAME"]) as writer:
        writer.execute("UPDATE shop_visit SET came_on = came_on + 1")
        with pytest.raises(AssertionError, match="lock timeout"):
            shop.manage("migrate", PGOPTIONS="-c lock_timeout=100ms")
        writer.rollback()
