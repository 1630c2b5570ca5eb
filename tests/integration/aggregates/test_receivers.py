"""Receivers of the host, called before the engine's own and after them."""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal
from typing import Any

import pytest
from django.db import transaction
from django.db.models import F
from django.db.models.signals import ModelSignal, post_delete, post_save, pre_delete, pre_save

from aggregates.exceptions import UntrackedWrite
from tests.integration.aggregates.conftest import Receive, Warehouse
from tests.integration.aggregates.exactness import assert_exact
from tests.testapp.models import Movement, Ticket

pytestmark = pytest.mark.django_db


class Refusal(Exception):
    """Raised by a receiver of the host."""


def _rows(instance: Any) -> Any:
    return type(instance).objects.filter(pk=instance.pk)


def _amount(instance: Any) -> str:
    return "price" if isinstance(instance, Ticket) else "quantity"


def _group(instance: Any) -> str:
    return "gate" if isinstance(instance, Ticket) else "kind"


def save_again(instance: Any) -> None:
    setattr(instance, _amount(instance), 50)
    instance.save()


def save_some_fields_again(instance: Any) -> None:
    setattr(instance, _group(instance), "elsewhere")
    instance.save(update_fields=[_group(instance)])


def save_another_instance(instance: Any) -> None:
    for again in _rows(instance):
        setattr(again, _group(again), "elsewhere")
        again.save()


def update_the_row(instance: Any) -> None:
    _rows(instance).update(**{_amount(instance): F(_amount(instance)) + F(_amount(instance)), _group(instance): "x"})


def delete_the_row(instance: Any) -> None:
    _rows(instance).delete()


def delete_the_instance(instance: Any) -> None:
    for again in _rows(instance):
        again.delete()


def insert_it_again(instance: Any) -> None:
    pk = instance.pk
    _rows(instance).delete()
    instance.pk = pk
    type(instance).objects.bulk_create([instance])


def save_a_neighbour(instance: Any) -> None:
    neighbour = type(instance)(**{f.attname: getattr(instance, f.attname) for f in instance._meta.fields})
    neighbour.pk = None if isinstance(instance, Movement) else Ticket().pk
    neighbour.save()


def change_the_instance(instance: Any) -> None:
    setattr(instance, _amount(instance), 33)
    setattr(instance, _group(instance), "changed")


def update_and_roll_back(instance: Any) -> None:
    try:
        with transaction.atomic():
            update_the_row(instance)
            raise Refusal
    except Refusal:
        pass


def update_and_roll_back_by_hand(instance: Any) -> None:
    savepoint = transaction.savepoint()
    update_the_row(instance)
    transaction.savepoint_rollback(savepoint)


def roll_back_then_update(instance: Any) -> None:
    update_and_roll_back(instance)
    update_the_row(instance)


ACTIONS = [
    save_some_fields_again,
    save_another_instance,
    update_the_row,
    delete_the_row,
    delete_the_instance,
    insert_it_again,
    save_a_neighbour,
    change_the_instance,
    update_and_roll_back,
    update_and_roll_back_by_hand,
    roll_back_then_update,
    save_again,
]
# A row that is not there yet cannot be saved in part.
BEFORE_IT_EXISTS = [action for action in ACTIONS if action not in {save_some_fields_again, insert_it_again, save_again}]


def _new(model: type, warehouse: Warehouse) -> Any:
    return Ticket(gate="a", price=Decimal("2.5")) if model is Ticket else warehouse.movement()


@pytest.mark.guarantee("a receiver of a save that saves the row again", "exact", case="save_again")
@pytest.mark.guarantee("a receiver that changes the instance", "exact", case="change_the_instance")
@pytest.mark.guarantee("a receiver that updates or deletes the row, or writes others", "exact", case="update_the_row")
@pytest.mark.guarantee("a receiver that rolls back to a savepoint", "exact", case="roll_back_then_update")
@pytest.mark.guarantee("a receiver that rolls back to a savepoint", "exact", case="update_and_roll_back_by_hand")
@pytest.mark.parametrize("model", [Movement, Ticket])
@pytest.mark.parametrize(
    ("signal", "action"),
    [(pre_save, action) for action in BEFORE_IT_EXISTS] + [(post_save, action) for action in ACTIONS],
    ids=lambda value: getattr(value, "__name__", "") or {pre_save: "pre_save", post_save: "post_save"}.get(value),
)
def test_a_receiver_of_a_first_save_writes_and_the_row_counts_once(
    warehouse: Warehouse, receive: Receive, signal: ModelSignal, action: Callable[[Any], None], model: type
) -> None:
    receive(signal, model, action)
    _new(model, warehouse).save()
    assert_exact()


@pytest.mark.guarantee("a receiver of a save that saves the row again", "exact", case="save_some_fields_again")
@pytest.mark.guarantee("a receiver that changes the instance", "exact", case="change_the_instance")
@pytest.mark.guarantee("a receiver that updates or deletes the row, or writes others", "exact", case="delete_the_row")
@pytest.mark.guarantee("a receiver that updates or deletes the row, or writes others", "exact", case="save_a_neighbour")
@pytest.mark.guarantee("a receiver that rolls back to a savepoint", "exact", case="update_and_roll_back")
@pytest.mark.parametrize("model", [Movement, Ticket])
@pytest.mark.parametrize("signal", [pre_save, post_save], ids=["pre_save", "post_save"])
@pytest.mark.parametrize("action", ACTIONS)
def test_a_receiver_of_a_later_save_writes_and_the_row_counts_once(
    warehouse: Warehouse, receive: Receive, signal: ModelSignal, action: Callable[[Any], None], model: type
) -> None:
    row = _new(model, warehouse)
    row.save()
    receive(signal, model, action)
    setattr(row, _amount(row), 20)
    row.save()
    assert_exact()


@pytest.mark.guarantee("a receiver of a delete or cascade that writes", "exact")
@pytest.mark.parametrize("model", [Movement, Ticket])
@pytest.mark.parametrize("signal", [pre_delete, post_delete], ids=["pre_delete", "post_delete"])
@pytest.mark.parametrize("action", ACTIONS)
def test_a_receiver_of_a_delete_writes_and_totals_stay_exact(
    warehouse: Warehouse, receive: Receive, signal: ModelSignal, action: Callable[[Any], None], model: type
) -> None:
    row = _new(model, warehouse)
    row.save()
    _new(model, warehouse).save()
    if signal is post_delete and action in {save_again, save_some_fields_again}:
        action = insert_it_again
    receive(signal, model, action)
    row.delete()
    assert_exact()


@pytest.mark.guarantee("a receiver of a delete or cascade that writes", "exact")
@pytest.mark.parametrize("model", [Movement, Ticket])
@pytest.mark.parametrize("action", ACTIONS)
def test_a_receiver_of_a_queryset_delete_writes_and_totals_stay_exact(
    warehouse: Warehouse, receive: Receive, action: Callable[[Any], None], model: type
) -> None:
    for _ in range(3):
        _new(model, warehouse).save()
    receive(pre_delete, model, action)
    model.objects.all().delete()
    assert_exact()


@pytest.mark.guarantee("a receiver of a delete or cascade that writes", "exact")
@pytest.mark.parametrize("action", ACTIONS)
def test_a_receiver_of_a_cascade_writes_and_totals_stay_exact(
    warehouse: Warehouse, receive: Receive, action: Callable[[Any], None]
) -> None:
    if action in {save_a_neighbour, insert_it_again}:
        pytest.skip("a new child of a parent that is going breaks its foreign key")
    for _ in range(3):
        warehouse.moved()
    receive(pre_delete, Movement, action)
    warehouse.north.delete()
    assert_exact()


@pytest.mark.guarantee("a receiver that rolls back to a savepoint", "exact")
@pytest.mark.parametrize("model", [Movement, Ticket])
@pytest.mark.parametrize("signal", [pre_delete, post_delete], ids=["pre_delete", "post_delete"])
def test_a_receiver_that_takes_back_the_delete_and_what_came_before_it_leaves_totals_exact(
    warehouse: Warehouse, receive: Receive, signal: ModelSignal, model: type
) -> None:
    row = _new(model, warehouse)
    row.save()
    savepoint = transaction.savepoint()
    model.objects.update(**{_amount(row): 20})
    receive(signal, model, lambda _instance: transaction.savepoint_rollback(savepoint))
    row.delete()
    assert model.objects.count() == (signal is post_delete)
    assert_exact()


@pytest.mark.guarantee(
    "a receiver called before the engine that changes the primary key", "exact", case="before the engine"
)
@pytest.mark.guarantee(
    "a receiver called after the engine that changes the primary key",
    "refused: set the key before save()",
    case="after the engine",
)
@pytest.mark.parametrize("model", [Movement, Ticket])
@pytest.mark.parametrize("other", ["a row that is there", "no row"])
def test_a_receiver_that_changes_the_key_is_followed_or_refused(
    request: pytest.FixtureRequest, warehouse: Warehouse, receive: Receive, model: type, other: str
) -> None:
    row, there = _new(model, warehouse), _new(model, warehouse)
    row.save()
    there.save()
    key = there.pk
    if other == "no row":
        there.delete()

    def change_the_key(instance: Any) -> None:
        instance.pk = key

    receive(pre_save, model, change_the_key)
    setattr(row, _amount(row), 20)
    followed = "before the engine" in request.node.name
    refused = pytest.raises(UntrackedWrite, match="set it before save")
    with transaction.atomic() if followed else refused, transaction.atomic():
        row.save()
    assert model.objects.filter(pk=key, **{_amount(row): 20}).exists() == followed
    assert_exact()


@pytest.mark.guarantee("a receiver that raises", "exact")
@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize(
    "signal", [pre_save, post_save, pre_delete, post_delete], ids=["pre_save", "post_save", "pre_delete", "post_delete"]
)
def test_a_receiver_that_raises_undoes_the_write_and_its_totals(
    warehouse: Warehouse, receive: Receive, signal: ModelSignal
) -> None:
    movement = warehouse.moved()

    def refuse(_instance: Any) -> None:
        raise Refusal

    receive(signal, Movement, refuse)
    movement.quantity = 99
    with pytest.raises(Refusal):
        movement.delete() if signal in {pre_delete, post_delete} else movement.save()
    assert Movement.objects.get().quantity == 7
    assert_exact()
    movement.save()
    movement.delete()
    assert_exact()
