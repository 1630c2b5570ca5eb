"""Columns that the database fills: what counts is what it stored."""

from __future__ import annotations

from typing import Any

import pytest
from django.db.models import F, Value

from tests.integration.aggregates.exactness import assert_exact, stored
from tests.testapp.models import Parcel, ParcelTotals

pytestmark = pytest.mark.django_db


@pytest.mark.guarantee("a column with a database default", "exact")
@pytest.mark.parametrize("given", [{}, {"label": "heavy"}, {"height": 5}, {"label": Value("by"), "height": 3}], ids=str)
def test_a_row_of_database_defaults_counts_as_what_they_made_of_it(given: dict[str, Any]) -> None:
    Parcel(width=3, **given).save()
    Parcel.objects.create(width=4, **given)
    Parcel.objects.bulk_create([Parcel(width=5, **given), Parcel(width=6)])
    Parcel.objects.get_or_create(width=7, defaults=given)
    assert Parcel.objects.filter(label="plain", height=2).exists()
    assert_exact()


@pytest.mark.guarantee("a column with a database default", "exact")
def test_a_row_saved_twice_keeps_what_the_default_gave_it() -> None:
    parcel = Parcel(width=3)
    parcel.save()
    parcel.width = 4
    parcel.save()
    assert stored(ParcelTotals, "label") == {("plain",): (8, 2, 1)}
    assert_exact()


@pytest.mark.guarantee("a generated column", "exact")
def test_a_sum_of_a_generated_column_follows_the_columns_it_is_made_of() -> None:
    parcel = Parcel.objects.create(width=3, height=4)
    assert stored(ParcelTotals, "label") == {("plain",): (12, 4, 1)}
    parcel.width = 5
    parcel.save(update_fields=["width"])
    assert stored(ParcelTotals, "label") == {("plain",): (20, 4, 1)}
    Parcel.objects.update(width=F("width") + 1)
    assert stored(ParcelTotals, "label") == {("plain",): (24, 4, 1)}
    parcel.refresh_from_db()
    parcel.height = 1
    Parcel.objects.bulk_update([parcel], ["height"])
    assert stored(ParcelTotals, "label") == {("plain",): (6, 1, 1)}
    Parcel.objects.filter(area=6).delete()
    assert_exact()
