"""Amounts of the two decimal columns: exact in the database's own arithmetic."""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal
from typing import Any

import pytest
from django.db import connection, models
from django.db.models import F, Sum
from django.db.models.functions import Cast
from django.utils import timezone

from aggregates.declarations import define
from aggregates.definitions import Definition, Rollup
from aggregates.fields import FixedDecimalField
from aggregates.models import Totals, Tracked
from aggregates.rebuild import Options, rebuild
from aggregates.verify import verify
from tests.integration.aggregates.conftest import tables_of
from tests.testapp.models import Ticket


@pytest.mark.django_db
@pytest.mark.parametrize("price", ["0.1", "-0.0001", "922337203685477.5807"])
def test_a_value_cast_to_a_fixed_decimal_is_the_decimal_that_is_stored(price: str) -> None:
    Ticket.objects.create(gate="a", price=price)
    cast = Ticket.objects.annotate(again=Cast(F("price"), FixedDecimalField()))
    assert cast.get().again == Decimal(price)


def sold() -> Definition:
    """Return a definition over sales in DecimalFields; within ``isolate_apps``."""

    class Sale(Tracked):
        shop = models.IntegerField()
        price = models.DecimalField(max_digits=9, decimal_places=2)

        class Meta:
            app_label = "testapp"

    class SaleTotals(Totals):
        shop = models.IntegerField(null=True)
        price = models.DecimalField(max_digits=19, decimal_places=2, default=0)

        class Meta:
            app_label = "testapp"

        class Aggregate:
            source = Sale
            measures = {"price": Sum("price")}
            rollups = (Rollup("shop"),)

    return define(SaleTotals)


@pytest.fixture
def sales(transactional_db: None) -> Iterator[Definition]:
    """Sales in DecimalFields, and the definition of their totals, of which nothing is stored yet."""
    with tables_of(sold) as definition:
        yield definition


@pytest.mark.skipif(connection.vendor == "sqlite", reason="keeps a DecimalField as a float; see check E016")
def test_totals_of_a_decimal_field_are_rebuilt_exactly(sales: Definition) -> None:
    source: Any = sales.source
    prices = [Decimal("0.10")] * 1000 + [Decimal("-9999999.99"), Decimal("0.01")]
    source.objects.bulk_create(source(shop=1, price=price) for price in prices)
    list(rebuild(sales, Options(), using="default", clock=timezone.now))
    assert list(sales.totals.objects.values_list("shop", "price")) == [(1, sum(prices))]
    assert not [f for _run, found in verify(sales, using="default", clock=timezone.now) for f in found.drift]
