"""What manage.py purge deletes, and what it leaves."""

from __future__ import annotations

import io
import json
import signal
from datetime import timedelta
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.contrib.sessions.models import Session
from django.core.management import CommandError, call_command
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils import timezone
from knox.models import AuthToken

from aggregates import runs
from aggregates.models import Run
from api.models import IdempotencyKey
from expenses.models import Expense, ExpenseTotals
from tests.integration.api.conftest import client_of
from tests.integration.api.test_idempotency import post
from tests.processes import called

pytestmark = pytest.mark.django_db


def purge(*options: str) -> dict[str, int]:
    out = io.StringIO()
    call_command("purge", "--format", "json", *options, stdout=out)
    counts: dict[str, int] = json.loads(out.getvalue())
    return counts


def aged(model: Any, field: str, days: int, **chosen: Any) -> None:
    model.objects.filter(**chosen).update(**{field: timezone.now() - timedelta(days=days)})


def test_old_keys_are_forgotten_and_younger_ones_kept(owner: User, new: dict[str, Any]) -> None:
    client = client_of(owner)
    for key in ("old", "young"):
        post(client, new, key)
    aged(IdempotencyKey, "created_at", 8, key="old")
    assert purge()["idempotency_keys"] == 1
    assert IdempotencyKey.objects.get().key == "young"
    assert Expense.objects.count() == 2
    assert purge("--key-days", "9")["idempotency_keys"] == 0


def test_expired_tokens_go_and_others_stay(owner: User) -> None:
    client_of(owner)
    client_of(owner)
    AuthToken.objects.create(user=owner, expiry=None)
    expired = AuthToken.objects.filter(expiry__isnull=False).latest("created")
    aged(AuthToken, "expiry", 1, pk=expired.pk)
    assert purge()["tokens"] == 1
    assert AuthToken.objects.count() == 2


def test_expired_sessions_go_and_others_stay(owner: User) -> None:
    for client in (Client(), Client()):
        client.force_login(owner)
    expired = Session.objects.all()[0]
    aged(Session, "expire_date", 1, pk=expired.pk)
    assert purge()["sessions"] == 1
    assert Session.objects.exclude(pk=expired.pk).get()
    assert Session.objects.count() == 1


def run(kind: str, days: int, **values: Any) -> Run:
    at = timezone.now() - timedelta(days=days)
    given = {"totals": ExpenseTotals._meta.label, "state": Run.State.COMPLETE, "fingerprint": "f", **values}
    return Run.objects.create(kind=kind, started_at=at, heartbeat_at=at, **given)


def test_of_old_runs_those_stay_that_tell_how_the_totals_are() -> None:
    last = run("verify", 100, drifted=3)
    clean = run("verify", 101)
    rebuild = run("rebuild", 102)
    other = run("verify", 103, totals="other.Totals")
    running = run("verify", 104, state=Run.State.RUNNING)
    for days in (105, 106):
        run("verify", days)
        run("rebuild", days)
    assert purge()["runs"] == 4
    assert set(Run.objects.all()) == {last, clean, rebuild, other, running}
    assert purge()["runs"] == 0


def test_the_last_complete_verify_stays_for_what_it_found_is_told() -> None:
    run("verify", 100, state=Run.State.INTERRUPTED)
    run("verify", 101, drifted=3)
    run("verify", 102, drifted=4)
    assert purge()["runs"] == 1
    assert runs.drifted(ExpenseTotals) == 3


def test_a_dry_run_says_what_would_go_and_deletes_nothing(owner: User, new: dict[str, Any]) -> None:
    client = client_of(owner)
    post(client, new, "old")
    Client().force_login(owner)
    aged(IdempotencyKey, "created_at", 30)
    aged(AuthToken, "expiry", 1)
    aged(Session, "expire_date", 1)
    run("verify", 100)
    run("verify", 101)
    kinds = (IdempotencyKey, AuthToken, Session, Run)
    before = [model.objects.count() for model in kinds]
    out = io.StringIO()
    call_command("purge", "--dry-run", stdout=out)
    assert out.getvalue() == "Would delete: 1 idempotency keys, 1 tokens, 1 sessions, 1 runs.\n"
    assert [model.objects.count() for model in kinds] == before
    assert purge() == {"idempotency_keys": 1, "tokens": 1, "sessions": 1, "runs": 1}


def test_young_runs_stay(owner: User) -> None:
    call_command("verify_totals", stdout=io.StringIO())
    call_command("verify_totals", stdout=io.StringIO())
    count = Run.objects.count()
    verified = runs.verified_at(ExpenseTotals)
    assert purge()["runs"] == 0
    assert (Run.objects.count(), runs.verified_at(ExpenseTotals)) == (count, verified)


def test_many_go_in_several_transactions(owner: User) -> None:
    IdempotencyKey.objects.bulk_create(
        IdempotencyKey(user=owner, key=str(n), digest="", status=201, body="{}") for n in range(1001)
    )
    aged(IdempotencyKey, "created_at", 30)
    with CaptureQueriesContext(connection) as queries:
        assert purge()["idempotency_keys"] == 1001
    deletes = [query["sql"] for query in queries if query["sql"].startswith("DELETE")]
    assert len(deletes) == 3


def test_it_says_what_went() -> None:
    out = io.StringIO()
    call_command("purge", stdout=out)
    assert out.getvalue() == "Deleted: 0 idempotency keys, 0 tokens, 0 sessions, 0 runs.\n"


@pytest.mark.parametrize("days", ["0", "-1", "x"])
def test_a_number_of_days_is_positive(days: str) -> None:
    with pytest.raises(CommandError, match="not a positive whole number"):
        call_command("purge", "--key-days", days)


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("kind", ["keys", "runs"])
def test_a_purge_that_is_interrupted_keeps_what_it_did_and_says_how_to_go_on(owner: User, kind: str) -> None:
    IdempotencyKey.objects.bulk_create(
        IdempotencyKey(user=owner, key=str(n), digest="", status=201, body="{}") for n in range(501)
    )
    aged(IdempotencyKey, "created_at", 30)
    for days in range(100, 103):
        run("verify", days)
    table = {"keys": IdempotencyKey, "runs": Run}[kind]._meta.db_table
    seen = []

    def interrupt(execute: Any, sql: str, params: Any, many: bool, context: Any) -> Any:
        if sql.startswith("DELETE") and table in sql:
            seen.append(sql)
            if len(seen) == {"keys": 2, "runs": 1}[kind]:
                signal.raise_signal(signal.SIGINT)
        return execute(sql, params, many, context)

    with connection.execute_wrapper(interrupt):
        out, code = called("purge")
    assert (code, "Interrupted." in out, "run purge again" in out) == (3, True, True)
    assert IdempotencyKey.objects.count() == {"keys": 1, "runs": 0}[kind]
    assert purge() == {"idempotency_keys": {"keys": 1, "runs": 0}[kind], "tokens": 0, "sessions": 0, "runs": 2}
