"""Room on the pages of totals."""

from __future__ import annotations

import pytest
from django.apps import apps
from django.db import connection
from django.db.migrations.state import ProjectState

from aggregates.operations import LeaveRoom
from expenses.models import ExpenseTotals

pytestmark = pytest.mark.django_db(transaction=True)


def options() -> list[str]:
    with connection.cursor() as cursor:
        cursor.execute("SELECT reloptions FROM pg_class WHERE relname = %s", [ExpenseTotals._meta.db_table])
        return list(cursor.fetchone()[0] or [])


@pytest.mark.skipif(connection.vendor != "postgresql", reason="of PostgreSQL alone")
def test_the_service_leaves_room_and_can_take_it_back() -> None:
    assert options() == ["fillfactor=70"]
    state, operation = ProjectState.from_apps(apps), LeaveRoom("ExpenseTotals", 50)
    with connection.schema_editor() as editor:
        operation.database_backwards("expenses", editor, state, state)
    assert options() == ["fillfactor=100"]
    with connection.schema_editor() as editor:
        operation.database_forwards("expenses", editor, state, state)
    assert options() == ["fillfactor=50"]
    with connection.schema_editor() as editor:
        LeaveRoom("ExpenseTotals").database_forwards("expenses", editor, state, state)


@pytest.mark.skipif(connection.vendor == "postgresql", reason="of the others")
def test_other_databases_are_left_as_they_are() -> None:
    state = ProjectState.from_apps(apps)
    with connection.schema_editor() as editor:
        LeaveRoom("ExpenseTotals").database_forwards("expenses", editor, state, state)


def test_migrate_says_what_it_does() -> None:
    assert LeaveRoom("ExpenseTotals").describe() == "Leave room on the pages of ExpenseTotals"
