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
from tests.testapp.models import Ticket, TicketTotals

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
