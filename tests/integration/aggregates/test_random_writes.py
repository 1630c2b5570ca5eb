"""Random sequences of writes, rollbacks and savepoints against the rows added up in Python."""

from __future__ import annotations

import builtins
import datetime as dt
from collections.abc import Callable
from decimal import Decimal
from itertools import count
from typing import Any

import pytest
from django.core.exceptions import ImproperlyConfigured
from django.db import connection
from hypothesis import strategies as st

from aggregates.testing import RandomWrites, assert_totals_match
from tests.integration.aggregates.conftest import NOON, Warehouse
from tests.integration.aggregates.exactness import assert_exact
from tests.testapp.models import (
    Carrier,
    CarrierTotals,
    Correction,
    Driver,
    Item,
    Movement,
    MovementTotals,
    Parcel,
    ParcelTotals,
    Reading,
    Shelf,
    Shift,
    Ticket,
    TicketTotals,
    Truck,
)

pytestmark = [pytest.mark.django_db, pytest.mark.long]
ANY = "any sequence of writes, rollbacks and savepoints"


def named(model: Any, name: str) -> Callable[[], Any]:
    return lambda: model.objects.filter(name=name).latest("pk")


def drop(model: Any, name: str) -> Callable[[], Any]:
    return lambda: [parent.delete() for parent in model.objects.filter(name=name)]


def correct() -> None:
    for movement in Movement.objects.order_by("pk")[:1]:
        Correction.objects.update_or_create(pk=movement.pk, defaults={"kind": "corrected", "quantity": 8})


@pytest.mark.guarantee(ANY, "exact")
@pytest.mark.usefixtures("each_update")
def test_any_sequence_of_writes_leaves_every_total_exact(warehouse: Warehouse) -> None:
    lots = count()
    RandomWrites(
        new=lambda: Movement(site=warehouse.north, quantity=1, moved_at=NOON, kind="in", lot=str(next(lots))),
        values={
            "quantity": st.integers(-50, 50),
            "value": st.none() | st.integers(-(10**6), 10**6).map(lambda n: Decimal(n).scaleb(-4)),
            "kind": ["in", "out", "planned", "", None],
            "item": [named(Item, "bolt"), named(Item, "nut"), None],
            "site": [warehouse.north, warehouse.south],
            "carrier": [named(Carrier, "rail"), warehouse.road, warehouse.unknown],
            "urgent": [False, True],
            "inspector": ["ada", None],
            "moved_at": st.integers(0, 60).map(lambda hours: NOON + dt.timedelta(hours=hours)),
            "note": ["n"],
        },
        unique_fields=["lot"],
        others={
            "clear an item": lambda: warehouse.nut.movements.clear(),
            "drop an item": drop(Item, "bolt"),
            "drop a carrier": drop(Carrier, "rail"),
            "correct through a proxy": correct,
        },
        check=lambda: assert_exact(MovementTotals, CarrierTotals),
    ).run()


@pytest.mark.guarantee(ANY, "exact")
def test_any_sequence_of_writes_of_rows_with_keys_of_their_own_leaves_totals_exact() -> None:
    codes = count()
    RandomWrites(
        new=lambda: Ticket(code=str(next(codes)), gate="a", price=1),
        values={"gate": ["a", "b", ""], "price": st.integers(-99, 99)},
        unique_fields=["code"],
        check=lambda: assert_exact(TicketTotals),
    ).run(examples=30)


@pytest.mark.guarantee(ANY, "exact")
def test_any_sequence_of_writes_of_rows_the_database_completes_leaves_totals_exact() -> None:
    RandomWrites(
        new=lambda: Parcel(width=1),
        values={
            "width": st.integers(-9, 9),
            "height": st.integers(0, 3),
            "label": ["plain", "heavy"],
            "gone": [False, True],
            "shelf": [lambda: Shelf.objects.get_or_create(name="left")[0], None],
        },
        check=lambda: assert_exact(ParcelTotals),
    ).run(examples=30)


@pytest.mark.guarantee(ANY, "exact")
def test_any_sequence_of_writes_of_a_through_model_leaves_totals_exact() -> None:
    trucks = [Truck.objects.create(name=name) for name in ("red", "blue")]
    drivers = [Driver.objects.create(name=name) for name in ("ada", "bob", "cyd")]
    red, ada = trucks[0], drivers[0]
    RandomWrites(
        new=lambda: Shift(truck=red, driver=ada),
        values={"truck": trucks, "driver": drivers, "hours": st.integers(-9, 9), "night": [False, True]},
        others={
            "add": lambda: red.drivers.add(*drivers),
            "set": lambda: ada.trucks.set(trucks, through_defaults={"hours": 5}),
            "set after clearing": lambda: red.drivers.set(drivers[1:], clear=True),
            "remove": lambda: red.drivers.remove(ada),
            "clear": lambda: ada.trucks.clear(),
        },
        check=assert_exact,
    ).run(examples=15)


def test_a_host_needs_no_check_of_its_own() -> None:
    RandomWrites(new=lambda: Reading(machine="a", level=1), values={"machine": ["a", "b"], "level": [1, 2]}).run(
        examples=10
    )


def test_a_write_behind_the_engines_back_is_found() -> None:
    def bypass() -> None:
        with connection.cursor() as cursor:
            cursor.execute("UPDATE testapp_ticket SET price = price + 10000")

    writes = RandomWrites(new=lambda: Ticket(gate="a", price=1), values={"gate": ["a", "b"]}, others={"bypass": bypass})
    with pytest.raises(AssertionError, match=r"testapp\.TicketTotals gate \(gate='a'\): stored price=1\.0000"):
        writes._carry_out([("create", {}), ("other", "bypass")])
    assert not Ticket.objects.exists()


def test_a_failure_names_the_seed_that_finds_it_again() -> None:
    def check() -> None:
        raise AssertionError("wrong")

    with pytest.raises(AssertionError, match="wrong") as failed:
        RandomWrites(new=Ticket, values={"gate": ["a"]}, check=check).run(seed=1)
    assert failed.value.__notes__[-1] == "Run this again with seed=1."


def test_the_assertion_names_bucket_and_both_sums() -> None:
    Ticket.objects.create(gate="a", price=5)
    with connection.cursor() as cursor:
        cursor.execute("UPDATE testapp_tickettotals SET price = price - 20000, count = 3")
    with pytest.raises(AssertionError) as failed:
        assert_totals_match()
    assert str(failed.value).splitlines() == [
        "1 totals are wrong:",
        "testapp.TicketTotals gate (gate='a'): stored price=3.0000, count=3; expected price=5.0000, count=1",
    ]


def test_totals_whose_tables_are_in_another_database_are_not_looked_at(settings: Any) -> None:
    class Router:
        def allow_migrate(self, db: str, app_label: str, **hints: Any) -> bool:
            return app_label != "testapp"

    Ticket.objects.create(gate="a", price=5)
    with connection.cursor() as cursor:
        cursor.execute("UPDATE testapp_tickettotals SET count = 3")
    settings.DATABASE_ROUTERS = [Router()]
    assert_totals_match()
    settings.DATABASE_ROUTERS = []
    with pytest.raises(AssertionError, match="1 totals are wrong"):
        assert_totals_match()


def test_a_long_list_of_wrong_totals_is_cut() -> None:
    Ticket.objects.bulk_create([Ticket(gate=str(n), price=5) for n in range(25)])
    with connection.cursor() as cursor:
        cursor.execute("UPDATE testapp_tickettotals SET count = 3")
    with pytest.raises(AssertionError, match=r"(?s)^25 totals are wrong:.*… and 5 more$"):
        assert_totals_match()


def test_without_hypothesis_the_way_to_it_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    imported = builtins.__import__

    def without(name: str, *rest: Any, **kwargs: Any) -> Any:
        if name == "hypothesis":
            raise ImportError(name)
        return imported(name, *rest, **kwargs)

    monkeypatch.setattr(builtins, "__import__", without)
    with pytest.raises(ImproperlyConfigured, match="needs hypothesis"):
        RandomWrites(new=Ticket, values={}).run()
