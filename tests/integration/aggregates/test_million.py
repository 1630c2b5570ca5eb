"""A million small amounts: no digit of their sum is lost, however they came and whatever becomes of them."""

from __future__ import annotations

from collections import Counter
from decimal import Decimal

import pytest
from django.db import connection
from django.db.models import F, Sum, Value
from django.utils import timezone

from aggregates import registry
from aggregates.fields import FixedDecimalField
from aggregates.rebuild import Options, rebuild
from tests.exactness import assert_totals_match
from tests.integration.aggregates.conftest import quoted
from tests.integration.aggregates.exactness import Buckets, stored
from tests.testapp.models import Ticket, TicketTotals

MILLION = 1_000_000
BY_THE_MANAGER = 10_000
GATES, PRICES = 5, 997  # a price is up to 0.0997, which no sum of binary fractions meets

KEYS = {
    "sqlite": "printf('%032x', n)",
    "postgresql": "lpad(to_hex(n), 32, '0')::uuid",
    "mysql": "lpad(hex(n), 32, '0')",
}
INSERT = f"""
    INSERT INTO {quoted(Ticket)} (id, gate, price)
    WITH digits AS ({" UNION ALL ".join(f"SELECT {digit} AS digit" for digit in range(10))}),
    numbers AS (
        SELECT a.digit + 10 * b.digit + 100 * c.digit + 1000 * d.digit + 10000 * e.digit + 100000 * f.digit AS n
        FROM digits a CROSS JOIN digits b CROSS JOIN digits c CROSS JOIN digits d CROSS JOIN digits e
        CROSS JOIN digits f
    )
    SELECT {KEYS[connection.vendor]}, CAST(n % {GATES} AS char(1)),
        n % {PRICES} + 1
    FROM numbers WHERE n >= {BY_THE_MANAGER}
"""


def gate(n: int) -> str:
    return str(n % GATES)


def price(n: int) -> Decimal:
    return Decimal(n % PRICES + 1).scaleb(-4)


def kinds(numbers: int) -> Counter[tuple[str, Decimal]]:
    """Return how many of the first rows stand at each gate with each price; both repeat themselves."""
    round_, rest = divmod(numbers, GATES * PRICES)
    return Counter({(gate(n), price(n)): round_ + (n < rest) for n in range(GATES * PRICES)})


def added(rows: Counter[tuple[str, Decimal]]) -> Buckets:
    """Return the sum and the number of rows by gate, in decimal arithmetic."""
    return {
        (at,): (
            sum(amount * count for (where, amount), count in rows.items() if where == at),
            sum(count for (where, _amount), count in rows.items() if where == at),
        )
        for at in map(str, range(GATES))
    }


@pytest.mark.django_db
def test_a_million_small_amounts_add_up_to_the_last_digit() -> None:
    Ticket.objects.bulk_create([Ticket(gate=gate(n), price=price(n)) for n in range(BY_THE_MANAGER)])
    assert stored(TicketTotals, "gate") == added(kinds(BY_THE_MANAGER))

    with connection.cursor() as cursor:
        cursor.execute(INSERT)
    list(rebuild(registry.definition(TicketTotals), Options(), using="default", clock=timezone.now))
    rows = kinds(MILLION)
    assert stored(TicketTotals, "gate") == added(rows)
    assert Ticket.objects.aggregate(Sum("price"))["price__sum"] == sum(
        amount for amount, _count in added(rows).values()
    )

    # From here on by deltas, of some two thousand rows among the million.
    raised = Value(Decimal("0.0001"), output_field=FixedDecimalField())
    assert Ticket.objects.filter(price=price(0)).update(gate="0", price=F("price") + raised) > 1000
    for n in range(GATES):
        rows["0", price(1)] += rows.pop((gate(n), price(0)))
    assert stored(TicketTotals, "gate") == added(rows)
    Ticket.objects.filter(price=price(1), gate="1").delete()
    del rows["1", price(1)]
    assert stored(TicketTotals, "gate") == added(rows)
    assert_totals_match()
