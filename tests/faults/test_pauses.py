"""A process is stopped in the middle of a transaction: others time out cleanly, and nothing of it is half stored."""

from __future__ import annotations

import os
import signal
import subprocess
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

import pytest
from django.contrib.auth.models import User
from django.db import OperationalError, connection, transaction

from expenses.models import Expense
from tests.concurrency.threads import somebody_waits_for_a_lock, together, wait_until
from tests.exactness import assert_totals_match
from tests.faults.client import EXPENSES, NOTHING
from tests.faults.databases import Files, Server
from tests.faults.failing import open_transactions
from tests.faults.service import client_of, serving
from tests.faults.test_shortages import NEW, TOTALS, assert_unavailable
from tests.processes import PATIENCE, running

pytestmark = pytest.mark.long

INSIDE = """
import django
django.setup()
from django.db import transaction
from expenses.models import Expense
with transaction.atomic():
    Expense.objects.update(amount=7)
    print("inside", flush=True)
    input()
"""


@contextmanager
def paused(number: int) -> Iterator[None]:
    """Stop a process for as long as the block takes."""
    os.kill(number, signal.SIGSTOP)
    try:
        yield
    finally:
        os.kill(number, signal.SIGCONT)


@contextmanager
def in_a_transaction() -> Iterator[subprocess.Popen[str]]:
    """Yield a process that has changed every expense and has not committed; it does so when told to."""
    with running("-c", INSIDE) as process:
        assert process.stdout
        assert process.stdout.readline() == "inside\n"
        yield process
        process.communicate("commit\n", timeout=PATIENCE)
        assert process.returncode == 0


def test_whoever_meets_a_paused_process_is_refused_in_time_and_written_later(own: Files | Server, owner: User) -> None:
    with (
        serving("--workers=1", LOCK_SECONDS="0.5", RETRY_SECONDS="0") as service,
        client_of(service, owner) as client,
    ):
        path = f"{EXPENSES}{client.post(EXPENSES, json=NEW).json()['id']}/"
        with in_a_transaction() as process, paused(process.pid):
            refused = client.patch(path, json={"status": "approved"})
            assert_unavailable(refused)
            assert NOTHING in refused.json()["detail"]
            assert client.get(TOTALS).json()["results"][0]["sum"] == "12.50"
            assert_totals_match()
        assert client.patch(path, json={"status": "approved"}).json()["amount"] == "7.00"
    assert_totals_match()


@pytest.mark.row_locks
@pytest.mark.in_full  # that the server ends it, tests/integration/test_waits.py shows
def test_the_transaction_of_a_paused_worker_is_ended_and_its_request_refused(own: Server, owner: User) -> None:
    with (
        serving("--workers=1", IDLE_SECONDS="3") as service,
        client_of(service, owner) as client,
        ThreadPoolExecutor() as pool,
    ):
        path = f"{EXPENSES}{client.post(EXPENSES, json=NEW).json()['id']}/"
        with transaction.atomic():
            Expense.objects.select_for_update().get()
            patched = pool.submit(client.patch, path, json={"amount": "99.00"})
            # In another session: within a transaction the server tells no news of who waits.
            together(lambda: wait_until(somebody_waits_for_a_lock, "the worker waits for the row"))
            (worker,) = service.workers
            os.kill(worker, signal.SIGSTOP)
        try:
            wait_until(
                lambda: bool(open_transactions()), "the worker's session has the row, and nobody goes on with it"
            )
            with pytest.raises(OperationalError, match="lock timeout"), transaction.atomic():
                impatient("100ms")
                Expense.objects.update(amount=7)
            assert_totals_match()
            assert Expense.objects.update(amount=7) == 1  # waits until the server has ended the session
        finally:
            os.kill(worker, signal.SIGCONT)
        refused = patched.result(PATIENCE)
        assert_unavailable(refused)
        assert NOTHING in refused.json()["detail"]
        assert client.get(path).json()["amount"] == "7.00"
    assert_totals_match()


def impatient(time: str) -> None:
    with connection.cursor() as cursor:
        cursor.execute(f"SET LOCAL lock_timeout = '{time}'")
