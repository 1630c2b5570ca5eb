"""Totals by what other rows say: of a purchase's category, its group, a node's parent, two accounts."""

from __future__ import annotations

from decimal import Decimal

from django.db import models
from django.db.models import Count, F, Q, Sum

from aggregates.definitions import Rollup
from aggregates.fields import FixedDecimalField
from aggregates.models import Totals, Tracked


class Group(Tracked):
    """What categories belong to, itself part of a division."""

    name = models.CharField(max_length=50)
    division = models.CharField(max_length=20, null=True)


class Category(Tracked):
    """What purchases belong to. It may move to another group; what is secret is in no total."""

    name = models.CharField(max_length=50)
    group = models.ForeignKey(Group, null=True, on_delete=models.SET_NULL, related_name="categories")
    secret = models.BooleanField(default=False)


class Shop(Tracked):
    """Where things are bought. Its purchases go with it."""

    town = models.CharField(max_length=20)


class Licence(Tracked):
    """What a shop may do. The shop is its key."""

    shop = models.OneToOneField(Shop, primary_key=True, on_delete=models.CASCADE, related_name="licence")
    kind = models.CharField(max_length=10)
    fee = models.IntegerField()


class LicenceTotals(Totals):
    """Fees by kind."""

    kind = models.CharField(max_length=10, null=True)
    fee = models.BigIntegerField(default=0)

    class Aggregate:
        source = "testapp.Licence"
        measures = {"fee": Sum("fee")}
        rollups = (Rollup("kind"),)


class Purchase(Tracked):
    """An amount spent, in a category or in none, in a shop."""

    category = models.ForeignKey(Category, null=True, on_delete=models.SET_NULL, related_name="purchases")
    shop = models.ForeignKey(Shop, on_delete=models.CASCADE, related_name="purchases")
    amount = FixedDecimalField()
    note = models.TextField(default="")


class PurchaseTotals(Totals):
    """Amounts by group, division and town."""

    group = models.ForeignKey(Group, null=True, db_constraint=False, on_delete=models.DO_NOTHING, related_name="+")
    division = models.CharField(max_length=20, null=True)
    town = models.CharField(max_length=20, null=True)
    amount = FixedDecimalField(default=Decimal(0))
    count = models.BigIntegerField(default=0)

    class Aggregate:
        source = "testapp.Purchase"
        where = ~Q(category__secret=True)
        dimensions = {
            "group": F("category__group"),
            "division": F("category__group__division"),
            "town": F("shop__town"),
        }
        measures = {"amount": Sum("amount"), "count": Count("*")}
        rollups = (Rollup("group", "town"), Rollup("division"), Rollup("town", slots=4))


class Node(Tracked):
    """A node of a tree: it is a source, and its children are summed by what it is called."""

    parent = models.ForeignKey("self", null=True, on_delete=models.CASCADE, related_name="children")
    label = models.CharField(max_length=20)
    weight = models.IntegerField()


class NodeTotals(Totals):
    """Weights by the label of the parent, and how much more than it they weigh."""

    label = models.CharField(max_length=20, null=True)
    above = models.CharField(max_length=20, null=True)
    weight = models.BigIntegerField(default=0)
    excess = models.BigIntegerField(default=0)

    class Aggregate:
        source = "testapp.Node"
        dimensions = {"above": F("parent__label")}
        measures = {"weight": Sum("weight"), "excess": Sum(F("weight") - F("parent__weight"))}
        rollups = (Rollup("above"), Rollup("label", "above"))


class Account(Tracked):
    """One end of transfers, at a branch."""

    branch = models.CharField(max_length=20)


class Transfer(Tracked):
    """An amount that went from one account to another."""

    sender = models.ForeignKey(Account, on_delete=models.CASCADE, related_name="sent")
    receiver = models.ForeignKey(Account, on_delete=models.CASCADE, related_name="received")
    amount = models.IntegerField()


class TransferTotals(Totals):
    """Amounts by the branches of both ends."""

    sent_by = models.CharField(max_length=20, null=True)
    received_by = models.CharField(max_length=20, null=True)
    amount = models.BigIntegerField(default=0)

    class Aggregate:
        source = "testapp.Transfer"
        dimensions = {"sent_by": F("sender__branch"), "received_by": F("receiver__branch")}
        measures = {"amount": Sum("amount")}
        rollups = (Rollup("sent_by", "received_by", name=r"who's \ 50% of both"),)
