"""Writes through the managers of related objects."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from tests.integration.aggregates.conftest import NOON, Warehouse
from tests.integration.aggregates.exactness import assert_exact

pytestmark = pytest.mark.django_db

WRITES: dict[str, Callable[[Any, Warehouse, bool], Any]] = {
    "add": lambda movements, house, bulk: movements.add(house.moved(item=house.nut), house.moved(), bulk=bulk),
    "set": lambda movements, house, bulk: movements.set([house.moved(item=None)], bulk=bulk),
    "set after clearing": lambda movements, house, bulk: movements.set([house.moved(item=None)], bulk=bulk, clear=True),
    "remove": lambda movements, house, bulk: movements.remove(movements.all()[0], bulk=bulk),
    "clear": lambda movements, house, bulk: movements.clear(bulk=bulk),
}


@pytest.mark.guarantee("related manager: add, set, remove, clear; bulk and one by one", "exact")
@pytest.mark.parametrize("bulk", [True, False], ids=["bulk", "one by one"])
@pytest.mark.parametrize("write", WRITES.values(), ids=WRITES)
def test_rows_that_change_their_parent_change_their_bucket(
    warehouse: Warehouse, write: Callable[..., Any], *, bulk: bool
) -> None:
    for quantity in (1, 2, 3):
        warehouse.moved(quantity=quantity)
    write(warehouse.bolt.movements, warehouse, bulk)
    assert_exact()


@pytest.mark.guarantee("related manager: create, get_or_create, update_or_create, update, delete", "exact")
def test_rows_made_by_a_parent_are_counted(warehouse: Warehouse) -> None:
    warehouse.bolt.movements.create(site=warehouse.north, moved_at=NOON, quantity=3, kind="in")
    warehouse.bolt.movements.get_or_create(lot="a", site=warehouse.north, moved_at=NOON, defaults={"quantity": 3})
    warehouse.bolt.movements.update_or_create(lot="a", defaults={"quantity": 4})
    assert_exact()


@pytest.mark.guarantee("related manager: create, get_or_create, update_or_create, update, delete", "exact")
def test_a_parents_rows_are_written_like_any_queryset(warehouse: Warehouse) -> None:
    warehouse.moved()
    warehouse.moved(item=warehouse.nut)
    warehouse.bolt.movements.update(quantity=8)
    assert_exact()
    warehouse.bolt.movements.all().delete()
    assert_exact()
