"""A second database with tables, and totals, of its own."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import nullcontext
from copy import deepcopy
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from asgiref.sync import async_to_sync
from django.core import serializers
from django.core.management import call_command
from django.db import connection, connections, transaction
from django.db.models import F

import aggregates
from aggregates.testing import assert_totals_match
from tests.integration.aggregates.exactness import assert_exact
from tests.testapp.models import Driver, Parcel, Shelf, Shift, ShiftTotals, Ticket, TicketTotals, Truck

OTHER = "other"
pytestmark = [
    pytest.mark.django_db(databases=["default", OTHER]),
    pytest.mark.guarantee("a second database alias", "exact"),
]


@pytest.fixture(scope="module")
def database(django_db_setup: None, django_db_blocker: Any) -> Iterator[None]:
    """Create a database beside the default one, of the same kind."""
    settings = deepcopy(connection.settings_dict)
    name = settings["NAME"]
    stem, dot, ending = name.rpartition(".sqlite3") if name.endswith(".sqlite3") else (name, "", "")
    settings["TEST"]["NAME"] = f"{stem}_other{dot}{ending}"
    connections.settings[OTHER] = settings
    with django_db_blocker.unblock():
        connections[OTHER].creation.create_test_db(verbosity=0, autoclobber=True, serialize=False)
    try:
        yield
    finally:
        with django_db_blocker.unblock():
            connections[OTHER].creation.destroy_test_db(name, verbosity=0)
        del connections.settings[OTHER]
        del connections[OTHER]


@pytest.fixture
def other(database: None, db: None) -> None:
    """Put a ticket into each database, of the same key and other values."""
    ticket = Ticket.objects.create(gate="a", price=1)
    Ticket(pk=ticket.pk, gate="b", price=100).save(using=OTHER)


def sums(using: str) -> dict[str, tuple[Decimal, int]]:
    return {gate: (price, count) for gate, price, count in TicketTotals.objects.using(using).filter(
        count__gt=0).values_list("gate", "price", "count")}  # fmt: skip


WRITES: dict[str, tuple[Callable[[Any], Any], dict[str, tuple[int, int]]]] = {
    "nothing": (lambda rows: None, {"b": (100, 1)}),
    "save": (lambda rows: _resaved(rows.get()), {"c": (100, 1)}),
    "save with using": (lambda rows: Ticket(gate="c", price=5).save(using=OTHER), {"b": (100, 1), "c": (5, 1)}),
    "create": (lambda rows: rows.create(gate="b", price=5), {"b": (105, 2)}),
    "get_or_create": (lambda rows: rows.get_or_create(gate="d", defaults={"price": 5}), {"b": (100, 1), "d": (5, 1)}),
    "update": (lambda rows: rows.update(gate="c", price=F("price") + F("price")), {"c": (200, 1)}),
    "bulk_create": (lambda rows: rows.bulk_create([Ticket(gate="b", price=1)]), {"b": (101, 2)}),
    "bulk_update": (lambda rows: rows.bulk_update([_priced(rows.get(), 7)], ["price"]), {"b": (7, 1)}),
    "delete": (lambda rows: rows.get().delete(), {}),
    "delete with using": (lambda rows: Ticket(pk=rows.get().pk).delete(using=OTHER), {}),
    "queryset delete": (lambda rows: rows.all().delete(), {}),
}


def _resaved(ticket: Ticket) -> None:
    ticket.gate = "c"
    ticket.save()


def _priced(ticket: Ticket, price: int) -> Ticket:
    ticket.price = Decimal(price)
    return ticket


@pytest.mark.parametrize("batched", [False, True], ids=["", "in a batch"])
@pytest.mark.parametrize(("write", "left"), WRITES.values(), ids=WRITES)
def test_each_database_keeps_its_own_totals(
    other: None, write: Callable[[Any], Any], left: dict[str, tuple[int, int]], *, batched: bool
) -> None:
    rows = Ticket.objects.db_manager(OTHER)
    if batched:
        with aggregates.batch(using=OTHER):
            write(rows)
    else:
        write(rows)
    assert sums(OTHER) == left
    assert sums("default") == {"a": (1, 1)}
    assert_totals_match(using=OTHER)
    assert_exact()


def test_a_row_copied_to_the_other_database_counts_in_both(other: None) -> None:
    ticket = Ticket.objects.create(gate="a", price=2)
    ticket.save(using=OTHER)
    assert sums(OTHER) == {"a": (2, 1), "b": (100, 1)}
    assert sums("default") == {"a": (3, 2)}
    assert_totals_match(using=OTHER)
    assert_exact()


def test_a_rollback_in_one_database_leaves_the_other_s_write(other: None) -> None:
    with transaction.atomic(), pytest.raises(ZeroDivisionError), transaction.atomic(using=OTHER):
        Ticket.objects.create(gate="a", price=4)
        Ticket.objects.using(OTHER).create(gate="b", price=4)
        raise ZeroDivisionError
    assert sums(OTHER) == {"b": (100, 1)}
    assert sums("default") == {"a": (5, 2)}
    assert_totals_match(using=OTHER)
    assert_exact()


@pytest.mark.parametrize("batched", [False, True], ids=["", "in a batch"])
def test_what_managers_and_cascades_write_there_counts_there(other: None, *, batched: bool) -> None:
    truck, spare = (Truck.objects.using(OTHER).create(name=name) for name in ("red", "blue"))
    ada, bob = (Driver.objects.using(OTHER).create(name=name) for name in ("ada", "bob"))
    with aggregates.batch(using=OTHER) if batched else nullcontext():
        truck.drivers.add(ada, bob, through_defaults={"hours": 3})
        ada.trucks.set([truck, spare])
        bob.delete()
    assert sorted(Shift.objects.using(OTHER).values_list("hours", flat=True)) == [3, 8]
    assert_totals_match(using=OTHER)
    truck.drivers.clear()
    Truck.objects.using(OTHER).all().delete()
    assert not Shift.objects.using(OTHER).exists()
    assert not ShiftTotals.objects.exists()
    assert_totals_match(using=OTHER)
    assert_exact()


def test_a_fixture_loaded_there_counts_there(other: None, tmp_path: Path) -> None:
    fixture = tmp_path / "fixture.json"
    fixture.write_text(serializers.serialize("json", [Ticket(gate="z", price=6), *TicketTotals.objects.all()]))
    call_command("loaddata", fixture, database=OTHER, verbosity=0)
    assert sums(OTHER) == {"b": (100, 1), "z": (6, 1)}
    assert sums("default") == {"a": (1, 1)}
    assert_totals_match(using=OTHER)
    assert_exact()


def test_the_async_twins_count_there(other: None) -> None:
    rows = Ticket.objects.using(OTHER)
    async_to_sync(rows.acreate)(gate="z", price=6)
    async_to_sync(rows.filter(gate="b").aupdate)(price=7)
    async_to_sync(Ticket(gate="y", price=1).asave)(using=OTHER)
    assert sums(OTHER) == {"b": (7, 1), "y": (1, 1), "z": (6, 1)}
    assert_totals_match(using=OTHER)
    assert_exact()


def test_writes_to_both_in_one_block_count_in_each(other: None) -> None:
    with aggregates.batch(), aggregates.batch(using=OTHER):
        shelf = Shelf.objects.using(OTHER).create(name="far")
        Parcel.objects.using(OTHER).create(width=3, shelf=shelf)
        Parcel.objects.create(width=4)
        Ticket.objects.using(OTHER).update(price=8)
        Ticket.objects.update(price=9)
    assert (sums(OTHER), sums("default")) == ({"b": (8, 1)}, {"a": (9, 1)})
    assert_totals_match(using=OTHER)
    assert_exact()
