"""What a warehouse moves, what its machines read, and the totals kept of both."""

from __future__ import annotations

import datetime as dt
import uuid
from decimal import Decimal
from zoneinfo import ZoneInfo

from django.contrib.contenttypes.fields import GenericForeignKey, GenericRelation
from django.contrib.contenttypes.models import ContentType
from django.db import connection, models
from django.db.models import Count, F, Q, Sum
from django.db.models.functions import TruncDate, TruncHour
from django.db.models.signals import post_save
from django.dispatch import receiver

from aggregates.definitions import Rollup
from aggregates.fields import FixedDecimalField
from aggregates.models import Totals, Tracked
from aggregates.querysets import TrackedManager, TrackedQuerySet

# Days begin at midnight of the warehouse, which is neither UTC nor always the same distance from it.
# MariaDB knows other times than UTC only where somebody has loaded them.
WAREHOUSE_TIME = ZoneInfo("America/St_Johns") if connection.vendor != "mysql" else dt.UTC
UNKNOWN_CARRIER = 1


class Site(models.Model):
    """Where things are. Its movements go with it."""

    name = models.CharField(max_length=50)


class Item(models.Model):
    """What is moved. Its movements outlive it."""

    name = models.CharField(max_length=50)


class Carrier(models.Model):
    """Who moves. Movements of one that leaves become the unknown carrier's."""

    name = models.CharField(max_length=50)


class Movement(Tracked):
    """A quantity of an item that came to a site, or left it. A planned one is in no total."""

    site = models.ForeignKey(Site, on_delete=models.CASCADE, related_name="movements")
    item = models.ForeignKey(Item, null=True, on_delete=models.SET_NULL, related_name="movements")
    carrier = models.ForeignKey(
        Carrier, default=UNKNOWN_CARRIER, on_delete=models.SET(UNKNOWN_CARRIER), related_name="movements"
    )
    kind = models.CharField(max_length=20, null=True)
    urgent = models.BooleanField(default=False)
    moved_at = models.DateTimeField()
    quantity = models.IntegerField()
    value = FixedDecimalField(null=True)
    inspector = models.CharField(max_length=50, null=True)
    lot = models.CharField(max_length=50, null=True, unique=True)
    note = models.TextField(default="")


class Correction(Movement):
    """A movement seen as a correction."""

    class Meta:
        proxy = True


class MovementTotals(Totals):
    """Quantities, values and counts of all movements that are not merely planned."""

    site = models.ForeignKey(Site, null=True, db_constraint=False, on_delete=models.DO_NOTHING, related_name="+")
    item = models.ForeignKey(Item, null=True, db_constraint=False, on_delete=models.DO_NOTHING, related_name="+")
    carrier = models.ForeignKey(Carrier, null=True, db_constraint=False, on_delete=models.DO_NOTHING, related_name="+")
    kind = models.CharField(max_length=20, null=True)
    urgent = models.BooleanField(null=True)
    day = models.DateField(null=True)
    instant = models.DateTimeField(null=True)
    quantity = models.BigIntegerField(default=0)
    received = models.BigIntegerField(default=0)
    value = FixedDecimalField(default=Decimal(0))
    inspected = models.BigIntegerField(default=0)
    count = models.BigIntegerField(default=0)

    class Aggregate:
        source = "testapp.Movement"
        where = ~Q(kind="planned")
        dimensions = {"day": TruncDate("moved_at", tzinfo=WAREHOUSE_TIME), "instant": F("moved_at")}
        measures = {
            "quantity": Sum("quantity"),
            "received": Sum("quantity", filter=Q(kind="in")),
            "value": Sum("value"),
            "inspected": Count("inspector"),
            "count": Count("*"),
        }
        rollups = (
            Rollup("site", "item", "kind", "day", name="stock"),
            Rollup("carrier", "urgent", "instant", name="transport", chunk_by="carrier"),
            Rollup("item", "kind", slots=4, name="overview"),
        )


class CarrierTotals(Totals):
    """A second declaration over the same source: all movements, planned ones too."""

    carrier = models.ForeignKey(Carrier, null=True, db_constraint=False, on_delete=models.DO_NOTHING, related_name="+")
    quantity = models.BigIntegerField(default=0)

    class Aggregate:
        source = Movement
        measures = {"quantity": Sum("quantity")}
        rollups = (Rollup("carrier"),)


class Reading(Tracked):
    """What a machine read. A raw reading is calibrated by the receiver below, which saves it again."""

    machine = models.CharField(max_length=20)
    level = models.BigIntegerField()
    raw = models.BooleanField(default=False)
    read_at = models.DateTimeField(null=True)


@receiver(post_save, sender=Reading)
def calibrate(instance: Reading, **_signal: object) -> None:
    """Correct a raw reading by one. Connected before the engine's own receivers."""
    if instance.raw:
        instance.raw = False
        instance.level += 1
        instance.save()


class RemoteReading(Reading):
    """A reading that came from afar."""

    station = models.CharField(max_length=20)


class RemoteReadingTotals(Totals):
    """Readings by the station they came from: a source that extends another one."""

    station = models.CharField(max_length=20, null=True)
    count = models.BigIntegerField(default=0)

    class Aggregate:
        source = RemoteReading
        measures = {"count": Count("*")}
        rollups = (Rollup("station"),)


class ReadingTotals(Totals):
    """Levels by machine and by hour."""

    machine = models.CharField(max_length=20, null=True)
    hour = models.DateTimeField(null=True)
    level = models.BigIntegerField(default=0)
    count = models.BigIntegerField(default=0)

    class Aggregate:
        source = "testapp.Reading"
        dimensions = {"hour": TruncHour("read_at", tzinfo=dt.UTC)}
        measures = {"level": Sum("level"), "count": Count("*")}
        rollups = (Rollup("machine"), Rollup("hour"))


class Ticket(Tracked):
    """A source whose keys are made by the client, and whose code is unique where there is one."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4)
    code = models.CharField(max_length=20, null=True, unique=True)
    gate = models.CharField(max_length=20)
    price = FixedDecimalField()


class SeasonTicket(Ticket):
    """A ticket with a number of its own, which is its key: the ticket's id is not."""

    number = models.BigAutoField(primary_key=True)
    ticket = models.OneToOneField(Ticket, parent_link=True, on_delete=models.CASCADE, related_name="season")
    holder = models.CharField(max_length=20)


class TicketTotals(Totals):
    """Takings by gate."""

    gate = models.CharField(max_length=20, null=True)
    price = FixedDecimalField(default=Decimal(0))
    count = models.BigIntegerField(default=0)

    class Aggregate:
        source = "testapp.Ticket"
        measures = {"price": Sum("price"), "count": Count("*")}
        rollups = (Rollup("gate"),)


class Shelf(models.Model):
    """Where parcels lie. Django does nothing to them when it goes; a database may."""

    name = models.CharField(max_length=20)


class PresentManager(TrackedManager):
    """Hides the parcels that are gone."""

    def get_queryset(self) -> TrackedQuerySet[Parcel]:
        return super().get_queryset().filter(gone=False)


class Parcel(Tracked):
    """A source whose default manager hides rows, and whose columns the database fills."""

    shelf = models.ForeignKey(
        Shelf, null=True, db_constraint=False, on_delete=models.DO_NOTHING, related_name="parcels"
    )
    label = models.CharField(max_length=10, db_default="plain")
    width = models.IntegerField()
    height = models.IntegerField(db_default=2)
    area = models.GeneratedField(
        expression=F("width") * F("height"), output_field=models.IntegerField(), db_persist=True
    )
    gone = models.BooleanField(default=False)

    objects = PresentManager()
    everything = TrackedManager()

    class Meta:
        base_manager_name = "everything"


class ParcelTotals(Totals):
    """Areas by shelf and label, of parcels that are gone too."""

    shelf = models.ForeignKey(Shelf, null=True, db_constraint=False, on_delete=models.DO_NOTHING, related_name="+")
    label = models.CharField(max_length=10, null=True)
    area = models.BigIntegerField(default=0)
    height = models.BigIntegerField(default=0)
    count = models.BigIntegerField(default=0)

    class Aggregate:
        source = "testapp.Parcel"
        measures = {"area": Sum("area"), "height": Sum("height"), "count": Count("*")}
        rollups = (Rollup("shelf", "label"), Rollup("label"))


class Depot(models.Model):
    """Where deliveries arrive. They go with it, and so do its docks and its labels."""

    name = models.CharField(max_length=20)
    labels = GenericRelation("testapp.Label")


class Dock(models.Model):
    """Cannot go before its deliveries, but may go with them."""

    name = models.CharField(max_length=20)
    depot = models.ForeignKey(Depot, on_delete=models.CASCADE, related_name="docks")


class Sender(models.Model):
    """Cannot go while it has deliveries."""

    name = models.CharField(max_length=20)


class Delivery(Tracked):
    """A source whose parents do each something else when they go."""

    depot = models.ForeignKey(Depot, on_delete=models.CASCADE, related_name="deliveries")
    dock = models.ForeignKey(Dock, on_delete=models.RESTRICT, related_name="deliveries")
    detour = models.ForeignKey(Dock, null=True, on_delete=models.SET_NULL, related_name="detours")
    sender = models.ForeignKey(Sender, null=True, on_delete=models.PROTECT, related_name="deliveries")
    weight = models.IntegerField()


class DeliveryTotals(Totals):
    """Weights by everything that a delivery hangs on."""

    depot = models.ForeignKey(Depot, null=True, db_constraint=False, on_delete=models.DO_NOTHING, related_name="+")
    dock = models.ForeignKey(Dock, null=True, db_constraint=False, on_delete=models.DO_NOTHING, related_name="+")
    detour = models.ForeignKey(Dock, null=True, db_constraint=False, on_delete=models.DO_NOTHING, related_name="+")
    sender = models.ForeignKey(Sender, null=True, db_constraint=False, on_delete=models.DO_NOTHING, related_name="+")
    weight = models.BigIntegerField(default=0)
    count = models.BigIntegerField(default=0)

    class Aggregate:
        source = "testapp.Delivery"
        measures = {"weight": Sum("weight"), "count": Count("*")}
        rollups = (Rollup("depot", "dock", "detour", "sender"),)


class Label(Tracked):
    """A source whose parent may be of any model."""

    content_type = models.ForeignKey(ContentType, on_delete=models.CASCADE, related_name="+")
    object_id = models.BigIntegerField()
    labelled = GenericForeignKey()
    text = models.CharField(max_length=20)


class LabelTotals(Totals):
    """Labels by what they are on."""

    content_type = models.ForeignKey(
        ContentType, null=True, db_constraint=False, on_delete=models.DO_NOTHING, related_name="+"
    )
    object_id = models.BigIntegerField(null=True)
    text = models.CharField(max_length=20, null=True, db_column="d0")  # a name of a statement's own
    count = models.BigIntegerField(default=0)

    class Aggregate:
        source = "testapp.Label"
        measures = {"count": Count("*")}
        rollups = (Rollup("content_type", "object_id", "text"),)


class Driver(models.Model):
    """Drives trucks, and rides with others, each of whom rides with them."""

    name = models.CharField(max_length=20)
    mates = models.ManyToManyField("self", through="testapp.Pairing")


class Truck(models.Model):
    """Is driven by drivers."""

    name = models.CharField(max_length=20)
    drivers = models.ManyToManyField(Driver, through="testapp.Shift", related_name="trucks")


class Shift(Tracked):
    """A source that is the through model of a many-to-many; a pair may have several rows."""

    truck = models.ForeignKey(Truck, on_delete=models.CASCADE, related_name="shifts")
    driver = models.ForeignKey(Driver, on_delete=models.CASCADE, related_name="shifts")
    hours = models.IntegerField(default=8)
    night = models.BooleanField(default=False)


class ShiftTotals(Totals):
    """Hours by truck and by driver, of shifts by day."""

    truck = models.ForeignKey(Truck, null=True, db_constraint=False, on_delete=models.DO_NOTHING, related_name="+")
    driver = models.ForeignKey(Driver, null=True, db_constraint=False, on_delete=models.DO_NOTHING, related_name="+")
    hours = models.BigIntegerField(default=0)
    count = models.BigIntegerField(default=0)

    class Aggregate:
        source = "testapp.Shift"
        where = Q(night=False)
        measures = {"hours": Sum("hours"), "count": Count("*")}
        rollups = (Rollup("truck", "driver"),)


class Pairing(Tracked):
    """A source that is the through model of a symmetrical many-to-many: two rows a pair."""

    driver = models.ForeignKey(Driver, on_delete=models.CASCADE, related_name="pairings")
    mate = models.ForeignKey(Driver, on_delete=models.CASCADE, related_name="+")
    trips = models.IntegerField(default=1)

    class Meta(Tracked.Meta):
        constraints = (models.UniqueConstraint(fields=["driver", "mate"], name="testapp_one_pairing"),)


class PairingTotals(Totals):
    """Trips by driver."""

    driver = models.ForeignKey(Driver, null=True, db_constraint=False, on_delete=models.DO_NOTHING, related_name="+")
    trips = models.BigIntegerField(default=0)
    count = models.BigIntegerField(default=0)

    class Aggregate:
        source = "testapp.Pairing"
        measures = {"trips": Sum("trips"), "count": Count("*")}
        rollups = (Rollup("driver"),)


from tests.testapp.purchases import (  # noqa: E402, F401 - the rest of the app's models
    Account,
    Category,
    Group,
    Licence,
    LicenceTotals,
    Node,
    NodeTotals,
    Purchase,
    PurchaseTotals,
    Shop,
    Transfer,
    TransferTotals,
)
