"""Historical models, as RunPython in a migration gets them, never let totals drift unseen."""

from __future__ import annotations

import pytest
from django.db import connection, transaction
from django.db.migrations.loader import MigrationLoader
from django.utils import timezone

import aggregates
from aggregates import reads, registry
from aggregates.exceptions import TotalsNotReady, UntrackedWrite
from aggregates.rebuild import Options, rebuild
from tests.integration.aggregates.exactness import assert_exact
from tests.testapp.models import Driver, Movement, Shift, Ticket, TicketTotals, Truck

pytestmark = pytest.mark.django_db


@pytest.fixture
def historical():
    """Return the Ticket model as a migration that comes after all others would see it."""
    Ticket.objects.create(gate="a", price=1)
    apps = MigrationLoader(connection).project_state().apps
    return apps.get_model("testapp", "Ticket")


WRITES = {
    "save": lambda model: model(gate="b", price=5).save(),
    "create": lambda model: model.objects.create(gate="b", price=5),
    "save again": lambda model: model.objects.get().save(),
    "delete": lambda model: model.objects.get().delete(),
    "update": lambda model: model.objects.update(price=9),
    "bulk_create": lambda model: model.objects.bulk_create([model(gate="b", price=5)]),
    "bulk_update": lambda model: model.objects.bulk_update(model.objects.all(), ["gate"]),
    "queryset delete": lambda model: model.objects.all().delete(),
    "update by the base manager": lambda model: model._base_manager.update(price=9),
}


@pytest.mark.guarantee(
    "historical models in a migration (RunPython)",
    "refused: write within aggregates.untracked(…), then run rebuild_totals",
)
@pytest.mark.parametrize("write", WRITES.values(), ids=WRITES)
def test_a_write_is_refused_and_told_the_way(historical, write):
    with pytest.raises(UntrackedWrite, match=r"aggregates\.untracked\('testapp\.Ticket'\)"), transaction.atomic():
        write(historical)
    assert_exact()


@pytest.mark.parametrize("write", WRITES.values(), ids=WRITES)
def test_an_untracked_write_takes_the_totals_out_of_use_until_a_rebuild(historical, write):
    with aggregates.untracked("testapp.Ticket"):
        write(historical)
    with pytest.raises(TotalsNotReady):
        reads.smallest(TicketTotals, {"gate"})
    list(rebuild(registry.definition(TicketTotals), Options(), using="default", clock=timezone.now))
    reads.smallest(TicketTotals, {"gate"})
    assert_exact()


@pytest.fixture
def past(warehouse):
    """Return what gives the models of which rows hang on others, as a migration would see them."""
    warehouse.moved()
    shift = Shift.objects.create(truck=Truck.objects.create(), driver=Driver.objects.create())
    Truck.objects.create(pk=shift.truck_id + 1)
    apps = MigrationLoader(connection).project_state().apps
    return lambda name: apps.get_model("testapp", name)


THROUGH_OTHERS = {
    "a cascade": lambda past: past("Site").objects.get(name="north").delete(),
    "a cascade from a queryset": lambda past: past("Truck").objects.all().delete(),
    "SET_NULL": lambda past: past("Item").objects.get(name="bolt").delete(),
    "SET(constant)": lambda past: past("Carrier").objects.get(name="rail").delete(),
    "a related manager": lambda past: past("Item").objects.get(name="bolt").movements.clear(),
    "a many-to-many": lambda past: past("Truck").objects.latest("pk").drivers.add(past("Driver").objects.get()),
    "a many-to-many, cleared": lambda past: past("Driver").objects.get().trucks.clear(),
}


@pytest.mark.guarantee(
    "historical models in a migration (RunPython)",
    "refused: write within aggregates.untracked(…), then run rebuild_totals",
)
@pytest.mark.parametrize("write", THROUGH_OTHERS.values(), ids=THROUGH_OTHERS)
def test_a_write_that_comes_from_a_parent_is_refused_too(past, write):
    with (
        pytest.raises(UntrackedWrite, match=r"aggregates\.untracked\('testapp\.(Movement|Shift)'\)"),
        transaction.atomic(),
    ):
        write(past)
    assert Movement.objects.filter(item__name="bolt", carrier__name="rail", quantity=7).count() == 1
    assert Shift.objects.count() == 1
    assert_exact()


def test_after_the_block_writes_are_refused_again(historical):
    with aggregates.untracked("testapp.Ticket"):
        historical.objects.update(price=9)
    with pytest.raises(UntrackedWrite), transaction.atomic():
        historical.objects.update(price=8)


def test_a_block_that_raises_leaves_the_totals_in_use(historical):
    with pytest.raises(ZeroDivisionError), aggregates.untracked("testapp.Ticket"):
        historical.objects.update(price=9)
        raise ZeroDivisionError
    reads.smallest(TicketTotals, {"gate"})
    assert_exact()


def test_a_source_of_no_totals_is_told():
    with pytest.raises(LookupError, match="source of no totals"), aggregates.untracked("testapp.Nothing"):
        pass


def test_other_historical_models_are_written_as_ever():
    apps = MigrationLoader(connection).project_state().apps
    apps.get_model("testapp", "Site").objects.create()
