"""A host with a declaration that cannot work: it starts, is told, and gets no wrong total."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.processes import PATIENCE, ROOT, environment

MODELS = """
from django.db import models
from django.db.models import Avg

from aggregates.definitions import Rollup
from aggregates.models import Totals, Tracked


class Sale(Tracked):
    shop = models.CharField(max_length=20)
    price = models.IntegerField()


class SaleTotals(Totals):
    shop = models.CharField(max_length=20, null=True)
    price = models.BigIntegerField(default=0)

    class Aggregate:
        source = Sale
        measures = {"price": Avg("price")}
        rollups = (Rollup("shop"),)
"""
SETTINGS = """
from tests.settings import *

INSTALLED_APPS = [*INSTALLED_APPS, "shop"]
"""
READ = """
import django
django.setup()
from aggregates import reads
from shop.models import SaleTotals
reads.smallest(SaleTotals, {"shop"})
"""

pytestmark = pytest.mark.django_db


@pytest.fixture
def host(tmp_path: Path) -> Path:
    """The folder of an app that declares an average, with the settings of a project that has it."""
    app = tmp_path / "shop"
    app.mkdir()
    (app / "__init__.py").write_text("")
    (app / "models.py").write_text(MODELS)
    (tmp_path / "shop_settings.py").write_text(SETTINGS)
    return tmp_path


def run(host: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run Python in that project to its end."""
    given = environment()
    return subprocess.run(
        [sys.executable, *arguments],
        cwd=ROOT,
        env={
            **given,
            "DJANGO_SETTINGS_MODULE": "shop_settings",
            "PYTHONPATH": os.pathsep.join([str(host), given["PYTHONPATH"]]),
        },
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        check=False,
    )


def test_check_names_the_declaration_and_what_to_write_instead(host: Path) -> None:
    checked = run(host, "manage.py", "check")
    assert checked.returncode == 1
    assert "shop.SaleTotals: (aggregates.E007) Measure 'price' of SaleTotals is Avg(F(price))" in checked.stderr
    assert "write Sum(…) or Count(…), not distinct" in checked.stderr


def test_verify_does_not_pass_over_it(host: Path) -> None:
    verified = run(host, "manage.py", "verify_totals", "--skip-checks")
    assert verified.returncode == 2
    assert verified.stdout == ""
    assert "Could not run: Measure 'price' of SaleTotals" in verified.stderr


def test_its_totals_cannot_be_read(host: Path) -> None:
    read = run(host, "-c", READ)
    assert read.returncode == 1
    assert "aggregates.exceptions.DeclarationError: Measure 'price' of SaleTotals" in read.stderr
