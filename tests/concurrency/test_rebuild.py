"""Verify and rebuild beside writers, readers, each other, and SIGKILL."""

from __future__ import annotations

import datetime as dt
import json
import signal
import threading
from decimal import Decimal

import pytest
from django.contrib.auth.models import User
from django.db import connection
from django.db.models import Sum
from django.utils import timezone

from aggregates import chunks, drift, registry
from aggregates.models import Run
from aggregates.rebuild import Options, rebuild
from aggregates.verify import verify
from expenses.models import Category, Expense, ExpenseTotals
from tests.concurrency.threads import together, wait_until
from tests.exactness import assert_totals_match
from tests.processes import called, running

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.long]


@pytest.fixture
def expenses():
    owner = User.objects.create(username="owner")
    categories = [Category.objects.create(name=name) for name in "ABC"]
    return Expense.objects.bulk_create(
        Expense(
            owner=owner,
            category=categories[i % 3],
            amount=Decimal(i) / 100,
            currency=("EUR", "JPY")[i % 2],
            spent_on=dt.date(2026, 1 + i % 12, 1 + i % 28),
        )
        for i in range(600)
    )


def corrupt(sql):
    with connection.cursor() as cursor:
        cursor.execute(sql)
        return cursor.rowcount


CORRUPTIONS = {
    "amounts": "UPDATE expenses_expensetotals SET amount = amount + 12345 WHERE rollup = 'day' AND count > 1",
    "counts": "UPDATE expenses_expensetotals SET count = count + 1 WHERE rollup = 'month'",
    "rows lost": "DELETE FROM expenses_expensetotals WHERE rollup = 'overview'",
    "everything lost": "DELETE FROM expenses_expensetotals",
    "dimensions": "UPDATE expenses_expensetotals SET currency = 'USD' WHERE rollup = 'month' AND currency = 'JPY'",
    "rollups": "UPDATE expenses_expensetotals SET rollup = 'gone' WHERE rollup = 'month' AND currency = 'JPY'",
}


@pytest.mark.guarantee("verify and rebuild beside writers", "exact")
@pytest.mark.parametrize(
    ("kind", "mode"),
    [*((kind, []) for kind in CORRUPTIONS), *((kind, ["--from-scratch"]) for kind in ("everything lost", "rollups"))],
)
def test_a_rebuild_repairs_while_another_process_writes(expenses, kind, mode):
    with running("-m", "tests.concurrency.writer", "7") as writer:
        for _ in range(10):
            writer.stdout.readline()
        assert corrupt(CORRUPTIONS[kind]) > 0
        assert called("verify_totals")[1] == 1
        report, status = called("rebuild_totals", "--batch-size", "100", *mode)
        written = writer.stdout.readline()
        out, err = writer.communicate("stop\n")
    assert writer.returncode == 0, err
    assert int([written, *out.split()][-1]) > 10, "the writer went on all the while"
    assert status == 0, report
    report, status = called("verify_totals")
    assert status == 0, report


@pytest.mark.guarantee("verify and rebuild beside writers", "exact")
def test_verify_raises_no_false_alarm_beside_a_writer(expenses):
    with running("-m", "tests.concurrency.writer", "8") as writer:
        writer.stdout.readline()
        for _ in range(10):
            (definition,) = [d for d in registry.definitions() if d.totals is ExpenseTotals]
            found = [f for _run, c in verify(definition, using="default", clock=timezone.now) for f in c.drift]
            assert not found
        writer.communicate("stop\n")
    assert writer.returncode == 0


def test_verify_names_exactly_the_corrupted_buckets(expenses):
    chosen = list(ExpenseTotals.objects.filter(rollup="day").order_by("pk")[:3])
    for total in chosen:
        corrupt(f"UPDATE expenses_expensetotals SET amount = amount + 100 WHERE id = '{_stored(total.pk)}'")
    report = json.loads(called("verify_totals", "--format", "json")[0])
    assert not report["clean"]
    assert {(d["rollup"], d["bucket"]["day"], d["bucket"]["category"]) for d in report["drift"]} == {
        ("day", total.day.isoformat(), total.category_id) for total in chosen
    }
    assert {d["difference"]["amount"] for d in report["drift"]} == {"-0.0100"}


def _stored(key):
    return key if connection.features.has_native_uuid_field else key.hex


def test_a_rebuild_from_scratch_never_shows_a_total_that_is_not_true(expenses):
    true = dict(Expense.objects.order_by().values_list("currency").annotate(Sum("amount")))
    done = threading.Event()
    seen = []

    def reader():
        while not done.is_set():
            for rollup in ("day", "month", "overview"):
                rows = ExpenseTotals.objects.filter(rollup=rollup).order_by()
                seen.append(dict(rows.values_list("currency").annotate(Sum("amount"))))

    def rebuilder():
        try:
            (definition,) = [d for d in registry.definitions() if d.totals is ExpenseTotals]
            for _ in range(3):
                for _step in rebuild(
                    definition, Options(from_scratch=True, batch_size=50), using="default", clock=timezone.now
                ):
                    pass
        finally:
            done.set()

    together(reader, rebuilder)
    assert len(seen) > 3
    assert all(sums == true for sums in seen)
    assert_totals_match()


def test_two_rebuilds_at_once_correct_once(expenses):
    corrupt(CORRUPTIONS["everything lost"])
    (definition,) = [d for d in registry.definitions() if d.totals is ExpenseTotals]
    start = threading.Barrier(2)

    def run():
        start.wait()
        for _step in rebuild(definition, Options(batch_size=50), using="default", clock=timezone.now):
            pass

    together(run, run)
    assert_totals_match()


@pytest.mark.parametrize("mode", [[], ["--from-scratch"]], ids=["drift", "from scratch"])
@pytest.mark.parametrize("end", [signal.SIGKILL, signal.SIGINT, signal.SIGTERM])
def test_a_rebuild_that_is_broken_off_is_finished_by_the_next(expenses, mode, end):
    corrupt(CORRUPTIONS["everything lost"])
    with running("manage.py", "rebuild_totals", "--batch-size", "1", *mode) as first:
        wait_until(
            lambda: Run.objects.filter(chunks_done__gt=0).exists() or first.poll() is not None, "one chunk is done"
        )
        first.send_signal(end)
        first.wait()
    run = Run.objects.get()
    if end != signal.SIGKILL:
        assert first.returncode == 3
        assert run.state == Run.State.INTERRUPTED
    assert 0 < run.chunks_done < run.chunks
    assert any(
        drift.compare(d, chunks.whole(r), using="default").drift for d in registry.definitions() for r in d.rollups
    )
    assert called("rebuild_totals", *mode)[1] == 0
    assert_totals_match()
