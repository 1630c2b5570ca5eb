"""bulk_create in its forms, and bulk_update."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest
from django.db import DatabaseError, IntegrityError, connection, transaction
from django.db.models import F

from aggregates.exceptions import UntrackedWrite
from tests.integration.aggregates.conftest import Warehouse, upserts
from tests.integration.aggregates.exactness import assert_exact
from tests.testapp.models import Correction, Movement, Ticket

pytestmark = pytest.mark.django_db


@pytest.mark.guarantee("bulk_create", "exact")
@pytest.mark.parametrize("batch_size", [None, 1, 3, 100])
@pytest.mark.parametrize("count", [0, 1, 7])
def test_inserted_rows_are_counted(warehouse: Warehouse, count: int, batch_size: int | None) -> None:
    kinds = ["in", "out", "planned", None]
    Movement.objects.bulk_create(
        [warehouse.movement(quantity=n, kind=kinds[n % 4]) for n in range(count)], batch_size=batch_size
    )
    assert Movement.objects.count() == count
    assert_exact()


@pytest.mark.guarantee("bulk_create", "exact")
def test_rows_with_and_without_keys_are_counted_together(warehouse: Warehouse) -> None:
    Movement.objects.bulk_create([warehouse.movement(pk=500), warehouse.movement(), warehouse.movement(pk="501")])
    assert_exact()


@pytest.mark.guarantee("a proxy: save, update, delete, bulk_create", "exact")
def test_a_proxy_inserts_the_rows_it_is(warehouse: Warehouse) -> None:
    values = {"site": warehouse.north, "moved_at": warehouse.movement().moved_at}
    Correction.objects.bulk_create([Correction(quantity=4, **values), Correction(quantity=5, kind="in", **values)])
    assert_exact()


def test_a_conflict_refuses_all(warehouse: Warehouse) -> None:
    warehouse.moved(lot="a")
    with pytest.raises(IntegrityError), transaction.atomic():
        Movement.objects.bulk_create([warehouse.movement(lot="b"), warehouse.movement(lot="a")])
    assert Movement.objects.count() == 1
    assert_exact()


@pytest.mark.guarantee("bulk_create(ignore_conflicts=True)", "exact")
@pytest.mark.parametrize("lots", [["a"], ["b"], ["a", "b"], ["b", "b", "a", "c"], [None, None, "a"], []], ids=str)
@pytest.mark.parametrize("batch_size", [None, 1])
def test_only_what_went_in_past_conflicts_is_counted(
    warehouse: Warehouse, lots: list[str | None], batch_size: int | None
) -> None:
    warehouse.moved(lot="a")
    movements = [warehouse.movement(lot=lot, quantity=n + 50) for n, lot in enumerate(lots)]
    Movement.objects.bulk_create(movements, batch_size=batch_size, ignore_conflicts=True)
    assert_exact()


@pytest.mark.guarantee("bulk_create(ignore_conflicts=True)", "exact")
def test_only_what_went_in_past_conflicts_of_keys_is_counted() -> None:
    ticket = Ticket.objects.create(gate="a", price=1)
    Ticket.objects.bulk_create(
        [Ticket(pk=ticket.pk, gate="b", price=2), Ticket(gate="b", price=3)], ignore_conflicts=True
    )
    assert Ticket.objects.count() == 2
    assert_exact()


def test_where_the_database_does_not_tell_what_went_in_past_conflicts_it_is_refused(
    warehouse: Warehouse, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As MySQL does not."""
    warehouse.moved(lot="a")
    monkeypatch.setattr(type(connection.features), "can_return_rows_from_bulk_insert", False)
    with pytest.raises(UntrackedWrite, match="insert only rows that are new, or save them one by one"):
        Movement.objects.bulk_create([warehouse.movement(lot="b")], ignore_conflicts=True)
    assert Movement.objects.get().lot == "a"
    assert_exact()


def _upsert(movements: list[Movement], **kwargs: Any) -> None:
    options = {"update_fields": ["quantity", "kind"], "unique_fields": ["lot"], **kwargs}
    Movement.objects.bulk_create(movements, update_conflicts=True, **options)


@upserts
@pytest.mark.guarantee("bulk_create(update_conflicts=True)", "exact")
@pytest.mark.parametrize("lots", [["a"], ["b"], ["a", "b"], ["c", "b", "a"], []], ids=str)
@pytest.mark.parametrize("batch_size", [None, 1])
def test_an_upsert_counts_rows_inserted_and_rows_updated(
    warehouse: Warehouse, lots: list[str], batch_size: int | None
) -> None:
    warehouse.moved(lot="a")
    warehouse.moved(lot="z")
    _upsert([warehouse.movement(lot=lot, quantity=n, kind="out") for n, lot in enumerate(lots)], batch_size=batch_size)
    assert Movement.objects.count() == len({"a", "z", *lots})
    assert_exact()


@upserts
def test_an_upsert_inserts_a_row_whose_unique_value_is_null_once(warehouse: Warehouse) -> None:
    warehouse.moved(lot="a")
    _upsert([warehouse.movement(lot="a", quantity=5), warehouse.movement(lot=None, quantity=3)])
    assert Movement.objects.count() == 2
    assert_exact()


@upserts
def test_an_upsert_of_nothing_but_null_inserts_all(warehouse: Warehouse) -> None:
    _upsert([warehouse.movement(lot=None, quantity=n) for n in (3, 5)])
    assert sorted(Movement.objects.values_list("quantity", flat=True)) == [3, 5]
    assert_exact()


@upserts
def test_an_upsert_by_key_inserts_a_row_without_key_once(warehouse: Warehouse) -> None:
    movement = warehouse.moved()
    _upsert([warehouse.movement(pk=movement.pk, quantity=5), warehouse.movement(quantity=3)], unique_fields=["pk"])
    assert Movement.objects.count() == 2
    assert_exact()


@upserts
@pytest.mark.guarantee("bulk_create(update_conflicts=True)", "exact")
def test_an_upsert_of_rows_with_keys_of_their_own_counts_each_once() -> None:
    Ticket.objects.create(code="a", gate="north", price=1)
    Ticket.objects.bulk_create(
        [Ticket(code=code, gate="south", price=2) for code in ("a", "b", None)],
        update_conflicts=True,
        unique_fields=["code"],
        update_fields=["price"],
    )
    assert sorted(Ticket.objects.values_list("gate", "price")) == [
        ("north", Decimal(2)),
        ("south", Decimal(2)),
        ("south", Decimal(2)),
    ]
    assert_exact()


@upserts
def test_an_upsert_of_one_row_twice_counts_what_the_database_keeps_or_is_refused(warehouse: Warehouse) -> None:
    warehouse.moved(lot="a")
    try:
        with transaction.atomic():
            _upsert([warehouse.movement(lot="a", quantity=5), warehouse.movement(lot="a", quantity=6)])
    except Exception as error:  # noqa: BLE001 - PostgreSQL and Django name it differently
        assert "second time" in str(error)  # noqa: PT017
    assert Movement.objects.count() == 1
    assert_exact()


@upserts
def test_an_upsert_of_more_rows_than_a_statement_takes_counts_all(warehouse: Warehouse) -> None:
    for n in range(0, 450, 50):
        warehouse.moved(lot=str(n))
    _upsert([warehouse.movement(lot=str(n), quantity=n) for n in range(450)])
    assert Movement.objects.count() == 450
    assert_exact()


@pytest.mark.parametrize(
    "options",
    [{"unique_fields": None}, {"update_fields": None}, {"ignore_conflicts": True}],
    ids=["no unique fields", "no update fields", "both kinds"],
)
def test_an_upsert_that_django_refuses_inserts_nothing(warehouse: Warehouse, options: dict[str, Any]) -> None:
    with (
        pytest.raises((ValueError, UntrackedWrite), match=r"(?i)unique fields|fields .* updated|mutually exclusive"),
        transaction.atomic(),
    ):
        _upsert([warehouse.movement(lot="a")], **options)
    assert not Movement.objects.exists()
    assert_exact()


@pytest.mark.guarantee("bulk_create(update_conflicts=True)", "refused: use update_or_create()", on="MariaDB")
@pytest.mark.skipif(connection.vendor != "mysql", reason="others say which unique fields decide")
@pytest.mark.parametrize("unique_fields", [None, ["lot"]], ids=str)
def test_an_upsert_that_may_run_into_any_unique_key_is_refused(
    warehouse: Warehouse, unique_fields: list[str] | None
) -> None:
    warehouse.moved(lot="a")
    with pytest.raises(UntrackedWrite, match="update_or_create"), transaction.atomic():
        _upsert([warehouse.movement(lot="a", quantity=5)], unique_fields=unique_fields)
    assert Movement.objects.get().quantity == 7
    assert_exact()


@pytest.mark.skipif(connection.vendor != "mysql", reason="others refuse these themselves")
@pytest.mark.parametrize(
    "values",
    [{"quantity": 2**40}, {"site": None}, {"kind": "much longer than twenty characters"}, {"site_id": 10**9}],
    ids=str,
)
def test_only_duplicates_are_ignored_and_nothing_is_stored_altered(
    warehouse: Warehouse, values: dict[str, Any]
) -> None:
    warehouse.moved(lot="a")
    rows = [warehouse.movement(lot="a") for _ in range(100)]  # more warnings than MariaDB keeps unasked
    with pytest.raises(DatabaseError), transaction.atomic():
        Movement.objects.bulk_create([*rows, warehouse.movement(lot="b", **values)], ignore_conflicts=True)
    assert Movement.objects.count() == 1
    assert_exact()


@pytest.mark.guarantee("bulk_update", "exact")
@pytest.mark.parametrize(
    "fields", [["quantity"], ["note"], ["kind", "item", "value"], ["moved_at", "carrier"]], ids=str
)
@pytest.mark.parametrize("batch_size", [None, 2])
def test_bulk_update_counts_what_is_stored(warehouse: Warehouse, fields: list[str], batch_size: int | None) -> None:
    movements = [warehouse.moved(quantity=n) for n in range(5)]
    for n, movement in enumerate(movements):
        movement.quantity, movement.kind, movement.note = n * 7, ["planned", "out", None][n % 3], "n"
        movement.item, movement.carrier, movement.value = warehouse.nut, warehouse.road, Decimal(n).scaleb(-4)
        movement.moved_at = movement.moved_at.replace(day=n + 1)
    assert Movement.objects.bulk_update(movements, fields, batch_size=batch_size) == 5
    assert_exact()


@pytest.mark.guarantee("bulk_update", "exact")
def test_bulk_update_takes_expressions_and_rows_that_are_gone(warehouse: Warehouse) -> None:
    gone, movement = warehouse.moved(), warehouse.moved()
    Movement.objects.filter(pk=gone.pk).delete()
    gone.quantity, movement.quantity = 50, F("quantity") + 5
    Movement.objects.bulk_update([gone, movement], ["quantity"])
    assert_exact()
