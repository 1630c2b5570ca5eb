"""Two writers, and a writer and a rebuild, statement by statement, in every order there is."""

from __future__ import annotations

import copy
import datetime as dt
import itertools
import threading
import time
from decimal import Decimal

import pytest
from django.contrib.auth.models import User
from django.db import connection, connections, transaction
from django.db.models.deletion import Collector
from django.utils import timezone

from aggregates import chunks, drift, registry, transactions
from aggregates.rebuild import Options, rebuild
from expenses.models import Category, Expense, ExpenseTotals
from tests.concurrency.threads import PATIENCE, session, sessions_that_wait_for_a_lock
from tests.exactness import assert_totals_match
from tests.integration.aggregates.conftest import quoted

pytestmark = [
    pytest.mark.long,
    pytest.mark.django_db(transaction=True),
    pytest.mark.row_locks,
    pytest.mark.usefixtures("engine_alone"),
]

# Read and lock, write, read again and add the delta, commit; on PostgreSQL the first two are one.
STEPS = 3 if connection.vendor == "postgresql" else 4


class Stepper:
    """A writer in a thread of its own that waits before each step for leave to take it."""

    def __init__(self, operation):
        self.leave = threading.Semaphore(0)
        self.waiting = threading.Event()
        self.error = None
        self.session = None
        self.thread = threading.Thread(target=self.run, args=(operation,))
        self.thread.start()

    def run(self, operation):
        try:
            self.session = session()
            with connection.execute_wrapper(self.before_statement):
                transactions.run(lambda: self.transact(operation))
        except Exception as error:  # noqa: BLE001 - looked at by the test
            self.error = error
        finally:
            connections.close_all()

    def transact(self, operation):
        operation()
        self.pause()

    def before_statement(self, execute, sql, params, many, context):
        # The post-image and the delta are one step: nobody else can tell them apart.
        if "FOR UPDATE" in sql or not sql.startswith(("SELECT", "SAVEPOINT", "RELEASE")):
            self.pause()
        return execute(sql, params, many, context)

    def pause(self):
        self.waiting.set()
        assert self.leave.acquire(timeout=PATIENCE)

    @property
    def blocked(self):
        return self.session in sessions_that_wait_for_a_lock()

    def step(self):
        """Let the writer take one step, up to the next, its end, or a lock that the other one holds."""
        if not self.waiting.is_set():
            return  # it still waits for a lock
        self.waiting.clear()
        self.leave.release()
        deadline = time.monotonic() + PATIENCE
        while not self.waiting.wait(0.001) and self.thread.is_alive() and not self.blocked:
            assert time.monotonic() < deadline, "a step is never taken"


def finish(writers):
    """Let the writers take all the steps that are left, and return the errors they ended with."""
    while any(writer.thread.is_alive() for writer in writers):
        for writer in writers:
            writer.leave.release()
            writer.thread.join(0.001)
    return [writer.error for writer in writers]


class Repairer(Stepper):
    """A rebuild that waits before each comparison and each correction."""

    def run(self, operation):
        try:
            self.session = session()
            with connection.execute_wrapper(self.before_statement):
                operation()
        except Exception as error:  # noqa: BLE001 - looked at by the test
            self.error = error
        finally:
            connections.close_all()

    def before_statement(self, execute, sql, params, many, context):
        if "WITH fine" in sql or sql.startswith(f"INSERT INTO {quoted(ExpenseTotals)}"):
            self.pause()
        return execute(sql, params, many, context)


def orders(others=STEPS):
    for chosen in itertools.combinations(range(STEPS + others), STEPS):
        yield "".join("A" if step in chosen else "B" for step in range(STEPS + others))


@pytest.fixture
def ledgers():
    owner = User.objects.create(username="owner")
    food, travel = (Category.objects.create(name=name) for name in ("food", "travel"))
    one, two = (
        Expense.objects.create(owner=owner, category=food, amount=10, currency="EUR", spent_on=dt.date(2026, 3, n))
        for n in (1, 1)
    )
    return owner, food, travel, one, two


def changed(expense, **values):
    mine = copy.copy(expense)
    for name, value in values.items():
        setattr(mine, name, value)
    return mine.save


def updated(**values):
    return lambda: Expense.objects.filter(status="submitted").update(**values)


def collected(*expenses):
    def delete():
        collector = Collector(using="default")
        collector.collect(list(map(copy.copy, expenses)))
        collector.delete()

    return delete


def inserted(owner, category):
    return lambda: Expense(
        owner=owner, category=category, amount=Decimal(3), currency="EUR", spent_on=dt.date(2026, 9, 9)
    ).save()


SCENARIOS = {
    "the same row": lambda o, food, travel, one, two: (changed(one, amount=20), changed(one, category=travel)),
    "the same bucket": lambda o, food, travel, one, two: (changed(one, amount=20), changed(two, amount=30)),
    "opposite moves": lambda o, food, travel, one, two: (changed(one, category=travel), changed(two, category=None)),
    "a new bucket": lambda o, food, travel, one, two: (inserted(o, travel), inserted(o, travel)),
    "a delete and a change": lambda o, food, travel, one, two: (
        lambda: Expense.objects.filter(pk=one.pk).delete(),
        changed(one, amount=50),
    ),
    "an update and an insert": lambda o, food, travel, one, two: (updated(amount=5), inserted(o, food)),
    "a cascade and an update": lambda o, food, travel, one, two: (collected(one, two), updated(amount=5)),
    "two updates": lambda o, food, travel, one, two: (updated(category=travel), updated(status="approved")),
}


@pytest.mark.guarantee("two writers, in every order of their steps", "exact")
@pytest.mark.parametrize("scenario", SCENARIOS.values(), ids=SCENARIOS)
def test_no_order_of_the_steps_of_two_writers_loses_anything(ledgers, scenario):
    for order in orders():
        with transaction.atomic():
            Expense.objects.all().delete()
            Expense.objects.bulk_create(ledgers[3:])
        writers = dict(zip("AB", map(Stepper, scenario(*ledgers)), strict=True))
        for writer in writers.values():
            assert writer.waiting.wait(PATIENCE)
        for turn in order:
            writers[turn].step()
        assert finish(writers.values()) == [None, None], order
        assert_totals_match()


REPAIRS = 3  # compare, correct, compare again


def rebuilt():
    definition = registry.definition(ExpenseTotals)
    list(rebuild(definition, Options(), using="default", clock=timezone.now))


def assert_no_false_alarm():
    definition = registry.definition(ExpenseTotals)
    for rollup in definition.rollups[1:]:  # the first is the one that is spoilt
        assert not drift.compare(definition, chunks.whole(rollup), using="default").drift


@pytest.mark.guarantee("verify and rebuild beside writers", "exact")
@pytest.mark.parametrize("scenario", ["the same row", "a new bucket"])
def test_no_order_of_the_steps_of_a_writer_and_a_rebuild_loses_anything_or_alarms(ledgers, scenario):
    for order in orders(REPAIRS):
        with transaction.atomic():
            Expense.objects.all().delete()
            Expense.objects.bulk_create(ledgers[3:])
        spoil = f"UPDATE {quoted(ExpenseTotals)} SET amount = amount + 7, count = count - 1 WHERE rollup = %s"
        with connection.cursor() as cursor:
            cursor.execute(spoil, [registry.definition(ExpenseTotals).rollups[0].name])
        first, _second = SCENARIOS[scenario](*ledgers)
        turns = {"A": Stepper(first), "B": Repairer(rebuilt)}
        for turn in turns.values():
            assert turn.waiting.wait(PATIENCE)
        for turn in order:
            turns[turn].step()
            assert_no_false_alarm()
        assert finish(turns.values()) == [None, None], order
        assert_totals_match()
