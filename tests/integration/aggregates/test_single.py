"""What is passed to PostgreSQL as it was given is what Django would pass."""

from __future__ import annotations

import datetime as dt
from typing import Any
from uuid import UUID

import pytest
from django.db import connection, models

from aggregates import single

VALUES: dict[type, Any] = {
    str: "text",
    UUID: UUID(int=7),
    dt.date: dt.date(2026, 2, 3),
    bool: True,
}
UTC = dt.datetime(2026, 2, 3, 4, 5, tzinfo=dt.UTC)

pytestmark = pytest.mark.skipif(connection.vendor != "postgresql", reason="PostgreSQL alone writes rows so")


@pytest.mark.parametrize(("field", "kind"), sorted(single.AS_THEY_ARE, key=str), ids=lambda part: part.__name__)
def test_values_that_are_passed_as_they_are_are_those_that_django_leaves_so(
    field: type[models.Field[Any, Any]], kind: type
) -> None:
    value = VALUES[kind]
    assert field().get_db_prep_save(value, connection) is value


def test_a_time_in_utc_is_left_as_it_is() -> None:
    assert models.DateTimeField().get_db_prep_save(UTC, connection) is UTC


@pytest.mark.parametrize(
    ("field", "value"),
    [
        (models.CharField(), 7),
        (models.DateField(), UTC),
        (models.UUIDField(), "00000000-0000-0000-0000-000000000007"),
        (models.IntegerField(), 7),
    ],
    ids=lambda part: type(part).__name__,
)
def test_other_values_are_prepared_by_their_field(field: models.Field[Any, Any], value: Any) -> None:
    (prepared,) = single.prepared([(field, value)], connection.alias)
    expected = field.get_db_prep_save(value, connection)
    assert (type(prepared), prepared) == (type(expected), expected)


def test_a_time_without_a_zone_is_prepared_by_its_field() -> None:
    naive = UTC.replace(tzinfo=None)
    with pytest.warns(RuntimeWarning, match="naive datetime"):
        (prepared,) = single.prepared([(models.DateTimeField(name="at"), naive)], connection.alias)
    assert prepared == UTC
