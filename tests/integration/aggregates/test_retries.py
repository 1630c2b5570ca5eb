"""The outermost transaction is tried again after a conflict; nothing else is."""

from __future__ import annotations

from typing import Any

import pytest
from django.db import OperationalError, connection, transaction

from aggregates import transactions
from aggregates.exceptions import ConcurrentInsert
from tests.integration.aggregates.exactness import assert_exact
from tests.testapp.models import Ticket

pytestmark = pytest.mark.django_db(transaction=True)


class Failing:
    """An operation that writes a ticket and then fails as often as it is told."""

    def __init__(self, *errors: Exception) -> None:
        self.errors = list(errors)
        self.runs = 0

    def __call__(self) -> str:
        self.runs += 1
        Ticket.objects.create(gate="a", price=1)
        if self.errors:
            raise self.errors.pop(0)
        return "done"


def test_a_conflict_is_tried_again_from_the_start() -> None:
    operation = Failing(ConcurrentInsert(), ConcurrentInsert())
    assert transactions.run(operation) == "done"
    assert (operation.runs, Ticket.objects.count()) == (3, 1)
    assert_exact()


def test_another_error_is_not_tried_again_and_leaves_nothing() -> None:
    operation = Failing(OperationalError("the disk is full"))
    with pytest.raises(OperationalError):
        transactions.run(operation)
    assert (operation.runs, Ticket.objects.count()) == (1, 0)
    assert_exact()


def test_tries_are_bounded(settings: Any) -> None:
    settings.AGGREGATES = {"RETRIES": 2}
    operation = Failing(*[ConcurrentInsert()] * 5)
    with pytest.raises(ConcurrentInsert):
        transactions.run(operation)
    assert (operation.runs, Ticket.objects.count()) == (3, 0)


def test_no_more_is_tried_once_the_time_is_up(settings: Any) -> None:
    settings.AGGREGATES = {"RETRY_SECONDS": -1}
    operation = Failing(ConcurrentInsert())
    with pytest.raises(ConcurrentInsert):
        transactions.run(operation)
    assert operation.runs == 1


def test_an_inner_operation_leaves_the_trying_to_the_outermost() -> None:
    operation = Failing(ConcurrentInsert())
    with pytest.raises(ConcurrentInsert), transaction.atomic():
        transactions.run(operation)
    assert (operation.runs, Ticket.objects.count()) == (1, 0)


def test_a_conflict_while_the_rows_written_are_added_up_is_tried_again() -> None:
    Ticket.objects.bulk_create(Ticket(gate="a", price=price) for price in (1, 2))
    conflicts = [OperationalError(1213, "Deadlock found when trying to get lock; try restarting transaction")]

    def deadlock(execute: Any, sql: str, params: Any, many: bool, context: Any) -> Any:
        if "GROUP BY" in sql and conflicts:
            raise conflicts.pop()
        return execute(sql, params, many, context)

    with connection.execute_wrapper(deadlock):
        assert Ticket.objects.update(price=5) == 2
    assert not conflicts
    assert set(Ticket.objects.values_list("price", flat=True)) == {5}
    assert_exact()


def test_a_save_is_tried_again_by_itself(monkeypatch: pytest.MonkeyPatch) -> None:
    failures = [ConcurrentInsert(), ConcurrentInsert()]
    save = Ticket._save_table

    def failing(self: Ticket, *arguments: Any, **options: Any) -> bool:
        saved = save(self, *arguments, **options)
        if failures:
            raise failures.pop()
        return saved

    monkeypatch.setattr(Ticket, "_save_table", failing)
    Ticket(gate="a", price=1).save()
    assert Ticket.objects.get().price == 1
    assert_exact()
