"""The wheel: the engine and nothing else, in a project that has never heard of the service."""

from __future__ import annotations

import importlib.util
import shutil
import zipfile
from pathlib import Path

import pytest

from tests.functional.hosts import Host, build, new_host
from tests.processes import ROOT

pytestmark = [pytest.mark.once, pytest.mark.long]

SETTINGS = """
INSTALLED_APPS += ["aggregates", "ledger"]
DATABASES["default"]["OPTIONS"] = {"transaction_mode": "IMMEDIATE", "timeout": 20}
"""
MODELS = """
from django.db import models
from django.db.models import Count, Sum

from aggregates.definitions import Rollup
from aggregates.fields import FixedDecimalField
from aggregates.models import Totals, Tracked


class Entry(Tracked):
    account = models.CharField(max_length=20)
    amount = FixedDecimalField()


class EntryTotals(Totals):
    account = models.CharField(max_length=20, null=True)
    amount = FixedDecimalField(default=0)
    entries = models.BigIntegerField(default=0)

    class Aggregate:
        source = "ledger.Entry"
        measures = {"amount": Sum("amount"), "entries": Count("*")}
        rollups = [Rollup("account")]
"""
WRITE = """
import sys
from decimal import Decimal
from aggregates import reads
from ledger.models import Entry, EntryTotals

Entry.objects.create(account="cash", amount=Decimal("0.10"))
Entry.objects.bulk_create([Entry(account=name, amount=Decimal("2.20")) for name in ("cash", "bank")])
Entry.objects.filter(account="bank").update(amount="5.00")
print(sorted(reads.sums(EntryTotals, "account")))
print(sorted({"expenses", "api", "config", "rest_framework", "tests"}.intersection(sys.modules)))
"""
SPOIL = """
from django.db import connection
connection.cursor().execute("UPDATE ledger_entrytotals SET amount = amount + 1 WHERE account = 'cash'")
"""
OF_THE_SERVICE = ("expenses", "api", "config", "rest_framework", "unfold", "psycopg")


@pytest.fixture(scope="module")
def host(tmp_path_factory: pytest.TempPathFactory) -> Host:
    return new_host(tmp_path_factory)


def test_the_wheel_holds_all_of_the_engine_and_nothing_else(tmp_path: Path) -> None:
    with zipfile.ZipFile(build(tmp_path)) as wheel:
        packed = {name for name in wheel.namelist() if ".dist-info/" not in name}
    files = {path for path in (ROOT / "aggregates").rglob("*") if path.is_file() and path.suffix != ".pyc"}
    assert packed == {path.relative_to(ROOT).as_posix() for path in files}
    assert "aggregates/py.typed" in packed


def test_a_project_of_its_own_declares_writes_verifies_and_repairs_without_the_service(host: Host) -> None:
    folder = host.folder / "books"
    folder.mkdir()

    def manage(*arguments: str) -> tuple[int, str]:
        ran = host.run("python", "-W", "error", "manage.py", *arguments, cwd=folder)
        return ran.returncode, ran.stdout + ran.stderr

    assert host.run("django-admin", "startproject", "books", str(folder)).stderr == ""
    assert manage("startapp", "ledger") == (0, "")
    with (folder / "books" / "settings.py").open("a") as settings:
        settings.write(SETTINGS)
    (folder / "ledger" / "models.py").write_text(MODELS)
    for arguments in (["makemigrations", "ledger"], ["migrate"], ["check", "--database", "default"]):
        status, told = manage(*arguments)
        assert status == 0, told
    assert manage("shell", "--no-imports", "-c", WRITE) == (
        0,
        "[('bank', Decimal('5.0000'), 1), ('cash', Decimal('2.3000'), 2)]\n[]\n",
    )
    assert manage("verify_totals")[0] == 0
    assert manage("shell", "--no-imports", "-c", SPOIL) == (0, "")
    assert [manage(name)[0] for name in ("verify_totals", "rebuild_totals", "verify_totals")] == [1, 0, 0]


@pytest.mark.parametrize("name", OF_THE_SERVICE)
def test_what_the_service_has_or_needs_does_not_come_along(host: Host, name: str) -> None:
    ran = host.run("python", "-c", f"import {name}")
    assert f"No module named '{name}'" in ran.stderr


@pytest.mark.skipif(importlib.util.find_spec("mypy") is None, reason="mypy is not there")
def test_a_declaration_of_a_host_s_is_well_typed(host: Host) -> None:
    host.lend("mypy", "django-stubs", "django-stubs-ext")
    project = host.folder / "typed"
    shutil.copytree(ROOT / "examples" / "shop", project)
    (project / "mypy.ini").write_text(
        "[mypy]\nstrict = True\nplugins = mypy_django_plugin.main\n[mypy.plugins.django-stubs]\n"
        "django_settings_module = project.settings\n"
    )
    declared = ["shop/models.py", "shop/reports.py", "shop/views.py"]
    ran = host.run(
        "python", "-m", "mypy", "--cache-dir", str(ROOT / "build" / "mypy-of-a-host"), *declared, cwd=project
    )
    assert (ran.returncode, ran.stdout) == (0, "Success: no issues found in 3 source files\n"), ran.stdout + ran.stderr
