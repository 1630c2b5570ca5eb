"""Batches, savepoints, the bounds of a total, and hosts that look over the connection's shoulder."""

from __future__ import annotations

import threading
from collections.abc import Callable
from contextlib import suppress
from decimal import Decimal
from typing import Any

import pytest
from django.db import connection, transaction
from django.test.utils import CaptureQueriesContext

import aggregates
from aggregates import ledger
from aggregates.exceptions import OutsideTransaction, TotalOutOfRange
from aggregates.fields import MAX_VALUE
from tests.integration.aggregates.conftest import NOON, Warehouse, quoted
from tests.integration.aggregates.exactness import assert_exact, stored
from tests.testapp.models import Movement, MovementTotals, Reading, ReadingTotals, Ticket, TicketTotals

pytestmark = pytest.mark.django_db


def _writes(warehouse: Warehouse) -> None:
    movement = warehouse.moved(quantity=1)
    movement.quantity, movement.kind = 2, "out"
    movement.save()
    Movement.objects.bulk_create([warehouse.movement(quantity=n, kind="in") for n in range(3)])
    Movement.objects.filter(quantity=2).update(item=None)
    Movement.objects.filter(quantity=1).delete()
    warehouse.moved().delete()


@pytest.mark.guarantee("aggregates.batch()", "exact")
def test_a_batch_applies_the_net_of_its_writes(warehouse: Warehouse) -> None:
    with aggregates.batch():
        _writes(warehouse)
    assert_exact()


def test_a_batch_writes_totals_once_and_at_its_end(warehouse: Warehouse) -> None:
    with CaptureQueriesContext(connection) as queries, aggregates.batch():
        for _ in range(5):
            warehouse.moved()
        assert not MovementTotals.objects.exists()
    assert sum(f"INTO {quoted(MovementTotals)}" in query["sql"] for query in queries) == 1
    assert_exact()


def test_a_batch_whose_writes_cancel_out_writes_no_totals(warehouse: Warehouse) -> None:
    with aggregates.batch():
        warehouse.moved().delete()
    assert not MovementTotals.objects.exists()
    assert_exact()


@pytest.mark.guarantee("aggregates.batch()", "exact")
def test_a_batch_that_raises_leaves_nothing(warehouse: Warehouse) -> None:
    with pytest.raises(ZeroDivisionError), aggregates.batch():
        _writes(warehouse)
        raise ZeroDivisionError
    assert not Movement.objects.exists()
    assert_exact()
    warehouse.moved()
    assert_exact()


def test_an_inner_batch_is_applied_with_the_outer_one(warehouse: Warehouse) -> None:
    with aggregates.batch():
        warehouse.moved()
        with aggregates.batch():
            warehouse.moved()
        assert not MovementTotals.objects.exists()
    assert_exact()


def test_an_inner_batch_that_raises_takes_only_its_own_writes_back(warehouse: Warehouse) -> None:
    with aggregates.batch():
        warehouse.moved(quantity=1)
        with pytest.raises(ZeroDivisionError), aggregates.batch():
            warehouse.moved(quantity=2)
            raise ZeroDivisionError
        warehouse.moved(quantity=4)
    assert sum(Movement.objects.values_list("quantity", flat=True)) == 5
    assert_exact()


@pytest.mark.guarantee("savepoints, by atomic() and by hand, inside a batch", "exact")
def test_a_savepoint_rolled_back_inside_a_batch_takes_its_deltas_along(warehouse: Warehouse) -> None:
    movement = warehouse.moved()
    with aggregates.batch():
        movement.quantity = 1
        movement.save()
        with pytest.raises(ZeroDivisionError), transaction.atomic():
            movement.quantity = 2
            movement.save()
            Movement.objects.update(kind="out")
            raise ZeroDivisionError
        movement.kind = None
        movement.save()
    assert_exact()


@pytest.mark.guarantee("savepoints, by atomic() and by hand, inside a batch", "exact")
def test_a_savepoint_rolled_back_by_hand_inside_a_batch_takes_its_deltas_along(warehouse: Warehouse) -> None:
    with aggregates.batch():
        warehouse.moved(quantity=1)
        outer = transaction.savepoint()
        warehouse.moved(quantity=2)
        inner = transaction.savepoint()
        warehouse.moved(quantity=4)
        transaction.savepoint_commit(inner)
        warehouse.moved(quantity=8)
        transaction.savepoint_rollback(outer)
        warehouse.moved(quantity=16)
        transaction.savepoint_rollback(outer)
        warehouse.moved(quantity=32)
    assert sum(Movement.objects.values_list("quantity", flat=True)) == 33
    assert_exact()


@pytest.mark.guarantee("savepoints, by atomic() and by hand, inside a batch", "exact")
def test_savepoints_released_inside_a_batch_keep_their_deltas(warehouse: Warehouse) -> None:
    with aggregates.batch():
        for _ in range(3):
            with transaction.atomic():
                warehouse.moved()
                with transaction.atomic():
                    warehouse.moved(kind="out")
    assert_exact()


def test_a_failed_write_inside_a_batch_leaves_the_others(warehouse: Warehouse) -> None:
    with aggregates.batch():
        warehouse.moved(lot="a")
        with pytest.raises(Exception, match=r"(?i)unique|duplicate"), transaction.atomic():
            warehouse.moved(lot="a")
        warehouse.moved(lot="b")
    assert Movement.objects.count() == 2
    assert_exact()


WRITES: list[tuple[str, Callable[[Any], Any]]] = [
    ("save", lambda ticket: Ticket(gate="a", price=1).save()),
    ("update", lambda ticket: Ticket.objects.update(gate="a")),
    ("bulk_create", lambda ticket: Ticket.objects.bulk_create([Ticket(gate="c", price=1), Ticket(gate="a", price=1)])),
    ("delete", lambda ticket: Ticket.objects.get(price__lt=0).delete()),
    ("queryset delete", lambda ticket: Ticket.objects.filter(price__lt=0).delete()),
]


@pytest.mark.guarantee(
    "a total that would leave the range of its column",
    "refused: the whole write; split the bucket, or sum smaller units",
)
@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("write", [write for _name, write in WRITES], ids=[name for name, _write in WRITES])
def test_a_write_that_takes_a_total_out_of_range_is_refused_whole(write: Callable[[Any], Any]) -> None:
    Ticket.objects.create(gate="a", price=-1)
    Ticket.objects.create(gate="a", price=MAX_VALUE)
    Ticket.objects.create(gate="a", price=1)
    ticket = Ticket.objects.create(gate="b", price=5)
    rows = sorted(Ticket.objects.values_list())
    totals = stored(TicketTotals, "gate")
    with pytest.raises(TotalOutOfRange, match="written"):
        write(ticket)
    assert sorted(Ticket.objects.values_list()) == rows
    assert stored(TicketTotals, "gate") == totals
    assert_exact()


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("write", [write for _name, write in WRITES], ids=[name for name, _write in WRITES])
def test_a_refused_write_whose_error_the_caller_swallows_is_not_committed(write: Callable[[Any], Any]) -> None:
    for price in (-1, MAX_VALUE, 1):
        Ticket.objects.create(gate="a", price=price)
    ticket = Ticket.objects.create(gate="b", price=5)
    rows = sorted(Ticket.objects.values_list())
    with transaction.atomic(), suppress(TotalOutOfRange):
        write(ticket)
    assert sorted(Ticket.objects.values_list()) == rows
    assert_exact()


@pytest.mark.parametrize("sign", [1, -1])
def test_a_whole_number_total_that_would_leave_its_range_is_refused(sign: int) -> None:
    Reading.objects.create(machine="a", level=sign * (2**63 - 1))
    Reading.objects.create(machine="b", level=5, read_at=NOON)
    with pytest.raises(TotalOutOfRange), transaction.atomic():
        Reading.objects.create(machine="a", level=sign * 2)
    with pytest.raises(TotalOutOfRange), transaction.atomic():
        Reading.objects.filter(machine="b").update(machine="a", level=sign * 3)
    assert stored(ReadingTotals, "machine") == {("a",): (sign * (2**63 - 1), 1), ("b",): (5, 1)}
    assert_exact()


@pytest.mark.django_db(transaction=True)
def test_a_batch_that_adds_up_to_more_than_a_total_can_hold_is_refused_whole() -> None:
    with pytest.raises(TotalOutOfRange, match="'gate': 'a'"), aggregates.batch():
        Ticket.objects.create(gate="b", price=5)
        for _ in range(2):
            Ticket.objects.create(gate="a", price=MAX_VALUE)
    assert not Ticket.objects.exists()
    assert_exact()


def test_totals_reach_their_bounds_exactly() -> None:
    Ticket.objects.create(gate="a", price=MAX_VALUE - Decimal("0.0001"))
    Ticket.objects.create(gate="a", price="0.0001")
    assert stored(TicketTotals, "gate") == {("a",): (MAX_VALUE, 2)}
    assert_exact()


@pytest.mark.django_db(transaction=True)
def test_a_batch_is_a_transaction() -> None:
    with aggregates.batch():
        assert connection.in_atomic_block


@pytest.mark.django_db(transaction=True)
def test_a_receiver_called_outside_a_transaction_refuses() -> None:
    with pytest.raises(OutsideTransaction, match="Tracked"):
        ledger.of("default")


@pytest.mark.django_db(transaction=True)
def test_a_host_that_wraps_its_statements_keeps_totals_exact(warehouse: Warehouse) -> None:
    """Django's ``execute_wrapper`` takes the last wrapper off on leaving, whoever put it there."""
    movement = warehouse.moved()
    left: list[Any] = []

    def host() -> None:
        def passed(execute: Any, *arguments: Any) -> Any:
            return execute(*arguments)

        with connection.execute_wrapper(passed):
            warehouse.moved()  # the first tracked write on this thread's connection
        left.append(passed in connection.execute_wrappers)
        movement.delete()
        connection.close()

    thread = threading.Thread(target=host)
    thread.start()
    thread.join()
    assert left == [False]
    assert_exact()
