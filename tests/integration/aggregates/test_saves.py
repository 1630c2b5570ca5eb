"""Saves of one instance, in all their forms."""

from __future__ import annotations

import datetime as dt
import decimal
from decimal import Decimal
from typing import Any

import pytest
from asgiref.sync import async_to_sync
from django.core.exceptions import FieldError
from django.db import DatabaseError, IntegrityError, models, transaction
from django.db.models import F, Value
from django.db.models.functions import Lower
from django.utils import timezone

from aggregates.exceptions import OutsideTransaction
from aggregates.fields import FixedDecimalField
from tests.integration.aggregates.conftest import NOON, Warehouse
from tests.integration.aggregates.exactness import assert_exact, stored
from tests.testapp.models import Correction, Item, Movement, MovementTotals, Reading, Ticket, TicketTotals

pytestmark = pytest.mark.django_db

CHANGES: dict[str, dict[str, Any]] = {
    "an integer measure": {"quantity": -30},
    "a decimal measure": {"value": Decimal("-0.0001")},
    "a measure to NULL": {"value": None},
    "a counted field": {"inspector": "ada"},
    "a counted field to the empty string, which is not NULL": {"inspector": ""},
    "a text dimension": {"kind": "out"},
    "a text dimension to NULL": {"kind": None},
    "a text dimension to the empty string": {"kind": ""},
    "a text dimension to the word None": {"kind": "None"},
    "into the filter": {"kind": "planned"},
    "a boolean dimension": {"urgent": True},
    "a truncated datetime": {"moved_at": NOON + dt.timedelta(days=40)},
    "a datetime by a microsecond": {"moved_at": NOON + dt.timedelta(microseconds=1)},
    "a foreign key to NULL": {"item": None},
    "nothing": {},
    "an untracked field": {"note": "fragile"},
}


@pytest.mark.guarantee("save of a new row", "exact")
@pytest.mark.parametrize("values", CHANGES.values(), ids=CHANGES)
def test_a_new_row_is_counted(warehouse: Warehouse, values: dict[str, Any]) -> None:
    warehouse.moved(**values)
    assert_exact()


@pytest.mark.guarantee("save of a changed row", "exact")
@pytest.mark.guarantee("save that moves a row to other buckets", "exact", case="a text dimension")
@pytest.mark.guarantee("save that moves a row to other buckets", "exact", case="a text dimension to NULL")
@pytest.mark.guarantee("save that moves a row to other buckets", "exact", case="a truncated datetime")
@pytest.mark.guarantee("save that moves a row to other buckets", "exact", case="a foreign key to NULL")
@pytest.mark.guarantee("save that moves a row into or out of the filter", "exact", case="into the filter")
@pytest.mark.parametrize("values", CHANGES.values(), ids=CHANGES)
def test_a_changed_row_leaves_its_old_buckets_and_joins_its_new_ones(
    warehouse: Warehouse, values: dict[str, Any]
) -> None:
    warehouse.moved()
    movement = warehouse.moved()
    for name, value in values.items():
        setattr(movement, name, value)
    movement.save()
    assert_exact()


@pytest.mark.guarantee("save of a changed row", "exact")
def test_a_model_that_looks_before_it_saves_is_counted_alike(
    warehouse: Warehouse, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Movement._meta, "select_on_save", True)
    movement = warehouse.moved()
    movement.quantity, movement.kind = 9, "out"
    movement.save()
    assert_exact()
    Movement.objects.get().delete()
    movement.save()
    assert Movement.objects.count() == 1
    assert_exact()


@pytest.mark.guarantee("save that moves a row into or out of the filter", "exact", case="into the filter")
@pytest.mark.parametrize("values", CHANGES.values(), ids=CHANGES)
def test_a_row_changed_back_is_counted_as_before(warehouse: Warehouse, values: dict[str, Any]) -> None:
    movement = warehouse.moved(**values)
    for name, value in {"kind": "in", "quantity": 1, "item": warehouse.nut}.items():
        setattr(movement, name, value)
    movement.save()
    assert_exact()


@pytest.mark.parametrize(
    "instant",
    [
        dt.datetime(2026, 3, 8, 3, 29, 59, 999_999, tzinfo=dt.UTC),
        dt.datetime(2026, 3, 8, 3, 30, tzinfo=dt.UTC),
        dt.datetime(2026, 11, 1, 3, 45, tzinfo=dt.UTC),
        dt.datetime(2026, 11, 1, 4, 45, tzinfo=dt.UTC),
        dt.datetime(2026, 11, 1, 5, 45, tzinfo=dt.UTC),
    ],
    ids=[
        "just before midnight",
        "midnight",
        "before the clock goes back",
        "the hour shown twice",
        "its second showing",
    ],
)
@pytest.mark.parametrize("dimension", ["day", "hour"])
def test_a_datetime_falls_into_the_bucket_of_the_declared_time_zone(
    warehouse: Warehouse, instant: dt.datetime, dimension: str
) -> None:
    if dimension == "day":
        warehouse.moved(moved_at=instant)
    else:
        Reading.objects.create(machine="press", level=1, read_at=instant)
    assert_exact()


def test_the_active_time_zone_changes_no_bucket(warehouse: Warehouse) -> None:
    movement = warehouse.moved()
    with timezone.override("Pacific/Auckland"):
        movement.quantity = 9
        movement.save()
        warehouse.moved()
        assert_exact()
    assert_exact()


@pytest.mark.guarantee("save(update_fields) of tracked fields", "exact", case="['quantity']")
@pytest.mark.guarantee("save(update_fields) of tracked fields", "exact", case="('quantity', 'kind')")
@pytest.mark.guarantee("save(update_fields) of untracked fields", "exact", case="['note']")
@pytest.mark.guarantee("save(update_fields) of a foreign key by its name", "exact", case="['item']")
@pytest.mark.guarantee("save(update_fields) of a foreign key by its _id", "exact", case="['item_id']")
@pytest.mark.guarantee("save(update_fields=[])", "exact", case="[]")
@pytest.mark.parametrize(
    "names",
    [
        ["quantity"],
        ["note"],
        ["item"],
        ["item_id"],
        ["kind", "note"],
        [],
        {"value"},
        ("quantity", "kind"),
        ["inspector"],
    ],
    ids=str,
)
def test_update_fields_counts_what_is_stored_and_nothing_else(warehouse: Warehouse, names: Any) -> None:
    movement = warehouse.moved()
    movement.quantity, movement.kind, movement.item = 100, "out", warehouse.nut
    movement.value, movement.note, movement.inspector = Decimal(9), "changed", "ada"
    movement.save(update_fields=names)
    assert_exact()


@pytest.mark.guarantee("save with deferred fields", "exact")
@pytest.mark.parametrize("loaded", [["quantity"], ["note"], ["kind", "item_id"]], ids=str)
def test_an_instance_with_deferred_fields_is_counted_whole(warehouse: Warehouse, loaded: list[str]) -> None:
    warehouse.moved()
    movement = Movement.objects.only(*loaded).get()
    for name in loaded:
        setattr(movement, name, {"quantity": 5, "note": "n", "kind": "out", "item_id": None}[name])
    movement.save()
    assert_exact()


@pytest.mark.guarantee("save with deferred fields", "exact")
def test_a_deferred_field_that_is_set_is_counted(warehouse: Warehouse) -> None:
    warehouse.moved()
    movement = Movement.objects.defer("quantity", "kind").get()
    movement.kind = "planned"
    movement.save()
    assert_exact()


@pytest.mark.guarantee("F() or another expression on the instance", "exact")
@pytest.mark.parametrize(
    "values",
    [
        {"quantity": F("quantity") * 3},
        {"value": F("value") + F("value")},
        {"value": F("value") * 2},
        {"value": F("value") + Value(Decimal("1.50"), output_field=FixedDecimalField())},
        {"kind": F("inspector")},
        {"item_id": F("site_id")},
    ],
    ids=str,
)
def test_an_expression_on_the_instance_counts_as_what_the_database_made_of_it(
    warehouse: Warehouse, values: dict[str, Any]
) -> None:
    Item.objects.get_or_create(pk=warehouse.north.pk, defaults={"name": "of the same number as the site"})
    movement = warehouse.moved(inspector="ada")
    for name, value in values.items():
        setattr(movement, name, value)
    movement.save()
    assert_exact()


@pytest.mark.guarantee("F() or another expression on the instance", "exact")
@pytest.mark.parametrize("values", [{"kind": Lower(Value("OUT"))}, {"quantity": Value(3) * 4}], ids=str)
def test_an_expression_on_a_new_instance_counts_as_what_the_database_made_of_it(
    warehouse: Warehouse, values: dict[str, Any]
) -> None:
    warehouse.moved(**values)
    Movement.objects.bulk_create([warehouse.movement(**values), warehouse.movement(quantity=1)])
    assert_exact()


@pytest.mark.guarantee(
    "a number or expression of another scale for an exact decimal",
    "refused: wrap it in Value(…, output_field=FixedDecimalField())",
)
@pytest.mark.parametrize(
    "expression",
    [Value(5), Value(Decimal("1.5")), F("quantity"), F("quantity") + 1],
    ids=["int", "Decimal", "F", "sum"],
)
def test_an_expression_of_another_scale_is_refused(warehouse: Warehouse, expression: Any) -> None:
    movement = warehouse.moved()
    movement.value = expression
    with pytest.raises(FieldError, match="FixedDecimalField"), transaction.atomic():
        movement.save()
    assert_exact()


@pytest.mark.guarantee("strings and floats for numbers, text for keys and times", "exact")
@pytest.mark.parametrize(
    ("given", "kept"), [("7.5", "7.5"), (7.5, "7.5"), (7, "7"), (0.1, "0.1"), ("-0.00", "0"), (Decimal("1E+2"), "100")]
)
def test_strings_and_floats_count_as_the_numbers_they_are_stored_as(given: Any, kept: str) -> None:
    Ticket.objects.create(gate="a", price=given)
    assert stored(TicketTotals, "gate")[("a",)] == (Decimal(kept), 1)
    assert_exact()


@pytest.mark.guarantee("strings and floats for numbers, text for keys and times", "exact")
def test_text_for_whole_numbers_keys_and_times_counts_as_what_is_stored(warehouse: Warehouse) -> None:
    movement = warehouse.moved(quantity="12", moved_at="2026-03-07T12:00:00+01:00")
    again = warehouse.movement(pk=str(movement.pk), site=None, site_id=str(warehouse.south.pk), quantity="13")
    again.save()
    assert_exact()


def test_the_decimal_context_of_the_caller_changes_no_total() -> None:
    ticket = Ticket.objects.create(gate="a", price=Decimal("123456.7891"))
    with decimal.localcontext() as context:
        context.prec = 6
        Ticket.objects.create(gate="a", price=Decimal("765432.1234"))
        Ticket.objects.filter(pk=ticket.pk).update(gate="b")
        ticket.delete()
    assert_exact()


@pytest.mark.guarantee("explicit primary keys, force_insert, force_update", "exact")
@pytest.mark.parametrize("exists", [True, False])
@pytest.mark.parametrize("force", [{}, {"force_insert": True}, {"force_update": True}], ids=str)
@pytest.mark.parametrize("model", [Movement, Ticket])
def test_an_explicit_key_inserts_or_updates_as_django_decides(
    warehouse: Warehouse, model: type[models.Model], *, force: dict[str, bool], exists: bool
) -> None:
    def made(number: int) -> Any:
        return Ticket(gate="a", price=number) if model is Ticket else warehouse.movement(quantity=number)

    first = made(1)
    first.save()
    second = made(2)
    second.pk = first.pk if exists else type(first)(id=made(0).pk or first.pk + 1000).pk
    refused = (
        (force == {"force_insert": True} or (model is Ticket and not force)) if exists else "force_update" in force
    )
    if refused:
        with pytest.raises((IntegrityError, DatabaseError)), transaction.atomic():
            second.save(**force)
    else:
        second.save(**force)
    assert_exact()


@pytest.mark.guarantee("a clone: the key reset, then saved", "exact")
def test_a_clone_by_resetting_the_key_is_a_second_row(warehouse: Warehouse) -> None:
    movement = warehouse.moved()
    movement.pk, movement._state.adding = None, True
    movement.quantity = 70
    movement.save()
    assert Movement.objects.count() == 2
    assert_exact()


@pytest.mark.guarantee("a clone: the key reset, then saved", "exact")
def test_a_clone_that_forgets_the_state_is_a_second_row(warehouse: Warehouse) -> None:
    movement = warehouse.moved()
    movement.pk = None
    movement.save()
    assert Movement.objects.count() == 2
    assert_exact()


@pytest.mark.guarantee("a failed save, then a good one", "exact")
@pytest.mark.parametrize("model", ["movement", "ticket"])
def test_a_failed_save_leaves_no_trace_and_the_good_one_counts_once(warehouse: Warehouse, model: str) -> None:
    row: Any = Ticket(gate="a") if model == "ticket" else warehouse.movement(quantity=None)
    with pytest.raises(IntegrityError), transaction.atomic():
        row.save()
    assert_exact()
    row.price = row.quantity = 3
    row.save()
    assert_exact()


@pytest.mark.guarantee("a save rolled back with its savepoint, then repeated", "exact")
@pytest.mark.parametrize("change", [{"quantity": 1}, {"kind": "planned"}, {"item": None}], ids=str)
def test_a_save_rolled_back_with_its_savepoint_and_repeated_counts_once(
    warehouse: Warehouse, change: dict[str, Any]
) -> None:
    movement = warehouse.moved()
    with transaction.atomic():
        for name, value in change.items():
            setattr(movement, name, value)
        with pytest.raises(ZeroDivisionError), transaction.atomic():
            movement.save()
            raise ZeroDivisionError
        movement.save()
    assert_exact()


@pytest.mark.guarantee("a save rolled back with its savepoint, then repeated", "exact")
def test_a_first_save_rolled_back_with_its_savepoint_and_repeated_counts_once(warehouse: Warehouse) -> None:
    movement = warehouse.movement()
    with pytest.raises(ZeroDivisionError), transaction.atomic():
        movement.save()
        raise ZeroDivisionError
    assert_exact()
    movement.save()
    assert_exact()


@pytest.mark.guarantee("a save rolled back with its savepoint, then repeated", "exact")
def test_a_save_rolled_back_to_a_savepoint_by_hand_and_repeated_counts_once(warehouse: Warehouse) -> None:
    with transaction.atomic():
        savepoint = transaction.savepoint()
        movement = warehouse.moved()
        transaction.savepoint_rollback(savepoint)
        movement.save()
    assert_exact()


def test_two_saves_of_one_row_in_one_transaction_count_the_last(warehouse: Warehouse) -> None:
    with transaction.atomic():
        movement = warehouse.moved(quantity=1)
        movement.quantity, movement.kind = 2, "out"
        movement.save()
    assert_exact()


@pytest.mark.guarantee("a stale instance", "exact")
def test_stale_instances_count_as_what_they_overwrite(warehouse: Warehouse) -> None:
    movement = warehouse.moved()
    one, other = Movement.objects.get(pk=movement.pk), Movement.objects.get(pk=movement.pk)
    one.quantity, one.kind = 50, "out"
    one.save()
    other.quantity = 60
    other.save()
    movement.save()
    assert_exact()


@pytest.mark.guarantee("save of a row that was deleted meanwhile", "exact")
def test_a_save_of_a_row_deleted_elsewhere_inserts_it_again(warehouse: Warehouse) -> None:
    movement = warehouse.moved()
    Movement.objects.get(pk=movement.pk).delete()
    movement.quantity = 8
    movement.save()
    assert_exact()


@pytest.mark.guarantee("get_or_create, update_or_create", "exact")
def test_get_or_create_counts_once(warehouse: Warehouse) -> None:
    values = {"site": warehouse.north, "moved_at": NOON, "quantity": 3, "kind": "in"}
    for _ in range(2):
        Movement.objects.get_or_create(lot="L1", defaults=values)
    assert_exact()


@pytest.mark.guarantee("get_or_create, update_or_create", "exact")
def test_update_or_create_counts_the_last_values(warehouse: Warehouse) -> None:
    values = {"site": warehouse.north, "moved_at": NOON, "kind": "in"}
    for quantity in (3, 4):
        Movement.objects.update_or_create(lot="L1", defaults={**values, "quantity": quantity})
    assert_exact()


@pytest.mark.guarantee("a proxy: save, update, delete, bulk_create", "exact")
def test_a_save_through_a_proxy_counts_like_the_row_it_is(warehouse: Warehouse) -> None:
    movement = warehouse.moved()
    proxy = Correction.objects.get(pk=movement.pk)
    proxy.quantity, proxy.kind = 12, "out"
    proxy.save()
    assert_exact()


@pytest.mark.guarantee("the async twins", "exact")
def test_asave_counts_like_save(warehouse: Warehouse) -> None:
    movement = warehouse.movement()
    async_to_sync(movement.asave)()
    movement.quantity = 40
    async_to_sync(movement.asave)(update_fields=["quantity"])
    assert_exact()


@pytest.mark.guarantee("a receiver of a save that saves the row again", "exact")
def test_a_row_that_the_host_saves_again_from_post_save_counts_once() -> None:
    reading = Reading.objects.create(machine="press", level=3, raw=True)
    reading.refresh_from_db()
    assert reading.level == 4
    assert_exact()


def test_a_bare_key_lookup_stays_what_it_was_after_a_failed_insert(warehouse: Warehouse) -> None:
    movement = warehouse.movement(lot="L1")
    warehouse.moved(lot="L1")
    with pytest.raises(IntegrityError), transaction.atomic():
        movement.save()
    assert movement.pk is None
    assert movement._state.adding


@pytest.mark.guarantee("save_base past Tracked, outside a transaction", "refused: wrap it in transaction.atomic()")
@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("saved", ["new", "changed"])
def test_a_save_past_tracked_and_outside_a_transaction_is_refused(warehouse: Warehouse, saved: str) -> None:
    movement = warehouse.moved() if saved == "changed" else warehouse.movement()
    movement.quantity = 99
    with pytest.raises(OutsideTransaction, match="atomic"):
        models.Model.save_base(movement, raw=True)
    assert not Movement.objects.filter(quantity=99).exists()
    assert_exact()


@pytest.mark.django_db(transaction=True)
def test_under_autocommit_a_failing_save_leaves_neither_row_nor_total(warehouse: Warehouse) -> None:
    with pytest.raises(IntegrityError):
        warehouse.moved(quantity=None)
    assert not MovementTotals.objects.exists()
    warehouse.moved()
    assert_exact()
