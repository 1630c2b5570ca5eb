"""Who writes and reads, and what is there before: expenses by arithmetic, with totals that were rebuilt."""

from __future__ import annotations

import io
import json
import secrets
from pathlib import Path

from django.contrib.auth import get_user_model
from django.contrib.auth.models import Group
from django.core.management import call_command
from django.db import connection
from knox.models import AuthToken

from api.models import IdempotencyKey
from benchmarks import data, repairs
from benchmarks.load.journal import PREFIX, Content
from expenses.models import Expense

ROWS = 100_000
SHARED = 2
"""One client in so many writes for the hot owner; each of the others has an owner of its own."""
ADMIN = "load-admin"


def prepare(rows: int, clients: int, path: Path) -> str:
    """Fill the database, and write who the clients are to a file of JSON; return the administrator's password."""
    call_command("migrate", verbosity=0, interactive=False)
    call_command("create_roles", stdout=io.StringIO())
    shape = data.dense(rows)
    data.people(shape)
    data.fill(Expense, shape)
    repairs.ready()
    users = get_user_model().objects
    with connection.cursor() as cursor:  # people came with ids of their own
        cursor.execute("SELECT SETVAL(PG_GET_SERIAL_SEQUENCE('auth_user', 'id'), MAX(id)) FROM auth_user")
    hot = users.create(username="load-hot")
    owners = [hot if i % SHARED == 0 else users.create(username=f"load-{i}") for i in range(clients)]
    auditor = users.create(username="load-auditor")
    auditor.groups.add(Group.objects.get(name="auditor"))
    password = secrets.token_urlsafe(20)
    users.create_superuser(ADMIN, password=password)
    tokens = {user.pk: AuthToken.objects.create(user)[1] for user in {*owners, auditor}}
    plan = {"auditor": tokens[auditor.pk], "clients": [{"hot": o == hot, "token": tokens[o.pk]} for o in owners]}
    path.write_text(json.dumps(plan))
    return password


def copy(name: str) -> str:
    """Copy the database as it is now to another one of the server; return its name."""
    main = connection.settings_dict["NAME"]
    connection.close()
    with connection._nodb_cursor() as cursor:
        cursor.execute(f'CREATE DATABASE "{main}_{name}" TEMPLATE "{main}" STRATEGY FILE_COPY')
    return f"{main}_{name}"


def found() -> dict[str, list[Content]]:
    """Return what there is of the clients' expenses, by their keys."""
    there: dict[str, list[Content]] = {}
    rows = Expense.objects.filter(description__startswith=PREFIX).order_by()
    for key, amount, spent_on in rows.values_list("description", "amount", "spent_on"):
        there.setdefault(key, []).append(Content(f"{amount:.2f}", spent_on.isoformat()))
    return there


def remembered() -> set[str]:
    """Return the idempotency keys that the service has answered with success."""
    return set(IdempotencyKey.objects.filter(key__startswith=PREFIX).values_list("key", flat=True))
