"""Writes that do not come through the managers of Django: verify finds them, rebuild repairs them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from django.db import connection, models, transaction
from django.db.models import F
from django.utils import timezone

from aggregates import registry
from aggregates.rebuild import Options, rebuild
from aggregates.verify import verify
from tests.integration.aggregates.exactness import assert_exact
from tests.testapp.models import Parcel, ParcelTotals, Shelf

PARCEL, SHELF = Parcel._meta.db_table, Shelf._meta.db_table


def drifted() -> set[tuple[Any, ...]]:
    """Return the buckets that verify finds wrong, without their rollup's name."""
    steps = verify(registry.definition(ParcelTotals), using="default", clock=timezone.now)
    return {finding.values for _run, comparison in steps for finding in comparison.drift}


def repair() -> None:
    list(rebuild(registry.definition(ParcelTotals), Options(), using="default", clock=timezone.now))


def execute(statement: str) -> None:
    with connection.cursor() as cursor:
        cursor.execute(statement)


@contextmanager
def a_cascade_in_the_database() -> Iterator[None]:
    """Let the database delete the parcels of a shelf: by a foreign key; by a trigger where none can be added."""
    if connection.vendor == "sqlite":
        with a_trigger(f"AFTER DELETE ON {SHELF}", f"DELETE FROM {PARCEL} WHERE shelf_id = OLD.id"):
            yield
        return
    execute(
        f"ALTER TABLE {PARCEL} ADD CONSTRAINT by_database FOREIGN KEY (shelf_id) REFERENCES {SHELF} (id) "
        "ON DELETE CASCADE"
    )
    try:
        yield
    finally:
        execute(
            f"ALTER TABLE {PARCEL} DROP {'FOREIGN KEY' if connection.vendor == 'mysql' else 'CONSTRAINT'} by_database"
        )


@contextmanager
def a_trigger(when: str, action: str) -> Iterator[None]:
    """Have the database do something of its own after a statement."""
    if connection.vendor == "postgresql":
        execute(
            f"CREATE FUNCTION by_database() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN {action}; RETURN NULL; END $$"
        )
        execute(f"CREATE TRIGGER by_database {when} FOR EACH ROW EXECUTE FUNCTION by_database()")
        undo = "DROP FUNCTION by_database CASCADE"
    else:
        execute(f"CREATE TRIGGER by_database {when} FOR EACH ROW BEGIN {action}; END")
        undo = "DROP TRIGGER by_database"
    try:
        yield
    finally:
        execute(undo)


@pytest.fixture
def shelves(transactional_db: None) -> list[Shelf]:
    """What changes a table may commit on its own, so nothing here is rolled back."""
    shelves = [Shelf.objects.create(name=name) for name in ("left", "right")]
    for width, shelf in enumerate([*shelves, *shelves], start=1):
        Parcel.objects.create(shelf=shelf, width=width)
    return shelves


@pytest.mark.guarantee("DO_NOTHING with a cascade in the database", "found by verify")
def test_rows_that_the_database_deletes_with_their_parent_are_found(shelves: list[Shelf]) -> None:
    left, right = shelves
    key = left.pk
    with a_cascade_in_the_database():
        left.delete()
    assert set(Parcel.objects.values_list("shelf", flat=True)) == {right.pk}
    assert drifted() == {(key, "plain"), ("plain",)}
    repair()
    assert_exact()


@pytest.mark.guarantee("a trigger", "found by verify")
def test_rows_that_a_trigger_writes_are_found(shelves: list[Shelf]) -> None:
    left, _right = shelves
    with a_trigger(f"AFTER UPDATE ON {SHELF}", f"UPDATE {PARCEL} SET label = 'moved' WHERE shelf_id = NEW.id"):
        left.name = "top"
        left.save()
    assert drifted() == {(left.pk, "plain"), (left.pk, "moved"), ("plain",), ("moved",)}
    repair()
    assert_exact()


def _a_key() -> Any:
    return Parcel.objects.all()[0].pk


WRITES: dict[str, Callable[[], Any]] = {
    "update": lambda: models.QuerySet(Parcel).update(width=F("width") + 1),
    "delete": lambda: models.QuerySet(Parcel)._raw_delete("default"),
    "bulk_create": lambda: models.QuerySet(Parcel).bulk_create([Parcel(width=9)]),
    "bulk_update": lambda: models.QuerySet(Parcel).bulk_update([Parcel(pk=_a_key(), width=9)], ["width"]),
    "UpdateQuery": lambda: models.sql.UpdateQuery(Parcel).update_batch([_a_key()], {"width": 9}, "default"),
}


@pytest.mark.guarantee("a plain models.QuerySet made by hand", "found by verify")
@pytest.mark.parametrize("write", WRITES.values(), ids=WRITES)
def test_writes_of_an_untracked_queryset_are_found(shelves: list[Shelf], write: Callable[[], Any]) -> None:
    write()
    assert ("plain",) in drifted()
    repair()
    assert_exact()


@pytest.mark.guarantee("raw SQL that writes the source", "found by verify")
@pytest.mark.parametrize(
    "statement",
    [
        f"UPDATE {PARCEL} SET width = width + 1",
        f"DELETE FROM {PARCEL}",
        f"INSERT INTO {PARCEL} (width, gone) SELECT width, gone FROM {PARCEL}",
    ],
    ids=["update", "delete", "insert"],
)
def test_rows_that_raw_sql_writes_are_found(shelves: list[Shelf], statement: str) -> None:
    execute(statement)
    assert ("plain",) in drifted()
    repair()
    assert_exact()


def test_a_delete_by_an_untracked_queryset_sends_the_signals_that_the_engine_hears(shelves: list[Shelf]) -> None:
    with transaction.atomic():
        models.QuerySet(Parcel).filter(width=1).delete()
    assert not drifted()
    assert_exact()
