"""What a fold deletes is cleared away, so that reads are as fast as before."""

from __future__ import annotations

import pytest
from django.db import connection, transaction
from django.utils import timezone

from aggregates import registry
from aggregates.verify import verify
from tests.testapp.models import Ticket, TicketTotals

pytestmark = pytest.mark.django_db(transaction=True)


def verified() -> list[str]:
    """Verify the tickets and return the statements that clear rows away."""
    with connection.execute_wrapper(watch := Watch()):
        for _found in verify(registry.definition(TicketTotals), using="default", clock=timezone.now):
            pass
    return [sql for sql in watch.seen if sql.startswith("VACUUM")]


class Watch:
    def __init__(self) -> None:
        self.seen: list[str] = []

    def __call__(self, execute: object, sql: str, params: object, many: bool, context: object) -> object:
        self.seen.append(sql)
        return execute(sql, params, many, context)  # type: ignore[operator]


@pytest.fixture
def many(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let ten rows be many."""
    monkeypatch.setattr("aggregates.folding.MANY", 10)


def emptied(buckets: int) -> None:
    """Leave that many totals that hold nothing any more."""
    Ticket.objects.bulk_create([Ticket(gate=f"gate {n}", price=1) for n in range(buckets)])
    Ticket.objects.all().delete()


@pytest.mark.usefixtures("many")
def test_many_rows_that_a_verify_has_folded_are_cleared_away() -> None:
    emptied(20)
    assert len(verified()) == (connection.vendor == "postgresql")
    assert not TicketTotals.objects.exists()


@pytest.mark.usefixtures("many")
def test_a_few_are_left_to_the_server() -> None:
    emptied(5)
    assert not verified()


@pytest.mark.usefixtures("many")
def test_within_a_transaction_nothing_can_be_cleared_away() -> None:
    emptied(20)
    with transaction.atomic():
        assert not verified()
