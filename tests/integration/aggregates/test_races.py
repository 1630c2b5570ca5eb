"""What another transaction does between two statements of one write."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from typing import Any

import pytest
from django.db import IntegrityError, connection

from tests.integration.aggregates.conftest import Warehouse, quoted, upserts
from tests.integration.aggregates.exactness import assert_exact
from tests.testapp.models import Movement

pytestmark = [pytest.mark.row_locks, pytest.mark.django_db(transaction=True)]


def elsewhere(write: Callable[[], Any]) -> None:
    """Carry a write out on a connection of its own, to its commit."""

    def run() -> None:
        try:
            write()
        finally:
            connection.close()

    thread = threading.Thread(target=run)
    thread.start()
    thread.join(timeout=20)
    assert not thread.is_alive()


@contextmanager
def after_the_first(words: str, act: Callable[[], None]) -> Iterator[None]:
    """Act once, right after the first statement that contains ``words``."""
    acted: list[bool] = []

    def wrapper(execute: Any, sql: str, params: Any, many: bool, context: Any) -> Any:
        result = execute(sql, params, many, context)
        if words in sql and not acted:
            acted.append(True)
            act()
        return result

    with connection.execute_wrapper(wrapper):
        yield
    assert acted


@pytest.mark.guarantee("update racing an insert or a change that matches", "exact")
@pytest.mark.parametrize("words", ["FOR UPDATE", f"UPDATE {quoted(Movement)}", "GROUP BY"])
@pytest.mark.parametrize(
    "write",
    [
        lambda: Movement.objects.filter(kind="in").update(quantity=100, carrier=1),
        lambda: Movement.objects.filter(kind="in", item__name="bolt").update(quantity=100, carrier=1),
    ],
    ids=["plain", "joined"],
)
def test_a_row_that_joins_while_an_update_runs_is_counted_by_every_declaration(
    warehouse: Warehouse, write: Callable[[], Any], words: str
) -> None:
    for _ in range(2):  # one row is read without grouping
        warehouse.moved(kind="in")
    with after_the_first(words, lambda: elsewhere(lambda: warehouse.moved(kind="in", quantity=5))):
        write()
    assert_exact()


@pytest.mark.guarantee("delete racing an insert that matches", "exact")
@pytest.mark.parametrize("write", [lambda: Movement.objects.filter(kind="in").delete()], ids=["delete"])
def test_a_row_that_joins_while_a_delete_runs_is_counted_by_every_declaration(
    warehouse: Warehouse, write: Callable[[], Any]
) -> None:
    warehouse.moved(kind="in")
    with after_the_first("FOR UPDATE", lambda: elsewhere(lambda: warehouse.moved(kind="in", quantity=5))):
        write()
    assert_exact()


@pytest.mark.guarantee("a save racing an insert of its key", "exact")
def test_a_row_inserted_under_the_key_being_saved_is_not_counted_twice(warehouse: Warehouse) -> None:
    movement = warehouse.movement(pk=777, quantity=3)
    # On PostgreSQL that statement has tried the UPDATE as well, and Django goes on to its INSERT.
    meets = pytest.raises(IntegrityError) if connection.vendor == "postgresql" else nullcontext()
    first = "RETURNING" if connection.vendor == "postgresql" else "FOR UPDATE"
    with meets as met, after_the_first(first, lambda: elsewhere(lambda: warehouse.moved(pk=777, quantity=5))):
        movement.save()
    assert Movement.objects.get().quantity == (5 if met else 3)
    assert_exact()


@upserts
@pytest.mark.guarantee("bulk_create(update_conflicts=True) racing a delete", "exact")
def test_a_row_that_goes_between_insert_and_update_of_an_upsert_is_tried_again(warehouse: Warehouse) -> None:
    warehouse.moved(lot="a")
    with after_the_first("ON CONFLICT", lambda: elsewhere(lambda: Movement.objects.filter(lot="a").delete())):
        Movement.objects.bulk_create(
            [warehouse.movement(lot="a", quantity=5)],
            update_conflicts=True,
            unique_fields=["lot"],
            update_fields=["quantity"],
        )
    assert_exact()
