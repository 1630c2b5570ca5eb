"""A few expenses and movements, always the same, the writes that change them, and what is to be seen afterwards."""

from __future__ import annotations

import datetime as dt
import io
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from decimal import Decimal
from typing import Any
from urllib.parse import urlencode

import pytest
from _pytest.mark import ParameterSet
from django.contrib.auth.models import User
from django.core.management.color import no_style
from django.db import connection, models
from rest_framework.test import APIClient

import aggregates
from aggregates import chunks, drift, registry
from api.models import IdempotencyKey
from expenses.importing import import_expenses
from expenses.imports.options import Columns, Options
from expenses.models import Category, Expense, ExpenseImage, ExpenseTotals, ExpenseWrite
from tests.integration.aggregates.conftest import quoted
from tests.integration.api.conftest import CATEGORIES, EXPENSES, client_of, permitted
from tests.testapp.models import (
    UNKNOWN_CARRIER,
    Carrier,
    CarrierTotals,
    Item,
    Movement,
    MovementTotals,
    Site,
)

DAY = dt.date(2026, 1, 31)
NOON = dt.datetime(2026, 3, 7, 12, tzinfo=dt.UTC)
ROWS = (
    ExpenseImage,
    ExpenseWrite,
    Expense,
    ExpenseTotals,
    Category,
    IdempotencyKey,
    Movement,
    MovementTotals,
    CarrierTotals,
    Site,
    Item,
    Carrier,
)
COLUMNS = Columns("owner", "category", "date", "amount", "id")
FILE = "id,owner,category,date,amount\n1,olga,Travel,2026-01-31,12.50\n2,olga,Taxi,2026-02-01,3\n"


def key(number: int) -> uuid.UUID:
    """Return the id of an expense."""
    return uuid.UUID(f"0198b5a2-7c1e-7000-8000-{number:012}")


def kept(model: type[models.Model]) -> str:
    """Return the name of the table that holds a copy of a model's rows, quoted."""
    return connection.ops.quote_name(f"kept_{model._meta.db_table}")


def execute(*statements: str) -> None:
    """Carry out SQL."""
    with connection.cursor() as cursor:
        for statement in statements:
            cursor.execute(statement)


class Books:
    """One owner with a client of the API, and the same few rows after each ``begin``."""

    def __init__(self) -> None:
        self.owner = permitted(
            User.objects.create_user("olga"), "add_expense", "view_all_expenses", "change_category", "delete_category"
        )
        self.client: APIClient = client_of(self.owner)
        self.client.raise_request_exception = False
        self._kept = False

    def begin(self) -> None:
        """Bring the tables to where every run begins; what the test did before is forgotten."""
        for model in ROWS:
            models.QuerySet(model)._raw_delete("default")
        if self._kept:
            execute(*(f"INSERT INTO {quoted(model)} SELECT * FROM {kept(model)}" for model in reversed(ROWS)))
        else:
            self._fill()
        execute(*connection.ops.sequence_reset_sql(no_style(), [Category]))  # the next one gets a key that is free

    def _fill(self) -> None:
        Category.objects.bulk_create([Category(pk=1, name="Travel"), Category(pk=2, name="Food")])
        Expense.objects.bulk_create([self.expense(n, category_id=n % 3 or None) for n in range(4)])
        Site.objects.create(pk=1, name="north")
        Item.objects.create(pk=1, name="bolt")
        Carrier.objects.bulk_create([Carrier(pk=UNKNOWN_CARRIER, name="unknown"), Carrier(pk=7, name="rail")])
        Movement.objects.bulk_create([self.movement(n) for n in range(3)])

    @contextmanager
    def keeping(self) -> Iterator[None]:
        """Let ``begin`` copy the rows back from tables beside, which takes a fraction of writing them anew."""
        self.begin()
        drop = [f"DROP TABLE IF EXISTS {kept(model)}" for model in ROWS]
        execute(*drop, *(f"CREATE TABLE {kept(model)} AS SELECT * FROM {quoted(model)}" for model in ROWS))
        self._kept = True
        yield
        self._kept = False
        execute(*drop)

    def expense(self, number: int, **values: Any) -> Expense:
        """Return an expense, unsaved."""
        defaults = {"id": key(number), "owner": self.owner, "currency": "EUR", "spent_on": DAY}
        return Expense(**{**defaults, "amount": Decimal(number + 1), **values})

    def movement(self, number: int, **values: Any) -> Movement:
        """Return a movement, unsaved."""
        defaults = {"site_id": 1, "item_id": 1, "carrier_id": 7, "kind": "in", "moved_at": NOON, "lot": str(number)}
        return Movement(**{**defaults, "quantity": number + 1, "value": Decimal("1.25"), **values})


def seen() -> dict[str, list[Any]]:
    """Return what a later read finds: every row but for what differs from run to run, such as ids of the server's."""
    expenses = Expense.objects.values_list(
        "owner__username", "category__name", "amount", "currency", "spent_on", "status", "description"
    )
    movements = Movement.objects.values_list("site", "item", "carrier", "kind", "quantity", "value", "lot")
    images = ExpenseImage.objects.values_list("after", "amount", "status")
    return {
        "expenses": sorted(map(repr, expenses)),
        "movements": sorted(map(repr, movements)),
        "categories": sorted(Category.objects.values_list("name", flat=True)),
        "trail": sorted(map(repr, images)),
        "replies": sorted(IdempotencyKey.objects.values_list("key", flat=True)),
    }


def assert_exact() -> None:
    """Check the totals of these tables alone: it is asked after every call of every write."""
    for totals in (ExpenseTotals, MovementTotals, CarrierTotals):
        definition = registry.definition(totals)
        found = drift.compare(definition, chunks.whole(*definition.rollups), using="default").drift
        assert not found, f"{definition.label} drifted: {found}"


@dataclass(frozen=True)
class Call:
    """A write, whether it may be asked for again, whatever became of it, and whether it is tried again by itself."""

    name: str
    act: Callable[[Books], Any]
    repeatable: bool = True
    retried: bool = True


NEW = {"amount": "12.50", "currency": "EUR", "spent_on": "2026-01-31"}
KEYED: Any = {"HTTP_IDEMPOTENCY_KEY": "the same"}
IMPORT = urlencode({**{f"{name}_column": name for name in FILE.splitlines()[0].split(",")}, "currency": "EUR"})


def importing(books: Books, text: str) -> Any:
    """Return the answer to a file that is sent to be imported."""
    return books.client.generic("POST", f"{EXPENSES}import/?{IMPORT}", text, content_type="text/csv")


REQUESTS = [
    Call("POST_with_key", lambda b: b.client.post(EXPENSES, NEW, **KEYED)),
    Call("POST_with_id", lambda b: b.client.post(EXPENSES, {**NEW, "id": str(key(9))})),
    Call("PUT_new", lambda b: b.client.put(f"{EXPENSES}{key(9)}/", NEW)),
    Call("PUT", lambda b: b.client.put(f"{EXPENSES}{key(1)}/", NEW)),
    Call("PATCH", lambda b: b.client.patch(f"{EXPENSES}{key(1)}/", {"amount": "7.00", "category": 2})),
    Call("DELETE", lambda b: b.client.delete(f"{EXPENSES}{key(1)}/")),
    Call("bulk_with_key", lambda b: b.client.post(f"{EXPENSES}bulk/", [NEW, {**NEW, "category": 1}], **KEYED)),
    Call("bulk_with_ids", lambda b: b.client.post(f"{EXPENSES}bulk/", [{**NEW, "id": str(key(n))} for n in (8, 9)])),
    Call("merge", lambda b: b.client.post(f"{CATEGORIES}1/merge/", {"into": 2})),
    Call("DELETE_category", lambda b: b.client.delete(f"{CATEGORIES}1/")),
    Call("import", lambda b: importing(b, FILE)),
]


def _saved(row: models.Model, **values: Any) -> None:
    for name, value in values.items():
        setattr(row, name, value)
    row.save()


def _in_a_batch(books: Books) -> None:
    with aggregates.batch():
        books.expense(9).save()
        _saved(Expense.objects.get(pk=key(1)), amount=Decimal(7))
        Movement.objects.filter(lot="1").delete()
        Movement.objects.update(kind="out")


def _imported(books: Books) -> None:
    import_expenses(io.BytesIO(FILE.encode()), Options(COLUMNS, currency="EUR"))


def _bulk_updated(books: Books) -> None:
    rows = list(Expense.objects.order_by("pk"))
    for row in rows:
        row.amount += 1
    Expense.objects.bulk_update(rows, ["amount"])


def _upserted(books: Books) -> None:
    Movement.objects.bulk_create(
        [books.movement(n, quantity=50) for n in (2, 3)],
        update_conflicts=True,
        unique_fields=["lot"],
        update_fields=["quantity"],
    )


WRITES = [
    Call("save_new", lambda b: b.expense(9).save(), repeatable=False),
    Call("save", lambda b: _saved(Expense.objects.get(pk=key(1)), amount=Decimal(7), category_id=2)),
    Call("save_new_movement", lambda b: b.movement(9).save(), repeatable=False),
    Call("save_movement", lambda b: _saved(Movement.objects.get(lot="1"), quantity=50, kind="out")),
    Call(
        "create",
        lambda b: Expense.objects.create(owner=b.owner, amount=1, currency="EUR", spent_on=DAY, pk=key(9)),
        repeatable=False,
    ),
    Call("delete", lambda b: [row.delete() for row in Expense.objects.filter(pk=key(1))]),
    Call("delete_movement", lambda b: [row.delete() for row in Movement.objects.filter(lot="1")]),
    Call("bulk_create", lambda b: Expense.objects.bulk_create([b.expense(8), b.expense(9)]), repeatable=False),
    Call(
        "bulk_create_ignoring",
        lambda b: Expense.objects.bulk_create([b.expense(1), b.expense(9)], ignore_conflicts=True),
    ),
    Call("bulk_create_updating", _upserted),
    Call("bulk_update", _bulk_updated, repeatable=False),
    Call("update", lambda b: Expense.objects.filter(category=1).update(category=2, status="approved")),
    Call("update_movements", lambda b: Movement.objects.update(kind="out", quantity=5)),
    Call("queryset_delete", lambda b: Expense.objects.filter(amount__gt=2).delete()),
    Call("queryset_delete_movements", lambda b: Movement.objects.filter(quantity__gt=1).delete()),
    # The next three are of models that are no source: Django opens the transaction, and does not try it again.
    Call("cascade", lambda b: Site.objects.filter(pk=1).delete(), retried=False),
    Call("set_null", lambda b: [row.delete() for row in Category.objects.filter(pk=1)], retried=False),
    Call("set_value", lambda b: Carrier.objects.filter(pk=7).delete(), retried=False),
    Call("import", _imported),
    Call("batch", _in_a_batch, repeatable=False, retried=False),
]
if connection.vendor == "mysql":
    WRITES = [write for write in WRITES if write.name != "bulk_create_updating"]
BRIEFLY = {"save_new", "save", "bulk_create", "update", "queryset_delete", "POST_with_key", "PATCH", "bulk_with_key"}
"""The writes of which every call fails in the reduced form: one of each way."""


def cases(writes: list[Call]) -> list[ParameterSet]:
    """Return writes as the cases of a test: those that have others like them are left to the full form."""
    marks = {True: (), False: pytest.mark.in_full}
    return [pytest.param(write, id=write.name, marks=marks[write.name in BRIEFLY]) for write in writes]
