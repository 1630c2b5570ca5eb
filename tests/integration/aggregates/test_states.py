"""A machine that writes at random and says, without asking the database, what must be stored.

Three oracles after each step: the stored totals, what the database computes from the rows
(``assert_exact`` also adds the rows up), and a plain dictionary that knows what each write should do.
Savepoints and batches stay open over many steps, inside one another.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from contextlib import AbstractContextManager
from decimal import Decimal
from typing import Any

import pytest
from django.db import IntegrityError, transaction
from django.db.models import F, Value
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

import aggregates
from aggregates.fields import FixedDecimalField
from tests.integration.aggregates.conftest import NOON
from tests.integration.aggregates.exactness import assert_exact, stored
from tests.testapp.models import UNKNOWN_CARRIER, Carrier, Correction, Item, Movement, MovementTotals, Site

DEEPEST = 4  # blocks within blocks
Row = dict[str, Any]

ROWS = st.integers(0, 4)
QUANTITIES = st.integers(-20, 20)
KINDS = st.sampled_from(["in", "out", "planned", "", None])
PRICES = st.none() | st.integers(-30_000, 30_000).map(lambda n: Decimal(n).scaleb(-4))
ITEMS = st.sampled_from(["bolt", "nut", None])
BLOCKS = st.sampled_from(["batch", "atomic", "by hand"])
FIELDS = st.lists(st.sampled_from(["quantity", "kind", "value", "item", "item_id", "note"]), max_size=3)


class Warehouse(RuleBasedStateMachine):
    """Movements, as the database has them and as they should be: ``rows``, by lot."""

    def __init__(self) -> None:
        super().__init__()
        self.blocks: list[tuple[AbstractContextManager[Any] | str, dict[str, Row]]] = []
        self.rows: dict[str, Row] = {}
        self.lots = 0
        self.batches = 0
        self.outermost = transaction.atomic()
        self.outermost.__enter__()
        carrier = Carrier.objects.get_or_create(pk=UNKNOWN_CARRIER, defaults={"name": "unknown"})[0]
        site = Site.objects.create(name="north")
        self.fixed = {"site": site, "carrier": carrier, "moved_at": NOON}
        self.items = {name: Item.objects.create(name=name) for name in ("bolt", "nut")}

    def teardown(self) -> None:
        while self.blocks:
            self.close()
        transaction.set_rollback(True)
        self.outermost.__exit__(None, None, None)

    # What is written

    @rule(quantity=QUANTITIES, kind=KINDS, value=PRICES, item=ITEMS)
    def create(self, quantity: int, kind: str | None, value: Decimal | None, item: str | None) -> None:
        self.new(quantity, kind, value, item).save()

    @rule(
        rows=st.lists(st.tuples(QUANTITIES, KINDS, PRICES, ITEMS), min_size=1, max_size=3),
        ignore_conflicts=st.booleans(),
    )
    def bulk_create(self, rows: list[tuple[Any, ...]], *, ignore_conflicts: bool) -> None:
        Movement.objects.bulk_create([self.new(*row) for row in rows], ignore_conflicts=ignore_conflicts)

    @precondition(lambda self: self.rows)
    @rule(which=ROWS)
    def bulk_create_what_is_there(self, which: int) -> None:
        there = self.lot(which)
        movement = Movement(lot=there, quantity=999, **self.fixed)
        with pytest.raises(IntegrityError), transaction.atomic():
            Movement.objects.bulk_create([movement])
        Movement.objects.bulk_create([movement], ignore_conflicts=True)

    @precondition(lambda self: self.rows)
    @rule(which=ROWS, quantity=QUANTITIES, kind=KINDS, stale=st.booleans())
    def save(self, which: int, quantity: int, kind: str | None, *, stale: bool) -> None:
        lot = self.lot(which)
        movement = Movement.objects.get(lot=lot)
        if stale:
            Movement.objects.filter(lot=lot).update(quantity=quantity + 1, kind="other", value=None)
        movement.quantity, movement.kind = quantity, kind
        movement.save()
        self.rows[lot] |= {"quantity": quantity, "kind": kind}

    @precondition(lambda self: self.rows)
    @rule(which=ROWS, fields=FIELDS, quantity=QUANTITIES, kind=KINDS, value=PRICES, item=ITEMS)
    def save_some_fields(self, which: int, fields: list[str], **given: Any) -> None:
        lot = self.lot(which)
        movement = Movement.objects.get(lot=lot)
        for name, value in given.items():
            setattr(movement, name, self.items[value] if name == "item" and value else value)
        movement.note = "n"
        movement.save(update_fields=fields)
        names = {"item" if name == "item_id" else name for name in fields} - {"note"}
        self.rows[lot] |= {name: given[name] for name in names}

    @precondition(lambda self: self.rows)
    @rule(which=ROWS, more=QUANTITIES)
    def add_on_the_instance(self, which: int, more: int) -> None:
        lot = self.lot(which)
        movement = Movement.objects.only("pk").get(lot=lot)
        movement.quantity = F("quantity") + more
        movement.save()
        self.rows[lot]["quantity"] += more

    @rule(kind=KINDS, quantity=QUANTITIES, to=KINDS)
    def update_the_rows_of_a_kind(self, kind: str | None, quantity: int, to: str | None) -> None:
        changed = Movement.objects.filter(kind=kind).update(quantity=F("quantity") + quantity, kind=to)
        chosen = [row for row in self.rows.values() if row["kind"] == kind]
        assert changed == len(chosen)
        for row in chosen:
            row["quantity"], row["kind"] = row["quantity"] + quantity, to

    @rule(item=st.sampled_from(["bolt", "nut"]), more=st.integers(-9, 9).map(Decimal))
    def update_by_join(self, item: str, more: Decimal) -> None:
        added = F("value") + Value(more, output_field=FixedDecimalField())
        Correction.objects.filter(item__name=item).update(value=added)
        for row in self.rows.values():
            if row["item"] == item and row["value"] is not None:
                row["value"] += more

    @precondition(lambda self: self.rows)
    @rule(values=st.lists(PRICES, min_size=1, max_size=3), item=ITEMS)
    def bulk_update(self, values: list[Decimal | None], item: str | None) -> None:
        changed = []
        for lot, value in zip(sorted(self.rows), values, strict=False):
            movement = Movement.objects.get(lot=lot)
            movement.value, movement.item = value, self.items.get(item or "")
            changed.append(movement)
            self.rows[lot] |= {"value": value, "item": item}
        Movement.objects.bulk_update(changed, ["value", "item"])

    @rule(which=ROWS, quantity=QUANTITIES, kind=KINDS)
    def update_or_create(self, which: int, quantity: int, kind: str | None) -> None:
        lot = self.lot(which) if self.rows else self.next_lot()
        values = {"quantity": quantity, "kind": kind}
        Movement.objects.update_or_create(lot=lot, defaults=values, create_defaults={**self.fixed, **values})
        self.rows[lot] = {"value": None, "item": None, **self.rows.get(lot, {}), **values}

    @precondition(lambda self: self.rows)
    @rule(which=ROWS)
    def delete(self, which: int) -> None:
        lot = self.lot(which)
        Movement.objects.get(lot=lot).delete()
        del self.rows[lot]

    @rule(kind=KINDS)
    def delete_the_rows_of_a_kind(self, kind: str | None) -> None:
        Movement.objects.filter(kind=kind).delete()
        self.rows = {lot: row for lot, row in self.rows.items() if row["kind"] != kind}

    @precondition(lambda self: self.rows)
    @rule(which=ROWS, quantity=QUANTITIES)
    def clone(self, which: int, quantity: int) -> None:
        lot, new = self.lot(which), self.next_lot()
        movement = Movement.objects.get(lot=lot)
        movement.pk, movement.lot, movement.quantity = None, new, quantity
        movement.save()
        self.rows[new] = {**self.rows[lot], "quantity": quantity}

    @rule(name=st.sampled_from(["bolt", "nut"]))
    def clear_an_item(self, name: str) -> None:
        self.items[name].movements.clear()
        self.lose(name)

    @rule(name=st.sampled_from(["bolt", "nut"]))
    def drop_an_item(self, name: str) -> None:
        Item.objects.get(pk=self.items[name].pk).delete()
        self.items[name].save(force_insert=True)  # under its old key, so that a rollback needs no care
        self.lose(name)

    @rule()
    def drop_the_site(self) -> None:
        Site.objects.get(pk=self.fixed["site"].pk).delete()
        self.fixed["site"].save(force_insert=True)
        self.rows = {}

    # Blocks

    @initialize(kinds=st.lists(BLOCKS, max_size=DEEPEST))
    def begin(self, kinds: list[str]) -> None:
        for kind in kinds:
            self.open(kind)

    @precondition(lambda self: self.blocks)
    @rule(quantity=QUANTITIES, closed=st.booleans())
    def write_and_roll_back(self, quantity: int, *, closed: bool) -> None:
        """Roll back the innermost block with a write in it; go on, and perhaps leave the next one out."""
        self.create(quantity, "in", None, None)
        self.roll_back()
        self.create(quantity, "out", None, None)
        if closed and self.blocks:
            self.close()

    @precondition(lambda self: len(self.blocks) < DEEPEST)
    @rule(kind=BLOCKS)
    def open(self, kind: str) -> None:
        before = {lot: dict(row) for lot, row in self.rows.items()}
        if kind == "by hand":
            self.blocks.append((transaction.savepoint(), before))
            return
        block: Any = aggregates.batch() if kind == "batch" else transaction.atomic()
        block.__enter__()
        self.batches += kind == "batch"
        self.blocks.append((block, before))

    @precondition(lambda self: self.blocks)
    @rule()
    def close(self) -> None:
        block, _before = self.blocks.pop()
        if isinstance(block, str):
            transaction.savepoint_commit(block)
        else:
            block.__exit__(None, None, None)
            self.batches -= not isinstance(block, transaction.Atomic)

    @precondition(lambda self: self.blocks)
    @rule()
    def roll_back(self) -> None:
        block, self.rows = self.blocks.pop()
        if isinstance(block, str):
            transaction.savepoint_rollback(block)
            return
        error = ZeroDivisionError()
        block.__exit__(type(error), error, None)
        self.batches -= not isinstance(block, transaction.Atomic)

    # What must hold

    @invariant()
    def rows_are_what_was_written(self) -> None:
        columns = ("lot", "quantity", "kind", "value", "item__name")
        rows = {lot: dict(zip(("quantity", "kind", "value", "item"), rest, strict=True))
                for lot, *rest in Movement.objects.values_list(*columns)}  # fmt: skip
        assert rows == self.rows

    @precondition(lambda self: not self.batches)
    @invariant()
    def totals_are_what_was_written(self) -> None:
        sums: defaultdict[tuple[Any, ...], Counter[str]] = defaultdict(Counter)
        for row in self.rows.values():
            if row["kind"] != "planned":
                item = self.items[row["item"]].pk if row["item"] else None
                received = row["quantity"] if row["kind"] == "in" else 0
                sums[item, row["kind"]].update(
                    quantity=row["quantity"], received=received, value=row["value"] or 0, inspected=0, count=1
                )
        assert stored(MovementTotals, "overview") == {key: tuple(sum_.values()) for key, sum_ in sums.items()}
        assert_exact()

    # Help

    def lot(self, which: int) -> str:
        return sorted(self.rows)[which % len(self.rows)]

    def next_lot(self) -> str:
        self.lots += 1
        return f"{self.lots:04}"

    def new(self, quantity: int, kind: str | None, value: Decimal | None, item: str | None) -> Movement:
        lot = self.next_lot()
        self.rows[lot] = {"quantity": quantity, "kind": kind, "value": value, "item": item}
        return Movement(
            lot=lot, quantity=quantity, kind=kind, value=value, item=self.items.get(item or ""), **self.fixed
        )

    def lose(self, item: str) -> None:
        for row in self.rows.values():
            if row["item"] == item:
                row["item"] = None


@pytest.mark.guarantee("any sequence of writes, rollbacks and savepoints", "exact")
@pytest.mark.django_db
@pytest.mark.long
def test_rows_and_totals_are_what_was_written_after_any_steps() -> None:
    run_state_machine_as_test(
        Warehouse,
        settings=settings(
            max_examples=30,
            stateful_step_count=25,
            deadline=None,
            print_blob=True,
            phases=[
                Phase.explicit,
                Phase.reuse,
                Phase.generate,
            ],  # finding the shortest steps takes minutes: add shrink
            suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much],
        ),
    )
