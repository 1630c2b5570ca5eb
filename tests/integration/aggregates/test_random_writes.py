"""Random sequences of writes, rollbacks and savepoints against the rows added up in Python."""

from __future__ import annotations

import datetime as dt
from decimal import Decimal
from typing import Any

import pytest
from django.db import IntegrityError, transaction
from django.db.models import F
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import aggregates
from tests.integration.aggregates.conftest import NOON, Warehouse
from tests.integration.aggregates.exactness import assert_exact
from tests.testapp.models import Correction, Movement


class Undone(Exception):
    """Rolls a block back."""


VALUES = st.fixed_dictionaries(
    {},
    optional={
        "quantity": st.integers(-50, 50),
        "value": st.none() | st.integers(-(10**6), 10**6).map(lambda n: Decimal(n).scaleb(-4)),
        "kind": st.sampled_from(["in", "out", "planned", "", None]),
        "item": st.sampled_from(["bolt", "nut", None]),
        "site": st.sampled_from(["north", "south"]),
        "carrier": st.sampled_from(["rail", "road"]),
        "urgent": st.booleans(),
        "inspector": st.sampled_from(["ada", None]),
        "moved_at": st.integers(0, 60).map(lambda hours: NOON + dt.timedelta(hours=hours)),
        "note": st.just("n"),
    },
)
ROWS = st.integers(0, 5)
OPERATIONS = st.recursive(
    st.one_of(
        st.tuples(st.just("create"), VALUES),
        st.tuples(st.sampled_from(["save", "update_fields", "stale", "update", "proxy"]), ROWS, VALUES),
        st.tuples(st.just("increment"), ROWS),
        st.tuples(st.sampled_from(["delete", "delete all like", "clone"]), ROWS),
        st.tuples(st.sampled_from(["bulk_create", "bulk_update", "upsert"]), st.lists(VALUES, max_size=3)),
        st.tuples(st.sampled_from(["clear item", "drop item", "drop carrier"])),
    ),
    lambda operations: st.tuples(
        st.sampled_from(["atomic", "rolled back", "by hand", "batch"]), st.lists(operations, max_size=4)
    ),
    max_leaves=8,
)


class Writer:
    """Carries operations out."""

    def __init__(self, warehouse: Warehouse) -> None:
        self.warehouse = warehouse
        self.lots = 0

    def run(self, operation: tuple[Any, ...]) -> None:
        name, *arguments = operation
        getattr(self, name.replace(" ", "_"))(*arguments)

    def rows(self) -> list[Movement]:
        return list(Movement.objects.order_by("pk"))

    def row(self, number: int) -> Movement | None:
        rows = self.rows()
        return rows[number % len(rows)] if rows else None

    def given(self, values: dict[str, Any]) -> dict[str, Any]:
        """Return the values with names replaced by the objects that still exist."""
        found = {}
        for name, value in values.items():
            if name in {"item", "site", "carrier"} and value is not None:
                parent = type(getattr(self.warehouse, value)).objects.filter(name=value).first()
                if parent is None:
                    continue
                found[name] = parent
            else:
                found[name] = value
        return found

    def new(self, values: dict[str, Any]) -> Movement:
        self.lots += 1
        defaults = {"site": "north", "quantity": 1, "moved_at": NOON, "kind": "in"}
        return Movement(lot=str(self.lots), **self.given({**defaults, **values}))

    def create(self, values: dict[str, Any]) -> None:
        self.new(values).save()

    def save(self, number: int, values: dict[str, Any], *, only: bool = False) -> None:
        if row := self.row(number):
            for name, value in self.given(values).items():
                setattr(row, name, value)
            row.save(**({"update_fields": list(values)[:2]} if only else {}))

    def update_fields(self, number: int, values: dict[str, Any]) -> None:
        self.save(number, values, only=True)

    def stale(self, number: int, values: dict[str, Any]) -> None:
        row = self.row(number)
        self.save(number, values)
        if row:
            row.save()

    def update(self, number: int, values: dict[str, Any]) -> None:
        if (row := self.row(number)) and values:
            Movement.objects.filter(kind=row.kind).update(**self.given(values) or {"note": ""})

    def proxy(self, number: int, values: dict[str, Any]) -> None:
        if row := self.row(number):
            Correction.objects.filter(pk=row.pk).update_or_create(pk=row.pk, defaults=self.given(values))

    def increment(self, number: int) -> None:
        if row := self.row(number):
            row.quantity = F("quantity") + 1
            row.save(update_fields=["quantity"])

    def delete(self, number: int) -> None:
        if row := self.row(number):
            row.delete()

    def delete_all_like(self, number: int) -> None:
        if row := self.row(number):
            Movement.objects.filter(item__name=row.item and row.item.name, kind=row.kind).delete()

    def clone(self, number: int) -> None:
        if row := self.row(number):
            row.pk, row.lot = None, None
            row.save()

    def bulk_create(self, rows: list[dict[str, Any]]) -> None:
        Movement.objects.bulk_create([self.new(values) for values in rows], ignore_conflicts=len(rows) == 1)

    def bulk_update(self, rows: list[dict[str, Any]]) -> None:
        chosen = self.rows()[: len(rows)]
        for row, values in zip(chosen, rows, strict=False):
            for name, value in self.given(values).items():
                setattr(row, name, value)
        Movement.objects.bulk_update(chosen, ["quantity", "kind", "item", "value"])

    def upsert(self, rows: list[dict[str, Any]]) -> None:
        present = self.rows()
        movements = [self.new(values) for values in rows]
        for movement, row in zip(movements, present, strict=False):
            movement.lot = row.lot
        Movement.objects.bulk_create(
            movements, update_conflicts=True, unique_fields=["lot"], update_fields=["quantity", "kind", "item"]
        )

    def clear_item(self) -> None:
        self.warehouse.nut.movements.clear()

    def drop_item(self) -> None:
        for item in type(self.warehouse.bolt).objects.filter(name="bolt"):
            item.delete()

    def drop_carrier(self) -> None:
        for carrier in type(self.warehouse.rail).objects.filter(name="rail"):
            carrier.delete()

    def atomic(self, operations: list[Any]) -> None:
        with transaction.atomic():
            self._all(operations)

    def rolled_back(self, operations: list[Any]) -> None:
        try:
            with transaction.atomic():
                self._all(operations)
                raise Undone
        except Undone:
            pass

    def by_hand(self, operations: list[Any]) -> None:
        with transaction.atomic():
            savepoint = transaction.savepoint()
            self._all(operations)
            transaction.savepoint_rollback(savepoint)

    def batch(self, operations: list[Any]) -> None:
        with aggregates.batch():
            self._all(operations)

    def _all(self, operations: list[Any]) -> None:
        for operation in operations:
            self.run(operation)


@pytest.mark.django_db
@settings(
    max_examples=60,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow, HealthCheck.large_base_example],
)
@given(operations=st.lists(OPERATIONS, min_size=1, max_size=12))
def test_any_sequence_of_writes_leaves_every_total_exact(warehouse: Warehouse, operations: list[Any]) -> None:
    try:
        with transaction.atomic():
            writer = Writer(warehouse)
            for operation in operations:
                try:
                    with transaction.atomic():
                        writer.run(operation)
                except IntegrityError:
                    pass  # two rows of one lot in an upsert
                assert_exact()
            raise Undone
    except Undone:
        pass
