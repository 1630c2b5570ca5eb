"""A default manager that hides rows: they count all the same, whoever writes them."""

from __future__ import annotations

import pytest

from tests.integration.aggregates.exactness import assert_exact
from tests.testapp.models import Parcel, Shelf

pytestmark = [pytest.mark.django_db, pytest.mark.guarantee("a default manager that hides rows", "exact")]


@pytest.fixture
def shelf() -> Shelf:
    shelf = Shelf.objects.create(name="left")
    for width, gone in ((1, False), (2, True), (4, True)):
        Parcel.objects.create(shelf=shelf, width=width, gone=gone)
    assert Parcel.objects.count() == 1
    return shelf


def test_a_hidden_row_is_saved_and_deleted_like_any_other(shelf: Shelf) -> None:
    hidden, other = Parcel.everything.filter(gone=True)
    hidden.width = 8
    hidden.save()
    other.delete()
    assert_exact()


def test_a_row_that_is_hidden_by_its_own_save_counts_on(shelf: Shelf) -> None:
    parcel = Parcel.objects.get()
    parcel.gone, parcel.width = True, 16
    parcel.save()
    parcel.width = 32
    parcel.save(update_fields=["width"])
    assert_exact()


def test_each_manager_writes_the_rows_it_shows(shelf: Shelf) -> None:
    Parcel.objects.update(width=100)
    assert_exact()
    Parcel.everything.filter(gone=True).update(gone=False, label="found")
    assert_exact()
    Parcel.everything.update(gone=True)
    assert Parcel.objects.all().delete() == (0, {})
    assert_exact()
    Parcel.everything.all().delete()
    assert_exact()


def test_a_related_manager_writes_the_rows_it_shows(shelf: Shelf) -> None:
    shelf.parcels.update(width=64)
    shelf.parcels.clear()
    assert Parcel.everything.filter(shelf=shelf).count() == 2
    assert_exact()
    shelf.parcels.add(*Parcel.everything.all())
    assert_exact()


def test_bulk_writes_of_hidden_rows_count(shelf: Shelf) -> None:
    rows = list(Parcel.everything.all())
    for row in rows:
        row.width *= 3
    Parcel.objects.bulk_update(rows, ["width"])
    Parcel.objects.bulk_create([Parcel(width=5, gone=True), Parcel(width=6)])
    assert_exact()
