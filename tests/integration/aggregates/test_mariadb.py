"""What MariaDB does unless told, and what is said of each misconfiguration."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from django.db import DatabaseError, OperationalError, connection, models, transaction
from django.db.models.functions import TruncDate
from django.test.utils import isolate_apps

import aggregates
from aggregates import checks, images, mariadb, registry
from aggregates.definitions import Rollup
from aggregates.exceptions import DeclarationError
from tests.integration.aggregates.conftest import Warehouse
from tests.integration.aggregates.exactness import assert_exact
from tests.testapp.models import MovementTotals, Ticket, TicketTotals
from tests.unit.aggregates.test_declarations import column, declare

pytestmark = [
    pytest.mark.skipif(connection.vendor != "mysql", reason="about MariaDB"),
    pytest.mark.django_db,
]


def run(statement: str) -> None:
    with connection.cursor() as cursor:
        cursor.execute(statement)


@pytest.fixture
def session() -> Iterator[None]:
    """End the connection afterwards, and what was set in it."""
    yield
    connection.close()


def reported() -> set[str | None]:
    return {message.id for message in checks.check_databases(databases=["default"])}


def test_as_the_service_sets_it_nothing_is_wrong() -> None:
    assert reported() == set()


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize(
    ("statement", "id_", "remedy"),
    [
        ("SET SESSION tx_isolation = 'READ-UNCOMMITTED'", "aggregates.E018", '{"isolation_level": "read committed"}'),
        ("SET SESSION tx_isolation = 'REPEATABLE-READ'", "aggregates.E018", "innodb_snapshot_isolation=ON"),
        ("SET SESSION sql_mode = ''", "aggregates.E020", "SET sql_mode = 'TRADITIONAL'"),
        (
            "SET SESSION collation_connection = 'utf8mb4_general_ci'",
            "aggregates.E017",
            '{"charset": "utf8mb4", "collation": "utf8mb4_nopad_bin"}',
        ),
        ("SET SESSION collation_connection = 'utf8mb4_bin'", "aggregates.E017", '"collation": "utf8mb4_nopad_bin"'),
    ],
)
def test_a_session_that_would_not_be_exact_is_reported_with_its_remedy(
    session: None, statement: str, id_: str, remedy: str
) -> None:
    run(statement)
    (message,) = checks.check_databases(databases=["default"])
    assert message.id == id_
    assert remedy in str(message.hint)


@pytest.mark.django_db(transaction=True)
def test_repeatable_read_that_aborts_what_it_cannot_see_is_accepted(session: None) -> None:
    run("SET SESSION tx_isolation = 'REPEATABLE-READ', innodb_snapshot_isolation = ON")
    assert reported() == set()


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("table", ["testapp_tickettotals", "testapp_ticket"])
def test_columns_that_take_different_texts_for_one_are_reported(table: str) -> None:
    change = f"ALTER TABLE {table} MODIFY gate varchar(20) COLLATE"
    run(f"{change} utf8mb4_general_ci")
    try:
        (error,) = checks.check_databases(databases=["default"])
    finally:
        run(f"{change} utf8mb4_nopad_bin")
    assert error.id == "aggregates.E017"
    assert f"{table}.gate (utf8mb4_general_ci)" in error.msg
    assert "COLLATE utf8mb4_nopad_bin" in str(error.hint)


@isolate_apps("tests.testapp")
def test_a_table_that_is_not_there_yet_is_judged_by_the_database(monkeypatch: pytest.MonkeyPatch) -> None:
    definition = declare()
    monkeypatch.setattr(registry, "_definitions", {definition.label: definition})
    assert reported() == set()
    monkeypatch.setattr(mariadb, "_collations", lambda _connection: {("", ""): "utf8mb4_general_ci"})
    (error,) = checks.check_databases(databases=["default"])
    assert "ALTER DATABASE" in str(error.hint)


def test_different_texts_are_different_buckets() -> None:
    gates = ["a", "A", "a ", "á", "", " "]
    Ticket.objects.bulk_create(Ticket(gate=gate, price=1) for gate in gates)
    for gate in gates:
        Ticket.objects.create(gate=gate, price=2)
    assert sorted(TicketTotals.objects.values_list("gate", "count")) == sorted((gate, 2) for gate in gates)
    assert_exact()


@isolate_apps("tests.testapp")
def test_dates_in_a_time_zone_that_it_does_not_know_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    definition = replace(
        declare(
            fields={"day": column(models.DateField)},
            dimensions={"day": TruncDate("moved_at", tzinfo=ZoneInfo("America/St_Johns"))},
        ),
        time_zones=frozenset({"Nowhere/Else"}),  # for some have loaded the real ones
    )
    with pytest.raises(DeclarationError, match="Nowhere/Else") as refusal:
        images.source_rows(definition, "default")
    assert refusal.value.id == "aggregates.E019"
    assert "load its time zones" in str(refusal.value)
    assert "or take dates in UTC" in str(refusal.value)
    monkeypatch.setattr(registry, "_definitions", {definition.label: definition})
    assert reported() == {"aggregates.E019"}


@isolate_apps("tests.testapp")
def test_dates_in_a_time_zone_that_it_knows_are_taken_and_it_is_asked_but_once() -> None:
    """The server of a test may know none, so one that does answers for it."""
    definition = declare(
        fields={"day": column(models.DateField)},
        dimensions={"day": TruncDate("moved_at", tzinfo=ZoneInfo("America/St_Johns"))},
        rollups=(Rollup("day"),),
    )
    asked = []

    def knowing(execute: Any, sql: str, params: Any, many: bool, context: Any) -> Any:
        asked.append(params)
        return execute("SELECT CAST('1999-12-31 20:30:00' AS DATETIME)", None, many, context)

    mariadb._known.clear()
    with connection.execute_wrapper(knowing):
        for _ in range(2):
            images.source_rows(definition, "default")
    mariadb._known.clear()
    assert asked == [["UTC", "America/St_Johns"]]


def test_what_a_deadlock_has_rolled_back_is_not_applied_by_a_batch_that_goes_on(
    warehouse: Warehouse, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The server ends the transaction at a deadlock; whoever swallows the error is in another one."""

    def deadlock(execute: Any, sql: str, params: Any, many: bool, context: Any) -> Any:
        if sql == "SELECT 1":
            raise OperationalError(1213, "Deadlock found when trying to get lock; try restarting transaction")
        return execute(sql, params, many, context)

    with pytest.raises(transaction.TransactionManagementError), aggregates.batch():
        warehouse.moved()
        with connection.execute_wrapper(deadlock), pytest.raises(DatabaseError):
            run("SELECT 1")
    assert not MovementTotals.objects.exists()
    assert_exact()
