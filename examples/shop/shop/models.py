"""Shops, what they sell, and the totals kept of it."""

from __future__ import annotations

from django.db import models
from django.db.models import Count, Q, Sum
from django.db.models.functions import TruncMonth

from aggregates.definitions import Rollup
from aggregates.fields import FixedDecimalField
from aggregates.models import Totals, Tracked


class Shop(models.Model):
    """Where things are sold."""

    name = models.CharField(max_length=50, unique=True)

    def __str__(self) -> str:
        return self.name


class Sale(Tracked):
    """One thing sold. A sale that is taken back stays, and counts no more."""

    class Channel(models.TextChoices):
        TILL = "till"
        WEB = "web"

    shop = models.ForeignKey(Shop, on_delete=models.PROTECT, related_name="sales")
    channel = models.CharField(max_length=10, choices=Channel.choices, default=Channel.TILL)
    price = FixedDecimalField()
    sold_on = models.DateField()
    taken_back = models.BooleanField(default=False)

    def __str__(self) -> str:
        return f"{self.price} on {self.sold_on}"


class SaleTotals(Totals):
    """Revenue and number of sales, by shop and month, and by month alone."""

    shop = models.ForeignKey(Shop, null=True, on_delete=models.DO_NOTHING, db_constraint=False, related_name="+")
    month = models.DateField(null=True)
    revenue = FixedDecimalField(default=0)
    sales = models.BigIntegerField(default=0)

    class Meta:
        indexes = (models.Index(fields=["rollup", "shop", "month"], name="shop_sale_totals"),)

    class Aggregate:
        source = "shop.Sale"
        where = Q(taken_back=False)
        dimensions = {"month": TruncMonth("sold_on")}
        measures = {"revenue": Sum("price"), "sales": Count("*")}
        rollups = (
            Rollup("shop", "month"),
            Rollup("month", slots=16),
        )


class Visit(models.Model):
    """Somebody came in. Of visits no totals are kept yet."""

    shop = models.ForeignKey(Shop, on_delete=models.CASCADE, related_name="visits")
    came_on = models.DateField()

    def __str__(self) -> str:
        return f"on {self.came_on}"
