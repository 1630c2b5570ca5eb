"""Sums of measures by dimensions, as a host asks for them."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest
from django.db.models import Count, Q, Sum
from django.db.models.functions import Coalesce, TruncDate

from aggregates import reads
from aggregates.exceptions import TotalsNotReady
from aggregates.fields import FixedDecimalField
from aggregates.models import RollupState
from tests.integration.aggregates.conftest import NOON, Warehouse
from tests.testapp.models import WAREHOUSE_TIME, Movement, MovementTotals, Ticket, TicketTotals

pytestmark = pytest.mark.django_db

Rows = list[tuple[Any, ...]]


@pytest.fixture(autouse=True)
def movements(warehouse: Warehouse) -> None:
    for n in range(24):
        warehouse.moved(
            site=(warehouse.north, warehouse.south)[n % 2],
            item=(warehouse.bolt, warehouse.nut, None)[n % 3],
            kind=("in", "out", None, "planned")[n // 6],
            moved_at=NOON.replace(day=1 + n % 5),
            quantity=n - 9,
            value=Decimal(n * n - 200).scaleb(-4),
            inspector="ada" if n % 4 else None,
        )


def computed(*by: str, where: Q | None = None) -> Rows:
    """Return what the database computes from the movements themselves."""
    rows = Movement.objects.exclude(kind="planned").annotate(day=TruncDate("moved_at", tzinfo=WAREHOUSE_TIME))
    summed = rows.filter(where or Q()).values_list(*by or ("urgent",)).order_by()
    nothing = Decimal(0)
    found = summed.annotate(
        quantities=Sum("quantity"),
        received=Coalesce(Sum("quantity", filter=Q(kind="in")), 0),
        values=Coalesce(Sum("value"), nothing, output_field=FixedDecimalField()),
        inspected=Count("inspector"),
        rows=Count("*"),
    )
    return list(found) if by else [row[1:] for row in found]


def ordered(rows: Rows) -> Rows:
    return sorted(rows, key=repr)


@pytest.mark.parametrize("where", [None, Q(kind="in"), Q(kind=None), Q(kind__in=["out"]) | Q(item__isnull=True), Q()])
@pytest.mark.parametrize("by", [(), ("item",), ("kind", "item"), ("day", "site"), ("site", "kind", "item", "day")])
def test_they_are_what_the_database_computes_from_the_rows(by: tuple[str, ...], where: Q | None) -> None:
    expected = ordered(computed(*by, where=where))
    assert len(expected) > 0
    assert ordered(reads.sums(MovementTotals, *by, where=where)) == expected


@pytest.mark.parametrize("where", [None, Q(gate="a")])
def test_they_are_of_now_each_time(where: Q | None) -> None:
    assert reads.sums(TicketTotals, "gate", where=where) == []
    ticket = Ticket.objects.create(gate="a", price="1.5")
    assert reads.sums(TicketTotals, "gate", where=where) == [("a", Decimal("1.5"), 1)]
    Ticket.objects.create(gate="a", price="-1.5")
    assert reads.sums(TicketTotals, "gate", where=where) == [("a", Decimal(0), 2)]
    Ticket.objects.exclude(pk=ticket.pk).delete()
    ticket.delete()
    assert TicketTotals.objects.exists()
    assert reads.sums(TicketTotals, "gate", where=where) == []
    assert reads.sums(TicketTotals, where=where) == []


def test_nothing_is_selected_by_no_values() -> None:
    assert reads.sums(MovementTotals, "item", where=Q(kind__in=[])) == []


@pytest.mark.parametrize("where", [None, Q(gate="a")])
def test_a_rollup_that_is_not_ready_is_not_read(where: Q | None) -> None:
    assert reads.sums(TicketTotals, where=where) == []
    RollupState.objects.all().delete()
    with pytest.raises(TotalsNotReady):
        reads.sums(TicketTotals, where=where)


@pytest.mark.parametrize(("by", "where"), [(("colour",), None), (("gate",), Q(colour="red")), ((), ~Q(price=1))])
def test_what_is_no_dimension_is_named(by: tuple[str, ...], where: Q | None) -> None:
    with pytest.raises(ValueError, match=r"TicketTotals has no dimension (colour|price)\."):
        reads.sums(TicketTotals, *by, where=where)
