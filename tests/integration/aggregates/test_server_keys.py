"""Keys of buckets as PostgreSQL computes them: the very ones that Python computes."""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from typing import Any

import pytest
from django.db import connection, models
from hypothesis import given
from hypothesis import strategies as st

from aggregates import keys, projection, registry
from aggregates.projection import Names
from expenses.models import ExpenseTotals

pytestmark = [
    pytest.mark.django_db(transaction=True),
    pytest.mark.skipif(connection.vendor != "postgresql", reason="about PostgreSQL"),
]

TEXTS = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"))
WHOLE = st.integers(-(2**63), 2**63 - 1)
VALUES: dict[models.Field[Any, Any], tuple[str, st.SearchStrategy[Any]]] = {
    models.BooleanField(): ("boolean", st.booleans()),
    models.BigIntegerField(): ("bigint", WHOLE),
    models.BigAutoField(): ("bigint", WHOLE),
    models.PositiveSmallIntegerField(): ("smallint", st.integers(0, 2**15 - 1)),
    models.CharField(max_length=50): ("varchar", TEXTS),
    models.SlugField(): ("varchar", TEXTS),
    models.TextField(): ("text", TEXTS),
    models.DateField(): ("date", st.dates()),
    models.UUIDField(): ("uuid", st.uuids()),
}
OTHERS = [models.DateTimeField(), models.DecimalField(max_digits=9, decimal_places=2), models.JSONField()]


class OfAHost(models.CharField):  # type: ignore[type-arg]
    """A type of which nobody knows what Python gets to see of it."""


def values(field: models.Field[Any, Any]) -> st.SearchStrategy[Any]:
    return st.none() | VALUES[field][1]


def key_of(columns: Sequence[tuple[models.Field[Any, Any], str]], slot: int) -> str:
    """Return PostgreSQL's expression for the key of a bucket by day."""
    text = keys.text("by day", [keys.encoded(*column) for column in columns])
    return keys.sql(text, f"'{slot:02x}'")


@given(data=st.data(), slot=st.integers(0, 255))
def test_both_compute_the_same_key(data: st.DataObject, slot: int) -> None:
    fields = data.draw(st.lists(st.sampled_from(list(VALUES)), max_size=4))
    bucket = [data.draw(values(field)) for field in fields]
    columns = [(field, f"CAST(%s AS {VALUES[field][0]})") for field in fields]
    # Each value stands twice in the expression: its length, and itself.
    params = [value for value in bucket for _ in range(2)]
    with connection.cursor() as cursor:
        cursor.execute(f"SELECT {key_of(columns, slot)}", params)
        (key,) = cursor.fetchone()
    assert key == keys.bucket_key("by day", bucket, slot)


@pytest.mark.parametrize("field", [*OTHERS, OfAHost()], ids=lambda field: type(field).__name__)
def test_types_that_reach_python_in_another_form_are_left_to_python(field: models.Field[Any, Any]) -> None:
    assert not keys.is_written(field)


def test_the_service_s_totals_are_keyed_by_the_server() -> None:
    assert projection.applies(registry.definition(ExpenseTotals), "default")


@pytest.mark.parametrize("summed", [True, False])
def test_the_server_writes_totals_in_the_order_of_their_keys(summed: bool) -> None:
    """So that two writers of the same totals wait for each other instead of deadlocking."""
    definition = registry.definition(ExpenseTotals)
    types = [*definition.dimensions, *definition.measures]
    given = ", ".join(f"CAST(NULL AS {definition.column(name).rel_db_type(connection)})" for name in types)
    add = projection.adding(definition, "default", "changes", 0, summed=summed, told=False)
    with connection.cursor() as cursor:
        cursor.execute(f"EXPLAIN WITH changes ({Names(definition).changes}) AS (SELECT {given}) {add}")
        plan = "\n".join(line for (line,) in cursor.fetchall())
    _insert, _, below = plan.partition("Insert on expenses_expensetotals")
    assert below.index("Sort") < below.index("Append" if summed else "Values Scan")
    assert "Sort Key" in below


def test_a_day_before_christ_is_no_day_of_ours() -> None:
    day = (models.DateField(), "CAST('2026-01-01 BC' AS date)")
    with connection.cursor() as cursor:
        cursor.execute(f"SELECT {key_of([day], 0)}")
        assert cursor.fetchone()[0] != keys.bucket_key("by day", [dt.date(2026, 1, 1)])
