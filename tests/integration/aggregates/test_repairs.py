"""Repairs that take several steps, and those that cannot succeed."""

from __future__ import annotations

import io
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import groupby

import pytest
from django.core.management import CommandError, call_command
from django.db import connection, transaction
from django.utils import timezone

from aggregates import registry, store
from aggregates.definitions import Definition
from aggregates.models import Run
from aggregates.rebuild import PASSES, Options, rebuild
from aggregates.verify import verify
from tests.integration.aggregates.conftest import Warehouse
from tests.integration.aggregates.exactness import assert_exact
from tests.testapp.models import MovementTotals, Ticket, TicketTotals

TOTALS = TicketTotals._meta.db_table


def execute(statement: str) -> None:
    with connection.cursor() as cursor:
        cursor.execute(statement)


@contextmanager
def a_trigger_that_spoils_corrections(before: int) -> Iterator[None]:
    """Have the database add to each total that is corrected, before it was corrected that many times."""
    spoil = f"NEW.generation > 0 AND NEW.generation < {before}"
    if connection.vendor == "sqlite":
        execute(
            f"CREATE TRIGGER spoil AFTER UPDATE ON {TOTALS} WHEN {spoil} "
            f"BEGIN UPDATE {TOTALS} SET price = price + 10000 WHERE id = NEW.id; END"
        )
    elif connection.vendor == "mysql":
        execute(
            f"CREATE TRIGGER spoil BEFORE UPDATE ON {TOTALS} FOR EACH ROW "
            f"SET NEW.price = IF({spoil}, NEW.price + 10000, NEW.price)"
        )
    else:
        execute(
            "CREATE FUNCTION spoil() RETURNS trigger LANGUAGE plpgsql AS "
            "$$ BEGIN NEW.price := NEW.price + 10000; RETURN NEW; END $$"
        )
        execute(f"CREATE TRIGGER spoil BEFORE UPDATE ON {TOTALS} FOR EACH ROW WHEN ({spoil}) EXECUTE FUNCTION spoil()")
    try:
        yield
    finally:
        execute("DROP FUNCTION spoil CASCADE" if connection.vendor == "postgresql" else "DROP TRIGGER spoil")


@pytest.fixture
def drifted(transactional_db: None) -> None:
    """A total that is wrong. What makes a trigger may commit on its own, so nothing here is rolled back."""
    Ticket.objects.create(gate="a", price=1)
    execute(f"UPDATE {TOTALS} SET price = 0")


def test_a_rebuild_repairs_what_is_spoilt_until_its_last_pass(drifted: None) -> None:
    with a_trigger_that_spoils_corrections(before=PASSES):
        call_command("rebuild_totals", stdout=io.StringIO())
    assert Run.objects.get(totals=TicketTotals._meta.label).corrected == PASSES
    assert_exact()


def test_a_rebuild_gives_up_on_what_is_spoilt_each_time_and_says_so(drifted: None) -> None:
    with (
        a_trigger_that_spoils_corrections(before=10 * PASSES),
        pytest.raises(CommandError, match=f"still drift after {PASSES} passes: stop what writes") as failure,
    ):
        call_command("rebuild_totals", stdout=io.StringIO())
    assert failure.value.returncode == 2
    run = Run.objects.get(totals=TicketTotals._meta.label)
    assert (run.state, run.error.partition(":")[0]) == (Run.State.FAILED, "NotRepaired")
    call_command("rebuild_totals", stdout=io.StringIO())
    assert_exact()


@pytest.mark.django_db
def test_corrections_go_in_rollup_by_rollup(warehouse: Warehouse, monkeypatch: pytest.MonkeyPatch) -> None:
    """What is read together is then stored together; the comparison finds it in the order of its hashes."""
    for number in range(12):
        warehouse.moved(lot=str(number), kind=str(number))
    execute(f"UPDATE {MovementTotals._meta.db_table} SET quantity = 0")
    correct, applied = store.correct, []

    def noted(definition: Definition, using: str, rows: list[store.Row]) -> int:
        applied.extend(row.rollup.name for row in rows)
        return correct(definition, using, rows)

    monkeypatch.setattr(store, "correct", noted)
    monkeypatch.setattr("aggregates.rebuild.CORRECTIONS_A_TRANSACTION", 2)
    for _step in rebuild(registry.definition(MovementTotals), Options(), using="default", clock=timezone.now):
        pass
    rollups = [name for name, _rows in groupby(applied)]
    assert len(rollups) > 1
    assert rollups == sorted(set(applied))
    assert_exact()


@pytest.mark.django_db
@pytest.mark.parametrize("count", [499, 500, 1001])
def test_empty_rows_are_dropped_however_many_there_are(count: int) -> None:
    Ticket.objects.bulk_create(Ticket(gate=str(number), price=1) for number in range(count))
    Ticket.objects.all().delete()
    assert TicketTotals.objects.count() == count
    call_command("verify_totals", stdout=io.StringIO())
    assert not TicketTotals.objects.exists()


@pytest.mark.django_db
def test_a_verify_in_a_transaction_that_is_lost_ends_without_another_error_and_leaves_no_record() -> None:
    with transaction.atomic():
        steps = verify(registry.definition(TicketTotals), using="default", clock=timezone.now)
        next(steps)
        assert Run.objects.exists()
        transaction.set_rollback(True)
        steps.close()
    assert not Run.objects.exists()
