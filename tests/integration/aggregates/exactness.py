"""The promise, checked twice: by the engine's own comparison, and by adding up every row in Python."""

from __future__ import annotations

import datetime as dt
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable
from decimal import Decimal
from typing import Any

from django.db import models

from aggregates import chunks, drift, registry
from aggregates.definitions import Definition, Rollup
from aggregates.keys import bucket_key
from aggregates.models import Totals
from tests.testapp.models import (
    WAREHOUSE_TIME,
    Account,
    CarrierTotals,
    Category,
    DeliveryTotals,
    Group,
    LabelTotals,
    LicenceTotals,
    Movement,
    MovementTotals,
    Node,
    NodeTotals,
    PairingTotals,
    Parcel,
    ParcelTotals,
    Purchase,
    PurchaseTotals,
    Reading,
    ReadingTotals,
    RemoteReadingTotals,
    ShiftTotals,
    Shop,
    Ticket,
    TicketTotals,
    Transfer,
    TransferTotals,
)

Row = dict[str, Any]
Contribution = tuple[Row, tuple[Any, ...]]
Contribute = Callable[[Row], Contribution | None]
Buckets = dict[tuple[Any, ...], tuple[Any, ...]]


def assert_exact(*some: type[Totals]) -> None:
    """Every total, of these declarations or of all, equals what its source rows add up to, in one bucket."""
    for definition in map(registry.definition, some) if some else registry.definitions():
        rows, totals = _every_row(definition.source), _every_row(definition.totals)
        if rows or totals:  # where there is neither, there is nothing to compare
            _assert_exact(definition, rows, totals)


def _assert_exact(definition: Definition, rows: list[Row], totals: list[Row]) -> None:
    oracle = ORACLES.get(definition.totals)
    contributions = [*filter(None, map(oracle(), rows))] if oracle else []
    for rollup in definition.rollups:
        found = drift.compare(definition, chunks.whole(rollup), using="default").drift
        assert not found, f"{definition.label} drifted: {found}"
        if oracle:
            held = [row for row in totals if row["rollup"] == rollup.name]
            expected = _expected(contributions, rollup.dimensions)
            assert _stored(definition, rollup, held) == expected, f"{definition.label} {rollup.name}"
            _assert_filed(definition, rollup, held)


def expected(totals: Any, dimensions: Iterable[str]) -> Buckets:
    """Return what the source rows add up to, by Python alone; buckets of nothing are left out."""
    rows = _every_row(registry.definition(totals).source)
    return _expected(filter(None, map(ORACLES[totals](), rows)), dimensions)


def stored(totals: Any, rollup: str) -> Buckets:
    """Return the stored totals of a rollup with their slots added up; buckets of nothing are left out."""
    definition = registry.definition(totals)
    return _stored(definition, definition.rollup(rollup), [r for r in _every_row(totals) if r["rollup"] == rollup])


def _expected(contributions: Iterable[Contribution], dimensions: Iterable[str]) -> Buckets:
    return _added((tuple(where[name] for name in dimensions), amounts) for where, amounts in contributions)


def _stored(definition: Definition, rollup: Rollup, rows: list[Row]) -> Buckets:
    names = [_attname(definition.totals, name) for name in rollup.dimensions]
    measures = list(definition.measures)
    return _added((tuple(row[name] for name in names), tuple(row[name] for name in measures)) for row in rows)


def _assert_filed(definition: Definition, rollup: Rollup, rows: list[Row]) -> None:
    """Each row has the key of its bucket and slot, and says nothing about dimensions the rollup lacks."""
    others = [_attname(definition.totals, name) for name in set(definition.dimensions) - set(rollup.dimensions)]
    names = [_attname(definition.totals, name) for name in rollup.dimensions]
    for row in rows:
        assert row["id"] == bucket_key(rollup.name, [row[name] for name in names], row["slot"])
        assert all(row[name] is None for name in others)


def _added(contributions: Iterable[tuple[tuple[Any, ...], tuple[Any, ...]]]) -> Buckets:
    sums: dict[tuple[Any, ...], Counter[int]] = defaultdict(Counter)
    width = 0
    for values, amounts in contributions:
        width = len(amounts)
        for position, amount in enumerate(amounts):
            sums[values][position] += amount
    added = {values: tuple(amounts[position] for position in range(width)) for values, amounts in sums.items()}
    return {values: amounts for values, amounts in added.items() if any(amounts)}


def _every_row(model: type[models.Model]) -> list[Row]:
    return list(models.QuerySet(model).order_by().values())


def _attname(model: Any, name: str) -> str:
    return model._meta.get_field(name).attname


def _movement(row: Row) -> Contribution | None:
    if row["kind"] == "planned":
        return None
    dimensions = {
        "site": row["site_id"],
        "item": row["item_id"],
        "carrier": row["carrier_id"],
        "kind": row["kind"],
        "urgent": row["urgent"],
        "day": row["moved_at"].astimezone(WAREHOUSE_TIME).date(),
        "instant": row["moved_at"],
    }
    received = row["quantity"] if row["kind"] == "in" else 0
    inspected = int(row["inspector"] is not None)
    return dimensions, (row["quantity"], received, row["value"] or Decimal(0), inspected, 1)


def _purchases() -> Contribute:
    categories, groups, shops = (_by_key(model) for model in (Category, Group, Shop))

    def contribute(row: Row) -> Contribution | None:
        category = categories.get(row["category_id"], {"group_id": None, "secret": False})
        group = groups.get(category["group_id"], {"division": None})
        town = shops[row["shop_id"]]["town"]
        where = {"group": category["group_id"], "division": group["division"], "town": town}
        return None if category["secret"] else (where, (row["amount"], 1))

    return contribute


def _nodes() -> Contribute:
    nodes = _by_key(Node)

    def contribute(row: Row) -> Contribution:
        parent = nodes.get(row["parent_id"], {"label": None, "weight": row["weight"]})
        return {"label": row["label"], "above": parent["label"]}, (row["weight"], row["weight"] - parent["weight"])

    return contribute


def _transfers() -> Contribute:
    accounts = _by_key(Account)

    def contribute(row: Row) -> Contribution:
        sender, receiver = accounts[row["sender_id"]], accounts[row["receiver_id"]]
        return {"sent_by": sender["branch"], "received_by": receiver["branch"]}, (row["amount"],)

    return contribute


def _by_key(model: type[models.Model]) -> dict[Any, Row]:
    return {row["id"]: row for row in _every_row(model)}


def _hour_began(instant: dt.datetime | None) -> dt.datetime | None:
    return instant and instant.astimezone(dt.UTC).replace(minute=0, second=0, microsecond=0)


def _alone(contribute: Contribute) -> Callable[[], Contribute]:
    """Return an oracle that looks at a source row and nothing else."""
    return lambda: contribute


ORACLES: dict[Any, Callable[[], Contribute]] = {
    MovementTotals: _alone(_movement),
    CarrierTotals: _alone(lambda row: ({"carrier": row["carrier_id"]}, (row["quantity"],))),
    ReadingTotals: _alone(
        lambda row: ({"machine": row["machine"], "hour": _hour_began(row["read_at"])}, (row["level"], 1))
    ),
    TicketTotals: _alone(lambda row: ({"gate": row["gate"]}, (row["price"], 1))),
    ParcelTotals: _alone(
        lambda row: (
            {"shelf": row["shelf_id"], "label": row["label"]},
            (row["width"] * row["height"], row["height"], 1),
        )
    ),
    RemoteReadingTotals: _alone(lambda row: ({"station": row["station"]}, (1,))),
    LicenceTotals: _alone(lambda row: ({"kind": row["kind"]}, (row["fee"],))),
    PurchaseTotals: _purchases,
    NodeTotals: _nodes,
    TransferTotals: _transfers,
    DeliveryTotals: _alone(
        lambda row: (
            {name: row[f"{name}_id"] for name in ("depot", "dock", "detour", "sender")},
            (row["weight"], 1),
        )
    ),
    LabelTotals: _alone(lambda row: ({**row, "content_type": row["content_type_id"]}, (1,))),
    ShiftTotals: _alone(
        lambda row: (
            None if row["night"] else ({"truck": row["truck_id"], "driver": row["driver_id"]}, (row["hours"], 1))
        )
    ),
    PairingTotals: _alone(lambda row: ({"driver": row["driver_id"]}, (row["trips"], 1))),
}
SOURCES = {registry.definition(totals).source for totals in ORACLES}
assert {Movement, Reading, Ticket, Parcel, Purchase, Node, Transfer} <= SOURCES
