"""PostgreSQL as Django has it by itself: values in the text, nothing prepared."""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal
from typing import Any

import pytest
from django.db import connection
from django.db.models import F

from aggregates.exceptions import TotalOutOfRange
from aggregates.fields import MAX_VALUE
from tests.integration.aggregates.exactness import assert_exact
from tests.integration.aggregates.test_statements import statements, verbs
from tests.testapp.models import Ticket

pytestmark = pytest.mark.skipif(connection.vendor != "postgresql", reason="about PostgreSQL")


def moved(ticket: Ticket) -> None:
    ticket.gate = "b"
    ticket.save()


WRITES: dict[str, Callable[[Ticket], Any]] = {
    "a new row": lambda _ticket: Ticket.objects.create(gate="c", price=3),
    "a row that moves": moved,
    "a row that stays": lambda ticket: ticket.save(),
    "a delete": lambda ticket: ticket.delete(),
    "many new rows": lambda _ticket: Ticket.objects.bulk_create([Ticket(gate=f"{n}%s{{", price=n) for n in range(40)]),
    "an update of many": lambda _ticket: Ticket.objects.update(gate="c", price=F("price") * 2),
    "a delete of many": lambda _ticket: Ticket.objects.all().delete(),
}


@pytest.mark.usefixtures("values_in_the_text")
@pytest.mark.parametrize("write", WRITES.values(), ids=WRITES)
def test_a_write_leaves_every_total_exact(write: Callable[[Ticket], Any]) -> None:
    for n in range(5):
        ticket = Ticket.objects.create(gate="aab"[n % 3], price=Decimal(n))
    write(ticket)
    assert_exact()


@pytest.fixture
def never_prepared(db: None, monkeypatch: pytest.MonkeyPatch) -> None:
    """Values apart from the text, and each statement planned anew."""
    monkeypatch.setitem(connection.settings_dict["OPTIONS"], "prepare_threshold", None)


@pytest.mark.parametrize("options", ["values_in_the_text", "never_prepared"])
def test_a_changed_row_s_totals_follow_in_a_statement_of_their_own(
    request: pytest.FixtureRequest, options: str
) -> None:
    """Most changes move nothing, and would pay for the planning of the larger statement each time."""
    request.getfixturevalue(options)
    ticket = Ticket.objects.create(gate="a", price=1)
    assert verbs(statements(ticket.save)) in (["UPDATE"], ["WITH"])
    ticket.gate = "b"
    assert verbs(statements(ticket.save))[1:] == ["INSERT"]


@pytest.mark.usefixtures("values_in_the_text")
def test_a_total_out_of_range_is_refused() -> None:
    Ticket.objects.create(gate="a", price=MAX_VALUE)
    with pytest.raises(TotalOutOfRange):
        Ticket.objects.create(gate="a", price=MAX_VALUE)
    assert_exact()
