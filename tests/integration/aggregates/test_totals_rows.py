"""Totals rows are the engine's: nobody else writes them, and fixtures derive them."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from asgiref.sync import async_to_sync
from django.core import serializers
from django.core.management import call_command
from django.db import transaction

from aggregates.exceptions import ReadOnlyTotals
from tests.integration.aggregates.conftest import Warehouse
from tests.integration.aggregates.exactness import assert_exact
from tests.testapp.models import Movement, MovementTotals, Ticket, TicketTotals

pytestmark = pytest.mark.django_db

WRITES: dict[str, Callable[[], Any]] = {
    "save": lambda: TicketTotals.objects.get().save(),
    "save of some fields": lambda: TicketTotals.objects.get().save(update_fields=["price"]),
    "create": lambda: TicketTotals.objects.create(rollup="gate"),
    "get_or_create": lambda: TicketTotals.objects.get_or_create(rollup="none"),
    "update_or_create": lambda: TicketTotals.objects.update_or_create(rollup="gate", defaults={"price": 0}),
    "update": lambda: TicketTotals.objects.update(price=0),
    "filtered update": lambda: TicketTotals.objects.filter(gate="a").update(price=0),
    "bulk_create": lambda: TicketTotals.objects.bulk_create([TicketTotals(rollup="gate")]),
    "bulk_update": lambda: TicketTotals.objects.bulk_update(TicketTotals.objects.all(), ["price"]),
    "delete": lambda: TicketTotals.objects.get().delete(),
    "queryset delete": lambda: TicketTotals.objects.all().delete(),
    "raw delete": lambda: TicketTotals.objects.all()._raw_delete("default"),
    "asave": lambda: async_to_sync(TicketTotals.objects.get().asave)(),
    "aupdate": lambda: async_to_sync(TicketTotals.objects.all().aupdate)(price=0),
    "update by the base manager": lambda: TicketTotals._base_manager.update(price=0),
    "delete by the base manager": lambda: TicketTotals._base_manager.all().delete(),
}


@pytest.mark.guarantee("a totals row written by hand", "refused: write its source rows, or run rebuild_totals")
@pytest.mark.parametrize("write", WRITES.values(), ids=WRITES)
def test_writing_totals_by_hand_is_refused(write: Callable[[], Any]) -> None:
    Ticket.objects.create(gate="a", price=1)
    with pytest.raises(ReadOnlyTotals, match="TicketTotals"), transaction.atomic():
        write()
    assert_exact()


@pytest.mark.guarantee("loaddata, with or without totals rows in the fixture", "exact")
@pytest.mark.parametrize("order", ["rows first", "totals first", "no totals"])
def test_a_fixture_loads_rows_and_derives_their_totals(warehouse: Warehouse, tmp_path: Path, order: str) -> None:
    for quantity in (1, 2):
        warehouse.moved(quantity=quantity)
        Ticket.objects.create(gate="a", price=quantity)
    rows = json.loads(serializers.serialize("json", [*Movement.objects.all(), *Ticket.objects.all()]))
    totals = json.loads(serializers.serialize("json", [*MovementTotals.objects.all(), *TicketTotals.objects.all()]))
    fixture = tmp_path / "fixture.json"
    parts = {"rows first": [*rows, *totals], "totals first": [*totals, *rows], "no totals": rows}[order]
    fixture.write_text(json.dumps(parts))
    Movement.objects.all().delete()
    Ticket.objects.all().delete()
    assert_exact()
    for _ in range(2):
        call_command("loaddata", fixture, verbosity=0)
        assert Movement.objects.count() == Ticket.objects.count() == 2
        assert_exact()
