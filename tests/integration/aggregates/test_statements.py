"""What a write costs, in statements."""

from __future__ import annotations

import re
import uuid
from collections.abc import Callable
from typing import Any

import pytest
from django.db import connection, models
from django.db.models import F, Value, signals
from django.db.models.functions import Lower
from django.db.models.signals import ModelSignal
from django.test.utils import CaptureQueriesContext

import aggregates
from aggregates import prepared, registry
from aggregates.definitions import Definition
from tests.integration.aggregates.conftest import Warehouse, quoted
from tests.integration.aggregates.exactness import assert_exact
from tests.testapp.models import Carrier, Item, Movement, MovementTotals, Parcel, Site, Ticket, TicketTotals

pytestmark = pytest.mark.django_db


def statements(write: Callable[[], Any]) -> list[str]:
    """Return the statements that a write runs, without those that only frame a transaction."""
    with CaptureQueriesContext(connection) as queries:
        write()
    frame = ("SAVEPOINT", "RELEASE", "BEGIN", "COMMIT")
    return [query["sql"] for query in queries if not query["sql"].startswith(frame)]


def writes_of_totals(sqls: list[str]) -> list[str]:
    return [sql for sql in sqls if "totals" in sql and not sql.startswith("SELECT")]


@pytest.mark.parametrize("change", [{}, {"note": "n"}, {"lot": "l"}], ids=str)
def test_a_save_that_changes_no_tracked_value_writes_no_totals(warehouse: Warehouse, change: dict[str, Any]) -> None:
    movement = warehouse.moved()
    for name, value in change.items():
        setattr(movement, name, value)
    assert not writes_of_totals(statements(movement.save))
    assert_exact()


def test_update_fields_of_untracked_fields_adds_no_statement(warehouse: Warehouse) -> None:
    movement = warehouse.moved()
    assert len(statements(lambda: movement.save(update_fields=["note"]))) == 1


def test_an_update_of_untracked_columns_adds_no_statement(warehouse: Warehouse) -> None:
    warehouse.moved()
    assert len(statements(lambda: Movement.objects.update(note="n"))) == 1


def test_an_update_that_selects_nothing_writes_nothing(warehouse: Warehouse) -> None:
    warehouse.moved()
    ran = statements(lambda: Movement.objects.filter(quantity=-1).update(quantity=1))
    assert not [sql for sql in ran if not sql.startswith("SELECT")]


READS_AS_IT_WRITES = connection.vendor == "postgresql"
READ = [] if READS_AS_IT_WRITES else ["SELECT"]


def verbs(ran: list[str]) -> list[str]:
    return [sql.split()[0] for sql in ran]


def test_a_first_save_reads_nothing_before_the_insert() -> None:
    ran = statements(lambda: Ticket.objects.create(gate="a", price=1))
    assert verbs(ran) == (["WITH"] if READS_AS_IT_WRITES else ["INSERT", "SELECT", "INSERT"])


def test_a_first_save_in_a_batch_leaves_the_totals_to_its_end() -> None:
    with aggregates.batch():
        ran = statements(lambda: Ticket.objects.create(gate="a", price=1))
        assert verbs(ran) == ["INSERT", *READ]
    assert_exact()


def test_a_first_save_of_an_expression_is_told_what_it_came_to() -> None:
    ran = statements(lambda: Ticket.objects.create(gate=Lower(Value("A")), price=1))
    assert verbs(ran) == ["INSERT", *READ, "INSERT"]
    assert_exact()


@pytest.mark.usefixtures("each_update")
def test_a_change_costs_a_locked_read_a_read_and_one_upsert() -> None:
    ticket = Ticket.objects.create(gate="a", price=1)
    ticket.gate = "b"
    ran = statements(ticket.save)
    if not READS_AS_IT_WRITES:
        assert verbs(ran) == ["SELECT", "UPDATE", "SELECT", "INSERT"]
        assert ("FOR UPDATE" in ran[0]) == connection.features.has_select_for_update
    elif "FOR UPDATE" in ran[0]:
        assert verbs(ran) == ["WITH", "INSERT"]
    else:  # the update tells what the row was, and takes it where it belongs
        assert verbs(ran) == ["WITH"]
    assert_exact()


def test_a_row_that_nothing_else_sees_goes_out_of_its_totals_as_it_goes() -> None:
    parcel = Parcel.everything.create(width=3)
    ran = statements(parcel.delete)
    assert verbs(ran) == (["WITH"] if READS_AS_IT_WRITES else ["SELECT", "DELETE", "INSERT"])
    assert parcel.pk is None
    assert_exact()


@pytest.mark.parametrize("signal", [signals.pre_delete, signals.post_delete], ids=["before", "after"])
@pytest.mark.parametrize("sender", [Parcel, None], ids=["of its model", "of any model"])
def test_a_row_that_a_receiver_sees_go_is_read_before_it_goes(signal: ModelSignal, sender: type[Parcel] | None) -> None:
    seen: list[Any] = []

    def receive(instance: Any, **_signal: Any) -> None:
        seen.append(instance.pk)

    parcel = Parcel.everything.create(width=3)
    key = parcel.pk
    signal.connect(receive, sender=sender)
    try:
        ran = statements(parcel.delete)
    finally:
        signal.disconnect(receive, sender=sender)
    assert seen == [key]
    assert verbs(ran) == (["WITH", "DELETE"] if READS_AS_IT_WRITES else ["SELECT", "DELETE", "INSERT"])
    assert_exact()


def moved(ticket: Ticket) -> None:
    ticket.gate = "b"
    ticket.save()


IN_A_BATCH: dict[str, Callable[[Ticket], Any]] = {
    "save": moved,
    "create": lambda _ticket: Ticket.objects.create(gate="b", price=2),
    "delete": lambda ticket: ticket.delete(),
    "delete of many": lambda _ticket: Ticket.objects.all().delete(),
    "raw delete": lambda _ticket: Ticket.objects.all()._raw_delete("default"),
    "update": lambda _ticket: Ticket.objects.update(gate="b"),
    "bulk_create": lambda _ticket: Ticket.objects.bulk_create([Ticket(gate="b", price=2)]),
}


@pytest.mark.usefixtures("each_update")
@pytest.mark.parametrize("write", IN_A_BATCH.values(), ids=IN_A_BATCH)
def test_a_write_in_a_batch_leaves_the_totals_to_its_end(write: Callable[[Ticket], Any]) -> None:
    ticket = Ticket.objects.create(gate="a", price=1)
    with aggregates.batch():
        ran = statements(lambda: write(ticket))
        assert not writes_of_totals(ran)
    assert_exact()


def test_totals_are_written_in_the_order_of_their_keys(warehouse: Warehouse) -> None:
    """So that two writers of the same totals wait for each other instead of deadlocking."""
    written: list[list[uuid.UUID]] = []

    def watch(execute: Any, sql: str, params: Any, many: bool, context: Any) -> Any:
        if sql.startswith(f"INSERT INTO {quoted(MovementTotals)}"):
            keys = re.compile(r"[0-9a-f-]{32,36}")
            values = [value for param in params for value in str(param).strip("{}").split(",")]  # some are arrays
            written.append([uuid.UUID(value) for value in values if keys.fullmatch(value)])
        return execute(sql, params, many, context)

    with connection.execute_wrapper(watch):
        Movement.objects.bulk_create([warehouse.movement(kind=str(n), quantity=n) for n in range(20)])
    (keys,) = written
    assert len(keys) > 20
    assert keys == sorted(keys)


def all_written() -> None:
    tickets = Ticket.objects.bulk_create([Ticket(code=f"t{n}", gate="a", price=n) for n in range(20)])
    for ticket in tickets:
        ticket.gate = "b"
    Ticket.objects.bulk_update(tickets, ["gate"])


@pytest.mark.skipif(connection.vendor != "postgresql", reason="of PostgreSQL's protocol")
def test_many_rows_are_written_within_what_a_statement_takes_beside_its_text(monkeypatch: pytest.MonkeyPatch) -> None:
    whole = len(statements(all_written))
    Ticket.objects.all().delete()
    monkeypatch.setattr("aggregates.statements.MOST_PARAMETERS", 40)
    assert len(statements(all_written)) > whole
    assert Ticket.objects.filter(gate="b").count() == 20
    assert_exact()


@pytest.mark.skipif(connection.vendor != "postgresql", reason="of PostgreSQL's protocol")
def test_the_keys_of_many_rows_are_one_value(warehouse: Warehouse) -> None:
    for n in range(3):
        warehouse.moved(lot=str(n))
    with CaptureQueriesContext(connection) as queries:
        Movement.objects.filter(site__name=warehouse.north.name).update(quantity=F("quantity") + 1)
    assert any("= ANY" in query["sql"] and query["sql"].startswith("UPDATE") for query in queries)
    assert_exact()


Parents = tuple[Site, Item, Carrier]
WRITES: dict[str, Callable[[Parents], Any]] = {
    "update": lambda _parents: Movement.objects.update(quantity=F("quantity") + 1),
    "delete": lambda _parents: Movement.objects.all().delete(),
    "cascade": lambda parents: parents[0].delete(),
    "set null": lambda parents: parents[1].delete(),
    "set constant": lambda parents: parents[2].delete(),
}


@pytest.mark.parametrize("write", WRITES.values(), ids=WRITES)
def test_what_a_set_write_costs_does_not_grow_with_its_rows(
    warehouse: Warehouse, write: Callable[[Parents], Any]
) -> None:
    """Django itself splits large DELETEs; the engine's own statements stay the same."""

    def cost(rows: int) -> int:
        site, item, carrier = parents = (Site.objects.create(), Item.objects.create(), Carrier.objects.create(pk=rows))
        Movement.objects.bulk_create(
            [warehouse.movement(site=site, item=item, carrier=carrier) for _ in range(rows)], batch_size=50
        )
        ran = statements(lambda: write(parents))
        assert_exact()
        Movement.objects.all().delete()
        return len([sql for sql in ran if not sql.startswith(f"DELETE FROM {quoted(Movement)}")])

    assert cost(300) <= cost(10)


@pytest.mark.parametrize(
    "write",
    [lambda rows: rows.update(width=F("width") + 1), lambda rows: rows.delete()],
    ids=["update", "delete"],
)
def test_a_set_write_of_thousands_costs_a_few_statements_per_thousand(write: Callable[[Any], Any]) -> None:
    thousands = 3
    Parcel.objects.bulk_create([Parcel(label=str(n % 7), width=n) for n in range(1_000 * thousands)])
    assert len(statements(lambda: write(Parcel.objects.filter(width__gte=0)))) <= 3 * thousands + 3
    assert_exact()


def test_a_delete_of_a_queryset_loads_no_instance(warehouse: Warehouse, monkeypatch: pytest.MonkeyPatch) -> None:
    for quantity in range(3):
        warehouse.moved(quantity=quantity)

    def load(*_args: Any) -> None:
        raise AssertionError("a row was loaded")

    monkeypatch.setattr(Movement, "from_db", load)
    assert Movement.objects.filter(quantity__gt=0).delete() == (2, {"testapp.Movement": 2})
    assert_exact()


def test_bulk_create_reads_and_applies_once_whatever_its_rows(warehouse: Warehouse) -> None:
    def cost(rows: int) -> int:
        ran = statements(lambda: Movement.objects.bulk_create([warehouse.movement() for _ in range(rows)]))
        return len([sql for sql in ran if not sql.startswith(f"INSERT INTO {quoted(Movement)} ")])

    assert cost(300) == cost(10)
    assert_exact()


@pytest.mark.skipif(connection.vendor != "postgresql", reason="about PostgreSQL")
def test_constants_are_written_out_so_that_the_driver_reads_them_as_they_are() -> None:
    odd = "50% 'off' \\ %s"

    def build(definition: Definition, using: str) -> models.QuerySet[Any, Any]:
        return Ticket.objects.using(using).annotate(odd=Value(odd), one=Value(1)).values_list("pk", "odd", "one")

    columns = prepared.returned(registry.definition(TicketTotals), "default", build, "")
    ticket = Ticket.objects.create(code="t", gate="a", price=1)
    with connection.cursor() as cursor:
        cursor.execute(f"SELECT {columns.sql} FROM {Ticket._meta.db_table} WHERE id = %s", [ticket.pk])
        assert cursor.fetchone() == (ticket.pk, odd, 1)
