"""The schema is true: schemathesis asks a served instance whatever the schema has, and much that it has not."""

from __future__ import annotations

import datetime as dt
import json
import subprocess
import sys
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from django.contrib.auth.models import User
from knox.models import AuthToken

from api import examples
from expenses.models import Category, Expense, Status
from tests.exactness import assert_totals_match
from tests.integration.api.conftest import TOTALS, client_of
from tests.processes import PATIENCE, ROOT, environment, served

# Once, because it is about what is answered, not about how a database finds it.
pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.long, pytest.mark.once]

CONFIG = "tests/functional/schemathesis.toml"
LOGIN: dict[str, Any] = examples.SENT["/api/v1/auth/login/", "post"][examples.JSON]
RUNS = ("verify", "rebuild")
WITHIN = 4 * PATIENCE


def token(user: User) -> str:
    instance: tuple[AuthToken, str] = AuthToken.objects.create(user=user)
    return instance[1]


def users() -> dict[str, User]:
    found = {
        "superuser": User.objects.create_superuser("root"),
        # The one whose credentials are in the example, so that it logs in.
        "owner": User.objects.create_user(**LOGIN),
    }
    others = {name: User.objects.create_user(name) for name in ("stranger", "leaver", "leaver_everywhere")}
    return {**found, **others}


def store(owners: list[User]) -> None:
    """Store something for every address to lead to."""
    categories = [*(Category.objects.create(name=f"Category {number}") for number in range(30)), None]
    Expense.objects.bulk_create(
        Expense(
            owner=owners[number % len(owners)],
            category=categories[-number % 4],
            amount=Decimal(number),
            currency=("EUR", "JPY")[number % 2],
            spent_on=dt.date(2026, 1 + number % 12, 1 + number % 28),
            status=Status.values[number % 5],
        )
        for number in range(90)
    )


def ids(user: User, superuser: User) -> dict[str, list[Any]]:
    """Return ids that lead somewhere: of the user's expenses, of categories, of runs."""
    runs = {kind: [client_of(superuser).post(f"{TOTALS}{kind}/")["Location"].split("/")[-2]] for kind in RUNS}
    expenses = [str(key) for key in user.expenses.values_list("pk", flat=True)]
    return {**runs, "expenses": expenses, "categories": list(Category.objects.values_list("pk", flat=True))}


@pytest.mark.parametrize("user", ["superuser", "owner"])
def test_schemathesis_finds_nothing(user: str, tmp_path: Path) -> None:
    who = users()
    tokens = {name: token(one) for name, one in who.items()}
    store([who["superuser"], who["owner"], who["stranger"]])
    header = "Authorization"
    entries = [{"name": n, "fixedHeaders": [{"name": header, "value": f"Token {t}"}]} for n, t in tokens.items()]
    credentials = tmp_path / "users.json"
    credentials.write_text(json.dumps({"auth": entries}))
    told = {
        "CONTRACT_USER": user,
        "CONTRACT_USERS": str(credentials),
        "CONTRACT_IDS": json.dumps(ids(who[user], who["superuser"])),
        "LOGOUT_TOKEN": tokens["leaver"],
        "LOGOUT_ALL_TOKEN": tokens["leaver_everywhere"],
    }
    with served("--workers=2", "--log-level=error") as address:
        schema = f"{address}/api/schema/"
        ran = subprocess.run(
            [sys.executable, "-m", "schemathesis.cli", "--config-file", CONFIG, "run", schema, "--checks", "all"],
            cwd=ROOT,
            env={**environment(), **told, "NO_COLOR": "1"},
            capture_output=True,
            text=True,
            timeout=WITHIN,
            check=False,
        )
    assert ran.returncode == 0, ran.stdout[-20_000:] + ran.stderr
    assert " passed" in ran.stdout
    assert_totals_match()
