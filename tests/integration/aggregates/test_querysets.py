"""Writes of a queryset, which send no signal."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable
from decimal import Decimal
from typing import Any

import pytest
from asgiref.sync import async_to_sync
from django.core.exceptions import FieldError
from django.db import transaction
from django.db.models import Avg, Case, Count, Exists, F, OuterRef, Q, QuerySet, Subquery, Value, When
from django.db.models.functions import Concat

from aggregates.exceptions import UntrackedWrite
from aggregates.fields import FixedDecimalField
from tests.integration.aggregates.conftest import NOON, Warehouse
from tests.integration.aggregates.exactness import assert_exact
from tests.testapp.models import CarrierTotals, Correction, Item, Movement, Ticket

pytestmark = pytest.mark.django_db

UPDATES: dict[str, dict[str, Any]] = {
    "a constant": {"quantity": 4},
    "a foreign key to NULL": {"item": None},
    "a foreign key by its column": {"item_id": None},
    "an expression": {"quantity": F("quantity") * 2 - 1},
    "a decimal expression": {"value": F("value") + Value(Decimal("0.0001"), output_field=FixedDecimalField())},
    "one column from another": {"carrier_id": F("carrier_id") - F("carrier_id") + 1},
    "text": {"kind": Concat(Value("k"), F("kind"))},
    "into the filter": {"kind": "planned"},
    "out of the filter": {"kind": "in"},
    "a subquery": {"kind": Subquery(Item.objects.filter(pk=OuterRef("item")).values("name")[:1])},
    "by case": {"quantity": Case(When(kind="in", then=100), default=F("quantity"))},
    "a date": {"moved_at": F("moved_at") + dt.timedelta(days=1)},
    "an untracked column": {"note": "n"},
}
QUERYSETS: dict[str, Callable[[QuerySet[Movement]], QuerySet[Movement]]] = {
    "all": lambda rows: rows,
    "none": lambda rows: rows.none(),
    "nothing that matches": lambda rows: rows.filter(quantity=-999),
    "a filter": lambda rows: rows.filter(quantity__gt=2),
    "a filter on what may change": lambda rows: rows.filter(kind="in"),
    "an exclude": lambda rows: rows.exclude(kind="in"),
    "a join": lambda rows: rows.filter(item__name="bolt"),
    "a negated join": lambda rows: rows.exclude(item__name="bolt"),
    "a join that repeats rows": lambda rows: rows.filter(site__movements__quantity__gt=0),
    "a key": lambda rows: rows.filter(pk__in=[movement.pk for movement in rows][:1]),
    "a foreign key": lambda rows: rows.filter(item_id__isnull=False),
    "or": lambda rows: rows.filter(quantity=1) | rows.filter(kind="planned"),
    "an annotation": lambda rows: rows.annotate(double=F("quantity") * 2).filter(double__gt=3),
    "a count of others": lambda rows: rows.annotate(n=Count("site__movements")).filter(n__gt=1),
    "exists": lambda rows: rows.filter(Exists(Item.objects.filter(pk=OuterRef("item"), name="nut"))),
    "values": lambda rows: rows.values("kind"),
    "distinct": lambda rows: rows.distinct(),
    "ordered": lambda rows: rows.order_by("-quantity"),
    "with related": lambda rows: rows.select_related("item"),
    "locked": lambda rows: rows.select_for_update(),
    "only": lambda rows: rows.only("note"),
    "extra": lambda rows: rows.extra(where=["quantity > 1"]),
    "Q": lambda rows: rows.filter(~Q(kind="in") | Q(item__name="nut")),
}
NOT_DELETED = {"values"}  # Django refuses it


@pytest.fixture
def rows(warehouse: Warehouse) -> QuerySet[Movement]:
    for quantity, kind, item, site in [
        (1, "in", warehouse.bolt, warehouse.north),
        (2, "in", warehouse.nut, warehouse.north),
        (3, "planned", warehouse.bolt, warehouse.north),
        (4, None, None, warehouse.south),
        (5, "out", warehouse.nut, warehouse.south),
    ]:
        warehouse.moved(quantity=quantity, kind=kind, item=item, site=site)
    return Movement.objects.all()


@pytest.mark.guarantee("update with constants and expressions", "exact")
@pytest.mark.parametrize("values", UPDATES.values(), ids=UPDATES)
def test_an_update_counts_what_the_database_made_of_it(rows: QuerySet[Movement], values: dict[str, Any]) -> None:
    assert rows.update(**values) == 5
    assert_exact()


@pytest.mark.guarantee("update with joins, subqueries or annotations in the filter", "exact", case="a join")
@pytest.mark.guarantee("update with joins, subqueries or annotations in the filter", "exact", case="exists")
@pytest.mark.guarantee("update with joins, subqueries or annotations in the filter", "exact", case="an annotation")
@pytest.mark.guarantee("update that changes its own filter", "exact", case="a filter on what may change")
@pytest.mark.parametrize("select", QUERYSETS.values(), ids=QUERYSETS)
def test_an_update_counts_the_rows_that_the_queryset_selects(
    rows: QuerySet[Movement], select: Callable[[QuerySet[Movement]], QuerySet[Movement]]
) -> None:
    chosen = set(select(rows).values_list("pk", flat=True))
    assert select(rows).update(kind="moved", quantity=F("quantity") + 10) == len(chosen)
    assert set(rows.filter(kind="moved").values_list("pk", flat=True)) == chosen
    assert_exact()


@pytest.mark.guarantee("delete", "exact")
@pytest.mark.parametrize(
    "select", [select for name, select in QUERYSETS.items() if name not in NOT_DELETED],
    ids=[name for name in QUERYSETS if name not in NOT_DELETED],
)  # fmt: skip
def test_a_delete_takes_out_the_rows_that_the_queryset_selects(
    rows: QuerySet[Movement], select: Callable[[QuerySet[Movement]], QuerySet[Movement]]
) -> None:
    chosen = set(select(rows).values_list("pk", flat=True))
    deleted, by_model = select(rows).delete()
    assert deleted == len(chosen)
    assert by_model.get("testapp.Movement", 0) == len(chosen)
    assert not rows.filter(pk__in=chosen).exists()
    assert_exact()


@pytest.mark.guarantee("update or delete of a slice or a union", "refused: by Django; filter by the primary keys")
@pytest.mark.parametrize(
    "write",
    [
        lambda rows: rows[:2].update(quantity=1),
        lambda rows: rows[:2].delete(),
        lambda rows: rows.values("kind").delete(),
        lambda rows: rows.union(rows).update(quantity=1),
        lambda rows: rows.union(rows).delete(),
    ],
    ids=["update of a slice", "delete of a slice", "delete of values", "update of a union", "delete of a union"],
)
def test_what_django_refuses_is_refused(rows: QuerySet[Movement], write: Callable[[Any], None]) -> None:
    with pytest.raises((TypeError, Exception), match=r"(?i)cannot|not supported"), transaction.atomic():
        write(rows)
    assert rows.count() == 5
    assert_exact()


@pytest.mark.guarantee(
    "a number or expression of another scale for an exact decimal",
    "refused: wrap it in Value(…, output_field=FixedDecimalField())",
)
@pytest.mark.parametrize("value", [5, Decimal("1.5"), "1.5"])
def test_a_bare_number_beside_a_decimal_column_is_refused(rows: QuerySet[Movement], value: Any) -> None:
    with pytest.raises(FieldError), transaction.atomic():
        rows.update(value=F("value") + value)
    assert_exact()


@pytest.mark.guarantee("update of the primary key", "refused: insert rows with the new keys and delete the old ones")
def test_an_update_of_the_key_is_refused(rows: QuerySet[Movement]) -> None:
    row = rows.filter(kind="in")[0]
    with pytest.raises(UntrackedWrite, match="insert rows with the new keys"), transaction.atomic():
        rows.filter(pk=row.pk).update(id=row.pk + 1000, quantity=77)
    assert not rows.filter(quantity=77).exists()
    assert_exact()


@pytest.mark.guarantee("a write rolled back with its savepoint", "exact")
@pytest.mark.parametrize("rolled_back", [lambda rows: rows.update(quantity=0, kind="x"), lambda rows: rows.delete()])
def test_a_write_rolled_back_with_its_savepoint_changes_nothing(
    rows: QuerySet[Movement], rolled_back: Callable[[Any], None]
) -> None:
    with pytest.raises(ZeroDivisionError), transaction.atomic():
        rolled_back(rows.all())
        raise ZeroDivisionError
    assert_exact()
    rolled_back(rows.all())
    assert_exact()


@pytest.mark.guarantee("_raw_delete", "exact")
def test_raw_delete_takes_out_its_rows(rows: QuerySet[Movement]) -> None:
    chosen = rows.filter(kind="in")
    assert chosen._raw_delete(chosen.db) == 2
    assert_exact()


@pytest.mark.guarantee("a proxy: save, update, delete, bulk_create", "exact")
def test_a_proxy_writes_the_rows_it_is(rows: QuerySet[Movement]) -> None:
    Correction.objects.filter(kind="in").update(quantity=9)
    assert_exact()
    Correction.objects.filter(kind="in").delete()
    assert_exact()


@pytest.mark.guarantee("the async twins", "exact")
def test_the_async_twins_count_alike(rows: QuerySet[Movement], warehouse: Warehouse) -> None:
    async_to_sync(rows.filter(kind="in").aupdate)(quantity=F("quantity") + 1)
    async_to_sync(rows.all().abulk_create)([warehouse.movement(), warehouse.movement(kind="out")])
    async_to_sync(rows.filter(kind="out").adelete)()
    async_to_sync(rows.aupdate_or_create)(pk=rows[0].pk, defaults={"quantity": 5})
    async_to_sync(rows.aget_or_create)(lot="L1", defaults={"site": warehouse.north, "quantity": 6, "moved_at": NOON})
    changed = list(rows)
    for row in changed:
        row.quantity, row.kind = row.quantity * 2, "in"
    async_to_sync(rows.abulk_update)(changed, ["quantity", "kind"])
    assert_exact()


@pytest.mark.guarantee("the async twins", "exact")
def test_the_async_twins_of_a_related_manager_count_alike(rows: QuerySet[Movement], warehouse: Warehouse) -> None:
    movements: Any = warehouse.bolt.movements
    async_to_sync(movements.aadd)(*rows.filter(kind="in"))
    async_to_sync(movements.aremove)(movements.filter(quantity=1)[0])
    async_to_sync(movements.acreate)(site=warehouse.south, quantity=7, moved_at=NOON)
    assert_exact()
    async_to_sync(movements.aset)(list(rows.filter(site=warehouse.south)), bulk=False)
    assert_exact()
    async_to_sync(movements.aclear)()
    assert not movements.exists()
    assert_exact()


def test_two_writes_in_one_transaction_add_up(rows: QuerySet[Movement]) -> None:
    with transaction.atomic():
        rows.filter(kind="in").update(kind="out")
        rows.filter(kind="out").update(quantity=1)
        rows.filter(quantity=1)[0].delete()
    assert_exact()


def test_an_update_of_one_totals_columns_alone_counts_in_each_declaration(rows: QuerySet[Movement]) -> None:
    rows.update(carrier=1)
    assert_exact()
    assert CarrierTotals.objects.filter(carrier=1).count() == 1


def test_no_average_of_exact_decimals_is_offered() -> None:
    Ticket.objects.create(gate="a", price=Decimal("0.0001"))
    Ticket.objects.create(gate="a", price=Decimal("0.0002"))
    with pytest.raises((TypeError, FieldError), match="divide its sum by the count"):
        Ticket.objects.aggregate(Avg("price"))
