"""An error that somebody swallows within the transaction: what is not stored is not reported as stored.

PostgreSQL answers the COMMIT of a transaction in which a statement failed with a rollback, and no
error; Django rolls back a block that it has marked, and raises nothing either.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Any

import pytest
from django.db import DatabaseError, connection, transaction
from django.db.models.signals import ModelSignal, post_delete, post_save, pre_delete, pre_save

import aggregates
from aggregates import transactions
from aggregates.exceptions import WriteLost
from aggregates.signals import transaction_retried
from expenses.models import Expense
from tests.exactness import assert_totals_match
from tests.faults.books import KEYED, NEW, Books, key
from tests.integration.aggregates.conftest import Receive
from tests.integration.aggregates.conftest import receive as receive  # noqa: PLC0414 - a fixture
from tests.integration.api.conftest import EXPENSES, assert_problem
from tests.testapp.models import Ticket

pytestmark = [
    pytest.mark.django_db(transaction=True),
    pytest.mark.skipif(connection.vendor == "mysql", reason="shown on PostgreSQL and SQLite"),
]
on_postgresql = pytest.mark.skipif(connection.vendor != "postgresql", reason="SQLite's transactions outlive an error")


def run(sql: str) -> None:
    with connection.cursor() as cursor:
        cursor.execute(sql)


def by_raw_sql() -> None:
    with suppress(DatabaseError):
        run("SELECT 1 FROM nowhere")


def by_a_save() -> None:
    with suppress(DatabaseError):
        Ticket(gate=None, price=1).save()


def by_a_bulk_create() -> None:
    with suppress(DatabaseError):
        Ticket.objects.bulk_create([Ticket(gate=None, price=1)])


def by_closing_the_connection() -> None:
    connection.close()


SWALLOWED = [by_raw_sql, by_a_save, by_a_bulk_create, by_closing_the_connection]


def in_a_block_of_its_own() -> None:
    with suppress(DatabaseError), transaction.atomic():
        run("SELECT 1 FROM nowhere")


def in_a_savepoint_by_hand() -> None:
    savepoint = transaction.savepoint()
    by_raw_sql()
    transaction.savepoint_rollback(savepoint)


@pytest.fixture
def books(transactional_db: None) -> Books:
    books = Books()
    books.begin()
    return books


def save(books: Books) -> bool:
    """Write, and return whether what was written is there."""
    books.expense(9).save()
    return Expense.objects.filter(pk=key(9)).exists()


def change(books: Books) -> bool:
    expense = Expense.objects.get(pk=key(1))
    expense.amount = 77
    expense.save()
    return Expense.objects.filter(amount=77).exists()


def delete(books: Books) -> bool:
    Expense.objects.get(pk=key(1)).delete()
    return not Expense.objects.filter(pk=key(1)).exists()


def delete_many(books: Books) -> bool:
    Expense.objects.filter(pk__in=[key(1), key(2)]).delete()
    return not Expense.objects.filter(pk=key(1)).exists()


IN_FULL = pytest.mark.in_full
WRITES = [pytest.param(s, w, marks=m) for s in (pre_save, post_save) for w, m in ((save, ()), (change, IN_FULL))]
WRITES += [
    pytest.param(s, w, marks=m) for s in (pre_delete, post_delete) for w, m in ((delete, ()), (delete_many, IN_FULL))
]
NAMES = {id(pre_save): "pre_save", id(post_save): "post_save"}
NAMES |= {id(pre_delete): "pre_delete", id(post_delete): "post_delete"}


def name(value: Any) -> str:
    return NAMES.get(id(value)) or value.__name__


@pytest.mark.parametrize("swallow", SWALLOWED, ids=name)
@pytest.mark.parametrize(("signal", "write"), WRITES, ids=name)
def test_a_write_returns_only_if_it_is_stored_whatever_its_receiver_swallows(
    books: Books,
    receive: Receive,
    signal: ModelSignal,
    write: Callable[[Books], bool],
    swallow: Callable[[], None],
) -> None:
    before = list(Expense.objects.order_by("pk").values())
    receive(signal, Expense, lambda instance: swallow())
    if swallow is by_raw_sql and connection.vendor == "sqlite":  # whose transactions outlive an error
        assert write(books)
        assert_totals_match()
        return
    try:
        assert write(books)  # tried again, where the engine sees that its transaction is gone
    except WriteLost:
        assert list(Expense.objects.order_by("pk").values()) == before
        assert_totals_match()
        assert write(books)  # the receiver is called once
    assert_totals_match()


@pytest.mark.parametrize("go_on", [in_a_block_of_its_own, in_a_savepoint_by_hand], ids=name)
@pytest.mark.parametrize(("signal", "write"), WRITES, ids=name)
def test_an_error_that_is_rolled_back_by_whoever_swallows_it_is_none_of_the_write(
    books: Books, receive: Receive, signal: ModelSignal, write: Callable[[Books], bool], go_on: Callable[[], None]
) -> None:
    receive(signal, Expense, lambda instance: go_on())
    assert write(books)
    assert_totals_match()


@pytest.mark.parametrize("swallow", SWALLOWED, ids=name)
@pytest.mark.parametrize("keyed", [{}, KEYED], ids=["without_key", "with_key"])
def test_no_request_is_answered_201_for_what_is_not_stored(
    books: Books, receive: Receive, keyed: dict[str, Any], swallow: Callable[[], None]
) -> None:
    receive(post_save, Expense, lambda instance: swallow())
    count = Expense.objects.count()
    response = books.client.post(EXPENSES, NEW, **keyed)
    if response.status_code == 201:
        assert Expense.objects.filter(pk=response.json()["id"]).exists()
    else:
        assert_problem(response, 503, "unavailable")
        assert int(response["Retry-After"]) > 0
        assert Expense.objects.count() == count
        assert books.client.post(EXPENSES, NEW, **keyed).status_code == 201
    assert Expense.objects.count() == count + 1
    assert_totals_match()


@on_postgresql
@pytest.mark.parametrize("write", [save, change, delete, delete_many], ids=name)
def test_a_block_that_swallows_an_error_after_its_write_does_not_end_as_if_it_were_committed(
    books: Books, write: Callable[[Books], bool]
) -> None:
    before, told = list(Expense.objects.order_by("pk").values()), []
    with pytest.raises(WriteLost) as raised, transaction.atomic():
        transaction.on_commit(lambda: told.append("committed"))
        write(books)
        by_raw_sql()
    assert "nowhere" in str(raised.value.__cause__)
    assert not told
    assert list(Expense.objects.order_by("pk").values()) == before
    assert_totals_match()


@pytest.mark.parametrize("swallow", [s for s in SWALLOWED if connection.vendor != "sqlite" or s is not by_raw_sql])
def test_a_batch_that_swallows_an_error_does_not_end_as_if_it_were_committed(
    books: Books, swallow: Callable[[], None]
) -> None:
    with pytest.raises(WriteLost), aggregates.batch():
        books.expense(9).save()
        swallow()
    assert not Expense.objects.filter(pk=key(9)).exists()
    assert_totals_match()


@contextmanager
def retries() -> Iterator[list[BaseException]]:
    """Yield the errors after which a transaction was tried again."""
    errors: list[BaseException] = []

    def note(error: BaseException, **_signal: Any) -> None:
        errors.append(error)

    transaction_retried.connect(note)
    try:
        yield errors
    finally:
        transaction_retried.disconnect(note)


@on_postgresql
@pytest.mark.parametrize("state", ["40P01", "40001", "55P03"])
@pytest.mark.parametrize("signal", [pre_save, post_save], ids=name)
def test_a_conflict_that_a_receiver_swallows_is_tried_again(
    books: Books, receive: Receive, signal: ModelSignal, state: str
) -> None:
    def conflict(instance: Expense) -> None:
        with suppress(DatabaseError):
            run(f"DO $$ BEGIN RAISE EXCEPTION 'a conflict' USING ERRCODE = '{state}'; END $$")

    receive(signal, Expense, conflict)
    with retries() as errors:
        assert save(books)
    assert [type(error) for error in errors] == [WriteLost]
    assert_totals_match()


@pytest.mark.skipif(connection.vendor != "sqlite", reason="such a statement is SQLite's")
def test_a_transaction_that_sqlite_has_ended_is_not_gone_on_with(books: Books) -> None:
    """Else what comes next would be committed by itself."""
    before = list(Expense.objects.order_by("pk").values())

    def operation() -> None:
        books.expense(8).save()
        with suppress(DatabaseError):
            run("INSERT OR ROLLBACK INTO expenses_category (id, name) VALUES (1, 'there already')")
        with suppress(DatabaseError):
            books.expense(9).save()

    with pytest.raises(WriteLost):
        transactions.run(operation)
    assert list(Expense.objects.order_by("pk").values()) == before
    assert_totals_match()
