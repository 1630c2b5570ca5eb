"""Files of a few lines, imports of them as from the command line, and what a form of the admin takes."""

from __future__ import annotations

import io
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from django.contrib.auth import get_user_model
from django.core.management import CommandError, call_command

from expenses.models import Category

COLUMNS = {"id": "id", "owner": "owner", "category": "category", "date": "date", "amount": "amount"}
HEADER = "id,owner,category,date,amount"


@dataclass
class Ended:
    """How a command ended, and what it said."""

    code: int
    out: str
    err: str


def run(path: Path | str, *options: str, currency: str | None = "EUR") -> Ended:
    out, err = io.StringIO(), io.StringIO()
    named = [part for role, column in COLUMNS.items() for part in (f"--{role}-column", column)]
    money = ["--currency", currency] if currency else []
    try:
        call_command("import_expenses", str(path), *named, *money, *options, stdout=out, stderr=err)
    except SystemExit as ended:
        return Ended(int(ended.code or 0), out.getvalue(), err.getvalue())
    except CommandError as error:
        return Ended(error.returncode, out.getvalue(), str(error))
    return Ended(0, out.getvalue(), err.getvalue())


@pytest.fixture
def write(tmp_path: Path) -> Callable[..., Path]:
    """Return a function that writes a file: its lines, or its very bytes."""

    def write(*lines: str, header: str = HEADER, name: str = "expenses.csv", raw: bytes | None = None) -> Path:
        path = tmp_path / name
        path.write_bytes("\n".join([header, *lines, ""]).encode() if raw is None else raw)
        return path

    return write


@pytest.fixture
def owner() -> Any:
    return get_user_model().objects.create_user("ada")


@pytest.fixture
def form(owner: Any) -> dict[str, Any]:
    taxi = Category.objects.create(name="Taxi")
    return {
        "owner": owner.pk, "category": taxi.pk, "amount": "12.50", "currency": "EUR", "spent_on": "2026-01-31",
        "status": "submitted", "description": "Airport",
    }  # fmt: skip
