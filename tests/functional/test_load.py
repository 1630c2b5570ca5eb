"""A load of a few seconds, so that ``make load`` works, and that it fails where the service does not."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from decimal import Decimal

import pytest
from django.contrib.auth.models import User
from django.db import connection

from benchmarks.load.figures import KINDS
from benchmarks.load.service import NO_TOTALS
from expenses.models import Expense
from tests.processes import PATIENCE, ROOT

SMALL = ("--clients=4", "--rows=1200", "--only")


def load(*options: str) -> tuple[str, int]:
    ran = subprocess.run(
        [sys.executable, "-m", "benchmarks.load.run", *SMALL, *options],
        cwd=ROOT, env=os.environ, capture_output=True, text=True, timeout=PATIENCE * 2, check=False,
    )  # fmt: skip
    return ran.stdout + ran.stderr, ran.returncode


@pytest.mark.long
@pytest.mark.once
def test_a_short_load_holds_and_one_without_totals_is_found_out() -> None:
    told, status = load("--seconds=4")
    assert status == 0, told
    found = json.loads((ROOT / "build" / "load.json").read_text())
    (kinds,) = [load["kinds"] for load in found["loads"].values()]
    assert {*KINDS[:5], "all"} <= kinds.keys()
    assert all(times > 0 for times in found["times"].values())
    assert found["writes"]["expenses there"] > 0
    told, status = load("--seconds=1", f"--entry={NO_TOTALS}")
    assert status == 1
    assert "totals drift" in told


@pytest.mark.django_db(transaction=True)
@pytest.mark.skipif(connection.vendor != "postgresql", reason="a load is on PostgreSQL")
@pytest.mark.parametrize(
    "spoil",
    [
        "UPDATE expenses_expensetotals SET amount = amount + 1 WHERE rollup = 'day'",
        "DELETE FROM expenses_expensetotals WHERE rollup = 'overview'",
        "UPDATE expenses_expense SET status = 'draft'",
    ],
)
def test_a_snapshot_that_drifts_is_told_by_a_statement_that_is_not_the_engines(spoil: str) -> None:
    from benchmarks.load import snapshots  # noqa: PLC0415 - for PostgreSQL alone

    owner = User.objects.create(username="owner")
    Expense.objects.create(owner=owner, amount=Decimal("1.5"), currency="EUR", spent_on="2026-01-31")
    Expense.objects.create(owner=owner, amount=Decimal(-2), currency="EUR", spent_on="2026-01-01", status="approved")
    snapshots.compare()
    with connection.cursor() as cursor:
        cursor.execute(spoil)
    with pytest.raises(AssertionError, match=r"\d totals drift: \[\("):
        snapshots.compare()
