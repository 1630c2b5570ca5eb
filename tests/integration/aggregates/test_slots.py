"""Connections add to slots of their own, whatever numbers the server gives their sessions."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from decimal import Decimal

import pytest
from django.contrib.auth.models import User
from django.db import connection, connections
from django.db.backends.base.base import BaseDatabaseWrapper

import aggregates
from aggregates import registry, slots
from aggregates.definitions import MAX_SLOTS
from expenses.models import Category, Expense, ExpenseTotals
from tests.exactness import assert_totals_match
from tests.testapp.models import TicketTotals

pytestmark = [
    pytest.mark.django_db(transaction=True),
    pytest.mark.skipif(connection.vendor != "postgresql", reason="about PostgreSQL's sessions"),
]


@contextmanager
def session() -> Iterator[BaseDatabaseWrapper]:
    """Yield a connection of its own to the database of the test."""
    other = connections.create_connection("default")
    other.inc_thread_sharing()
    try:
        other.ensure_connection()
        yield other
    finally:
        other.close()


@pytest.fixture(autouse=True)
def unclaimed() -> Iterator[None]:
    """No session of another test has a number."""
    connections.close_all()
    yield
    connections.close_all()


@contextmanager
def alike() -> Iterator[list[BaseDatabaseWrapper]]:
    """Yield two sessions whose numbers at the server leave the same remainder, as two of any seventeen do."""
    with ExitStack() as stack:
        found: dict[int, BaseDatabaseWrapper] = {}
        while True:
            other = stack.enter_context(session())
            with other.cursor() as cursor:
                cursor.execute("SET lock_timeout = '2s'")  # so that a writer who waits fails, and does not hang
            if first := found.get(remainder := other.connection.info.backend_pid % 16):
                break
            found[remainder] = other
        yield [first, other]


@contextmanager
def used(as_default: BaseDatabaseWrapper) -> Iterator[None]:
    """Write through another connection in the block."""
    usual = connections["default"]
    connections["default"] = as_default
    try:
        yield
    finally:
        connections["default"] = usual


@contextmanager
def kept(connection: BaseDatabaseWrapper) -> Iterator[None]:
    """Keep a transaction open in the block."""
    connection.set_autocommit(False)
    connection.in_atomic_block = True
    yield
    connection.in_atomic_block = False
    connection.commit()


def number(of: BaseDatabaseWrapper) -> int:
    return slots.number(registry.definition(ExpenseTotals), of)


def expense(owner: User, category: Category) -> Expense:
    return Expense(
        owner=owner,
        category=category,
        amount=Decimal("1.50"),
        currency="EUR",
        spent_on=dt.date(2026, 3, owner.pk % 28 + 1),
    )


def test_each_session_has_the_lowest_number_that_no_other_has() -> None:
    with session() as first, session(), session() as second:
        assert [number(first), number(second), number(first)] == [0, 1, 0]
        first.close()
        with session() as third, session() as fourth:
            assert [number(third), number(second), number(fourth)] == [0, 1, 2]


def test_a_number_outlives_a_rollback() -> None:
    with session() as first, session() as second:
        first.set_autocommit(False)
        assert number(first) == 0
        first.rollback()
        assert [number(second), number(first)] == [1, 0]


def test_sessions_beyond_the_last_number_share_one() -> None:
    with session() as hoarder, session() as late:
        with hoarder.cursor() as cursor:
            cursor.execute(slots.CLAIM.replace("LIMIT 1", ""))
            assert len(cursor.fetchall()) == MAX_SLOTS
        assert number(late) == late.connection.info.backend_pid


def test_totals_without_slots_need_no_number() -> None:
    with session() as other:
        assert slots.number(registry.definition(TicketTotals), other) == 0
        assert number(other) == 0


@pytest.mark.usefixtures("engine_alone")
def test_two_writers_of_one_bucket_do_not_wait_for_each_other_where_the_servers_numbers_share_a_slot() -> None:
    category = Category.objects.create(name="hot")
    owners = [User.objects.create(username=name) for name in ("one", "two")]
    with alike() as writers, ExitStack() as open_:
        for owner, writer in zip(owners, writers, strict=True):
            with used(writer):
                open_.enter_context(kept(writer))
                expense(owner, category).save()
    assert_totals_match()
    assert ExpenseTotals.objects.filter(rollup="overview").count() == len(owners)


@pytest.mark.usefixtures("engine_alone")
def test_a_connection_keeps_to_its_slot_however_it_writes() -> None:
    category, owner = Category.objects.create(name="hot"), User.objects.create(username="owner")
    with session() as other:
        assert number(other) == 0
        saved = expense(owner, category)
        saved.save()
        with aggregates.batch():
            expense(owner, category).save()
        Expense.objects.bulk_create([expense(owner, category)])
        Expense.objects.update(amount=Decimal(3))
        saved.delete()
        rows = ExpenseTotals.objects.filter(rollup="overview")
        assert list(rows.values_list("slot", "amount", "count")) == [(1, Decimal(6), 2)]
    assert_totals_match()
