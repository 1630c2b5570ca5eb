"""Deletes of one instance, and of what hangs on a parent."""

from __future__ import annotations

from decimal import Decimal

import pytest
from asgiref.sync import async_to_sync
from django.db import transaction

from tests.integration.aggregates.conftest import Warehouse
from tests.integration.aggregates.exactness import assert_exact
from tests.testapp.models import Correction, Movement, MovementTotals, Site

pytestmark = pytest.mark.django_db


@pytest.mark.guarantee("delete of a fresh instance", "exact")
def test_a_deleted_row_is_out_of_its_totals(warehouse: Warehouse) -> None:
    warehouse.moved()
    warehouse.moved().delete()
    assert_exact()


@pytest.mark.guarantee("delete of a stale instance", "exact")
def test_a_stale_instance_takes_out_what_is_stored(warehouse: Warehouse) -> None:
    movement = warehouse.moved()
    Movement.objects.filter(pk=movement.pk).update(quantity=50, kind="out")
    movement.delete()
    assert_exact()


@pytest.mark.guarantee("delete of an edited instance", "exact")
def test_an_edited_instance_takes_out_what_is_stored(warehouse: Warehouse) -> None:
    movement = warehouse.moved()
    movement.quantity, movement.kind, movement.value = 99, "planned", Decimal(5)
    movement.delete()
    assert_exact()


@pytest.mark.guarantee("delete of an unsaved instance", "refused: by Django; there is nothing to delete")
def test_an_unsaved_instance_cannot_be_deleted_and_the_transaction_goes_on(warehouse: Warehouse) -> None:
    with transaction.atomic():
        with pytest.raises(ValueError, match="can't be deleted"):
            warehouse.movement().delete()
        warehouse.moved()
    assert_exact()


@pytest.mark.guarantee("delete of a row already deleted", "exact")
def test_a_row_already_deleted_is_taken_out_once(warehouse: Warehouse) -> None:
    movement = warehouse.moved()
    again = Movement.objects.get(pk=movement.pk)
    movement.delete()
    again.delete()
    assert_exact()


@pytest.mark.guarantee("a delete rolled back with its savepoint", "exact")
def test_a_delete_rolled_back_with_its_savepoint_changes_nothing(warehouse: Warehouse) -> None:
    movement = warehouse.moved()
    with pytest.raises(ZeroDivisionError), transaction.atomic():
        movement.delete()
        raise ZeroDivisionError
    assert Movement.objects.count() == 1
    assert_exact()


@pytest.mark.guarantee("a proxy: save, update, delete, bulk_create", "exact")
def test_a_proxy_deletes_the_row_it_is(warehouse: Warehouse) -> None:
    warehouse.moved()
    Correction.objects.get().delete()
    assert_exact()


@pytest.mark.guarantee("the async twins", "exact")
def test_adelete_counts_like_delete(warehouse: Warehouse) -> None:
    async_to_sync(warehouse.moved().adelete)()
    assert_exact()


@pytest.mark.guarantee("CASCADE", "exact")
def test_a_cascade_takes_out_every_child(warehouse: Warehouse) -> None:
    for quantity in range(5):
        warehouse.moved(quantity=quantity)
        warehouse.moved(quantity=quantity, site=warehouse.south)
    warehouse.north.delete()
    assert Movement.objects.count() == 5
    assert_exact()


@pytest.mark.guarantee("CASCADE", "exact")
def test_a_cascade_from_a_queryset_of_parents_takes_out_every_child(warehouse: Warehouse) -> None:
    warehouse.moved()
    warehouse.moved(site=warehouse.south)
    Site.objects.all().delete()
    assert not Movement.objects.exists()
    assert_exact()


@pytest.mark.guarantee("SET_NULL", "exact")
def test_set_null_moves_the_children_to_the_bucket_without(warehouse: Warehouse) -> None:
    warehouse.moved(item=None)
    warehouse.moved()
    warehouse.moved(item=warehouse.nut)
    warehouse.bolt.delete()
    assert Movement.objects.filter(item=None).count() == 2
    assert_exact()


@pytest.mark.guarantee("SET(constant)", "exact")
def test_set_constant_moves_the_children_to_its_bucket(warehouse: Warehouse) -> None:
    warehouse.moved(carrier=warehouse.unknown)
    warehouse.moved()
    warehouse.rail.delete()
    assert Movement.objects.filter(carrier=warehouse.unknown).count() == 2
    assert_exact()


@pytest.mark.guarantee("a cascade rolled back with its savepoint", "exact")
def test_a_cascade_rolled_back_with_its_savepoint_changes_nothing(warehouse: Warehouse) -> None:
    warehouse.moved()
    with pytest.raises(ZeroDivisionError), transaction.atomic():
        warehouse.north.delete()
        raise ZeroDivisionError
    assert_exact()


def test_emptied_buckets_may_stay_as_rows_of_zero(warehouse: Warehouse) -> None:
    warehouse.moved().delete()
    assert not any(MovementTotals.objects.values_list("count", flat=True))
    assert_exact()
