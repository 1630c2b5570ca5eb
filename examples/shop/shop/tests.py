"""The example's own tests. ``assert_totals_match()`` holds a host's models to the promise."""

from __future__ import annotations

import datetime as dt
from decimal import Decimal
from io import StringIO

from django.core.management import call_command
from django.test import TestCase, TransactionTestCase

from aggregates.testing import assert_totals_match
from shop.models import Sale, Shop
from shop.reports import Month, by_month

JANUARY, FEBRUARY = dt.date(2026, 1, 1), dt.date(2026, 2, 1)


class Reports(TestCase):
    def setUp(self) -> None:
        self.harbour, self.station = (Shop.objects.create(name=name) for name in ("Harbour", "Station"))
        for shop, price, day in [
            (self.harbour, "7.50", JANUARY),
            (self.harbour, "0.10", JANUARY + dt.timedelta(days=30)),
            (self.station, "2.00", FEBRUARY),
        ]:
            Sale.objects.create(shop=shop, price=Decimal(price), sold_on=day)

    def tearDown(self) -> None:
        assert_totals_match()

    def test_months_add_up_for_one_shop_and_for_all(self) -> None:
        assert by_month(self.harbour) == [Month(JANUARY, Decimal("7.60"), 2)]
        assert by_month() == [Month(FEBRUARY, Decimal("2.00"), 1), Month(JANUARY, Decimal("7.60"), 2)]

    def test_what_is_taken_back_counts_no_more(self) -> None:
        self.harbour.sales.filter(sold_on=JANUARY).update(taken_back=True)
        assert by_month(self.harbour) == [Month(JANUARY, Decimal("0.10"), 1)]

    def test_the_page_has_a_line_for_each_month(self) -> None:
        page = self.client.get("/").content.decode()
        assert page.split() == ["2026-02", "2.0000", "1", "2026-01", "7.6000", "2"]


class Open(TransactionTestCase):
    def test_an_open_shop_leaves_exact_totals(self) -> None:
        call_command("sell", times=50, stdout=StringIO())
        assert_totals_match()
