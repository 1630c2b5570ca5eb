"""Set writes that add up in the server what they change, where the database can; and what they cost elsewhere."""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal
from typing import Any

import pytest
from django.db import connection, transaction
from django.db.models import F, Value
from django.db.models.signals import post_save

from aggregates.exceptions import TotalOutOfRange
from aggregates.fields import MAX_VALUE, FixedDecimalField
from tests.integration.aggregates.exactness import assert_exact
from tests.integration.aggregates.test_statements import statements
from tests.testapp.models import Ticket

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


@pytest.mark.parametrize(("write", "rows"), WRITES.values(), ids=WRITES)
def test_a_set_write_counts_its_rows_and_moves_their_sums(
    tickets: list[Ticket], write: Callable[[], int], rows: int
) -> None:
    assert write() == rows
    assert_exact()


@pytest.mark.skipif(connection.vendor != "postgresql", reason="PostgreSQL captures")
def test_an_update_is_one_statement_and_the_totals_another(tickets: list[Ticket]) -> None:
    ran = statements(lambda: Ticket.objects.filter(gate="a").update(gate="c"))
    assert [sql.split()[0] for sql in ran] == ["WITH", "INSERT"]
    assert "FOR UPDATE" in ran[0]


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
