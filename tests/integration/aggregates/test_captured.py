"""Set writes that add up in the server what they change, where the database can; and what they cost elsewhere."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import nullcontext
from decimal import Decimal
from typing import Any

import pytest
from django.db import connection, transaction
from django.db.models import F, Value
from django.db.models.deletion import Collector
from django.db.models.signals import post_save

import aggregates
from aggregates import store
from aggregates.exceptions import TotalOutOfRange
from aggregates.fields import MAX_VALUE, FixedDecimalField
from tests.integration.aggregates.exactness import assert_exact
from tests.integration.aggregates.test_statements import statements
from tests.testapp.models import Ticket, TicketTotals

pytestmark = pytest.mark.django_db
CENT = Value(Decimal("0.01"), output_field=FixedDecimalField())

WRITES: dict[str, tuple[Callable[[], Any], int]] = {
    "an update": (lambda: Ticket.objects.filter(price__gt=1).update(gate="c"), 3),
    "an update of the filter": (lambda: Ticket.objects.filter(gate="a").update(gate="b"), 3),
    "an update by an expression": (lambda: Ticket.objects.update(price=F("price") * 2 + CENT), 5),
    "an update that changes nothing": (lambda: Ticket.objects.update(gate=F("gate")), 5),
    "an update to NULL of another column": (lambda: Ticket.objects.filter(code="t1").update(code=None, price=0), 1),
    "an update of none": (lambda: Ticket.objects.none().update(gate="c"), 0),
    "an update of no keys": (lambda: Ticket.objects.filter(pk__in=[]).update(gate="c"), 0),
    "an update of nothing found": (lambda: Ticket.objects.filter(gate="z").update(gate="c"), 0),
    "an update in an order": (lambda: Ticket.objects.order_by("-price").update(gate="c"), 5),
    "an update of what is excluded": (lambda: Ticket.objects.exclude(gate="a").update(price=9), 2),
    "a delete": (lambda: Ticket.objects.filter(gate="a")._raw_delete("default"), 3),
    "a delete of all": (lambda: Ticket.objects.all()._raw_delete("default"), 5),
    "a delete of none": (lambda: Ticket.objects.none()._raw_delete("default"), 0),
}


@pytest.fixture
def tickets() -> list[Ticket]:
    tickets = [Ticket(code=f"t{n}", gate="aab"[n % 3], price=Decimal(n)) for n in range(5)]
    tickets[4].gate = "b"
    tickets[3].gate = "a"
    return Ticket.objects.bulk_create(tickets)


@pytest.mark.usefixtures("each_update")
@pytest.mark.parametrize("opened", [nullcontext, aggregates.batch])
@pytest.mark.parametrize(("write", "rows"), WRITES.values(), ids=WRITES)
def test_a_set_write_counts_its_rows_and_moves_their_sums(
    tickets: list[Ticket], write: Callable[[], int], rows: int, opened: Any
) -> None:
    with opened():
        assert write() == rows
    assert_exact()


@pytest.mark.skipif(connection.vendor != "postgresql", reason="PostgreSQL captures")
def test_an_update_and_its_totals_are_one_statement(tickets: list[Ticket]) -> None:
    ran = statements(lambda: Ticket.objects.filter(gate="a").update(gate="c"))
    assert [sql.split()[0] for sql in ran] == ["WITH"]


@pytest.mark.skipif(connection.vendor != "postgresql", reason="PostgreSQL takes them out as it locks them")
@pytest.mark.parametrize("gone", [1, 5])
def test_rows_that_django_collected_are_taken_out_of_their_totals_by_the_statement_that_locks_them(
    tickets: list[Ticket], gone: int
) -> None:
    collector = Collector(using="default")
    collector.collect(tickets[:gone])
    taken, *deletes = statements(collector.delete)
    assert "FOR UPDATE" in taken
    assert gone == 1 or "= ANY" in taken, "a join may look at all rows for each key"
    assert "totals" in taken
    assert all(sql.startswith("DELETE") for sql in deletes)
    assert Ticket.objects.count() == len(tickets) - gone
    assert_exact()


TEXTS = ["", " ", "NULL", "null", '"', "\\", '\\"', "{", "}", "{}", ",", "'", "%s", "é", "\n", *map(str, range(10))]


def test_buckets_of_any_text_are_kept_apart_when_many_are_written_at_once() -> None:
    Ticket.objects.bulk_create([Ticket(gate=text, price=n) for n, text in enumerate(TEXTS)])
    assert TicketTotals.objects.count() == len(TEXTS) > store.ROWS_WITHOUT_ARRAYS
    assert_exact()
    Ticket.objects.update(price=F("price") * 2)
    assert_exact()


def test_a_sum_out_of_range_among_many_is_named() -> None:
    rows = [Ticket(gate=f"gate {n % 30}", price=MAX_VALUE if n % 30 == 7 else n) for n in range(60)]
    named = None if connection.vendor == "sqlite" else r"Buckets concerned: \[{'gate': 'gate 7'}\]"
    with pytest.raises(TotalOutOfRange, match=named), transaction.atomic():
        Ticket.objects.bulk_create(rows)
    assert_exact()


def test_a_set_write_whose_total_leaves_the_range_changes_nothing(tickets: list[Ticket]) -> None:
    with pytest.raises(TotalOutOfRange), transaction.atomic():
        Ticket.objects.update(price=MAX_VALUE)
    assert Ticket.objects.filter(price=MAX_VALUE).count() == 0
    assert_exact()


def test_a_set_write_within_a_save_counts_once(tickets: list[Ticket], receive: Any) -> None:
    receive(post_save, Ticket, lambda _ticket: Ticket.objects.filter(gate="a").update(price=F("price") + CENT))
    tickets[0].price = Decimal(50)
    tickets[0].save()
    assert_exact()
    assert Ticket.objects.get(pk=tickets[0].pk).price == Decimal("50.01")
