"""Which rollups are read: those that migrate, verify or rebuild found clean."""

from __future__ import annotations

import io
from collections.abc import Iterator

import pytest
from django.core.management import call_command
from django.db import connection
from django.db.migrations.loader import MigrationLoader

import aggregates
from aggregates import readiness, reads, registry
from aggregates.exceptions import TotalsNotReady
from aggregates.models import RollupState
from tests.integration.aggregates.exactness import assert_exact
from tests.testapp.models import Ticket, TicketTotals


def ready() -> dict[str, int]:
    return readiness.ready(registry.definition(TicketTotals))


def command(name: str, *arguments: str) -> int:
    """Run a management command silently and return its exit code."""
    try:
        call_command(name, *arguments, stdout=io.StringIO(), verbosity=0)
    except SystemExit as error:
        return int(error.code or 0)
    return 0


def spoil(gate: str) -> None:
    with connection.cursor() as cursor:
        cursor.execute("UPDATE testapp_tickettotals SET price = price + 1 WHERE gate = %s", [gate])
        assert cursor.rowcount


@pytest.mark.django_db
def test_after_migrate_the_rollups_of_an_empty_source_are_read() -> None:
    RollupState.objects.all().delete()
    command("migrate")
    assert ready() == {"gate": 0}


@pytest.mark.django_db
def test_migrate_vouches_for_no_totals_of_rows_that_are_there() -> None:
    Ticket.objects.create(gate="a", price=1)
    RollupState.objects.all().delete()
    command("migrate")
    assert ready() == {}
    command("rebuild_totals")
    assert ready() == {"gate": 1}


@pytest.mark.django_db
def test_migrate_vouches_for_no_totals_left_without_rows() -> None:
    Ticket.objects.create(gate="a", price=1)
    RollupState.objects.all().delete()
    with connection.cursor() as cursor:
        cursor.execute("DELETE FROM testapp_ticket")
    command("migrate")
    assert ready() == {}
    command("rebuild_totals")
    assert ready() == {"gate": 0}


@pytest.mark.django_db
@pytest.mark.parametrize("gate", ["a", "b", "c"])
def test_a_rollup_is_not_read_where_one_chunk_of_it_drifts(gate: str) -> None:
    for name in "abc":
        Ticket.objects.create(gate=name, price=1)
    RollupState.objects.all().delete()
    spoil(gate)
    assert command("verify_totals", "--batch-size", "1") == 1
    assert ready() == {}
    assert command("rebuild_totals", "--batch-size", "1") == 0
    assert ready() == {"gate": 3}


@pytest.fixture
def before_the_totals(transactional_db: None) -> Iterator[None]:
    """The database as it is before the engine's own tables are migrated."""
    with connection.schema_editor() as editor:
        editor.delete_model(RollupState)
    try:
        yield
    finally:
        if RollupState._meta.db_table not in connection.introspection.table_names():
            create_the_state()


def create_the_state() -> None:
    with connection.schema_editor() as editor:
        editor.create_model(RollupState)


def test_rows_that_a_migration_writes_before_there_are_totals_wait_for_a_rebuild(before_the_totals: None) -> None:
    historical = MigrationLoader(connection).project_state().apps.get_model("testapp", "Ticket")
    with aggregates.untracked("testapp.Ticket"):
        historical.objects.create(gate="a", price=1)
    create_the_state()
    command("migrate")
    with pytest.raises(TotalsNotReady, match="rebuild_totals"):
        reads.smallest(TicketTotals, {"gate"})
    command("rebuild_totals")
    assert reads.smallest(TicketTotals, {"gate"})[0].name == "gate"
    assert_exact()
