"""A transaction whose end fails: what may be committed is not called lost, and not tried again."""

from __future__ import annotations

from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import pytest
from django.db import (
    DEFAULT_DB_ALIAS,
    Error,
    IntegrityError,
    InterfaceError,
    OperationalError,
    connection,
    connections,
    transaction,
)

import aggregates
from aggregates import commits, transactions
from aggregates.exceptions import CommitInDoubt
from aggregates.signals import transaction_retried
from tests.concurrency.threads import together
from tests.exactness import assert_totals_match
from tests.faults.failing import cut
from tests.testapp.models import Ticket

PANIC = SimpleNamespace(severity_nonlocalized="PANIC")
DEADLOCK = (1213, "Deadlock found when trying to get lock; try restarting transaction")


def plainly(write: Callable[[], Any]) -> None:
    """Write as a view of the admin does: the transaction is Django's own."""
    with transaction.atomic():
        write()


def in_a_batch(write: Callable[[], Any]) -> None:
    with aggregates.batch():
        write()


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("begun", [transactions.run, in_a_batch])
def test_a_conflict_after_the_commit_is_not_tried_again(begun: Callable[[Callable[[], Any]], Any]) -> None:
    def fail() -> None:
        raise OperationalError(*DEADLOCK)

    def operation() -> None:
        Ticket.objects.create(gate="a", price=1)
        transaction.on_commit(fail)

    with pytest.raises(CommitInDoubt, match="Deadlock"):
        begun(operation)
    assert Ticket.objects.count() == 1
    assert_totals_match()


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("begun", [transactions.run, plainly, in_a_batch])
@pytest.mark.parametrize("made", [True, False], ids=["made", "not made"])
def test_a_commit_without_a_reply_is_in_doubt_and_not_tried_again(
    monkeypatch: pytest.MonkeyPatch, begun: Callable[[Callable[[], Any]], Any], *, made: bool
) -> None:
    def cut_off(itself: Any) -> None:
        if made:
            commit(itself)
        raise OperationalError("server closed the connection unexpectedly")

    database = type(connections[DEFAULT_DB_ALIAS])
    commit = database._commit
    with monkeypatch.context() as patched:
        patched.setattr(database, "_commit", cut_off)
        with pytest.raises(CommitInDoubt):
            begun(lambda: Ticket.objects.create(gate="a", price=1))
    assert Ticket.objects.count() == made
    assert_totals_match()


@pytest.mark.row_locks
@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("begun", [transactions.run, plainly, in_a_batch])
def test_a_connection_that_is_lost_with_the_reply_to_its_commit_is_no_sign_that_nothing_is_stored(
    monkeypatch: pytest.MonkeyPatch, begun: Callable[[Callable[[], Any]], Any]
) -> None:
    def replied_and_cut_off(itself: Any) -> None:
        commit(itself)
        cut()

    database = type(connections[DEFAULT_DB_ALIAS])
    commit = database._commit
    with monkeypatch.context() as patched:
        patched.setattr(database, "_commit", replied_and_cut_off)
        try:
            with pytest.raises(CommitInDoubt):
                begun(lambda: Ticket.objects.create(gate="a", price=1))
        finally:
            connection.close()
    assert Ticket.objects.count() == 1
    assert_totals_match()


@pytest.mark.row_locks
@pytest.mark.django_db(transaction=True)
def test_a_conflict_within_a_block_is_tried_again_from_where_the_transaction_began() -> None:
    Ticket.objects.create(gate="a", price=1)
    meanwhile, retried = [lambda: Ticket.objects.update(price=2)], []

    def note(**told: Any) -> None:
        retried.append(told["error"])

    def operation() -> None:
        with connection.cursor() as cursor:
            cursor.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ")
        ticket = Ticket.objects.get()
        while meanwhile:
            together(meanwhile.pop())
        ticket.price += 5
        ticket.save()  # which would try again by itself, were it not within another

    transaction_retried.connect(note)
    try:
        transactions.run(operation)
    finally:
        transaction_retried.disconnect(note)
    assert Ticket.objects.get().price == 2 + 5
    assert len(retried) == 1
    assert_totals_match()


def caused(error: Error, **known: Any) -> Error:
    """Return an error as Django raises it, with what its driver tells of it."""
    error.__cause__ = Exception()
    for name, value in known.items():
        setattr(error.__cause__, name, value)
    return error


@pytest.mark.once
@pytest.mark.parametrize(
    ("error", "open_"),
    [
        (caused(OperationalError("server closed the connection"), sqlstate=None), True),
        (caused(OperationalError("terminating connection"), sqlstate="57P01"), True),
        (caused(OperationalError("connection failure"), sqlstate="08006"), True),
        (caused(OperationalError("deadlock detected"), sqlstate="40P01"), False),
        (caused(OperationalError("no space left on device"), sqlstate="53100"), False),
        (caused(OperationalError("no room for the log"), sqlstate="53100", diag=PANIC), True),
        (caused(OperationalError("disk I/O error"), sqlite_errorname="SQLITE_IOERR_FSYNC"), True),
        (caused(OperationalError("database or disk is full"), sqlite_errorname="SQLITE_FULL"), False),
        (OperationalError(2013, "Lost connection to server during query"), True),
        (OperationalError(*DEADLOCK), False),
        (InterfaceError("connection already closed"), True),
        (InterfaceError(), True),
        (IntegrityError("foreign key"), False),
    ],
    ids=str,
)
def test_an_answer_of_the_database_leaves_nothing_open(error: Error, *, open_: bool) -> None:
    assert commits.leaves_open(error) == open_
