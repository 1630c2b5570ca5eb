"""Values on their way into columns."""

from __future__ import annotations

import datetime as dt
from decimal import Decimal
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from django.db import connection, models
from django.db.models import F

from aggregates import registry, single
from aggregates.statements import column
from expenses.models import Expense, ExpenseTotals
from tests.testapp.models import Movement, Site


def test_equal_times_of_a_clock_that_is_put_back_stay_two() -> None:
    once = dt.datetime(2026, 10, 25, 2, 30, tzinfo=ZoneInfo("Europe/Berlin"))
    again = once.replace(fold=1)
    assert once == again
    first, second, third = column(models.DateTimeField(), [once, again, once], connection).strip("{}").split(",")
    assert (first == third, first == second) == (True, False)


@pytest.mark.skipif(connection.vendor != "postgresql", reason="of PostgreSQL's types")
def test_a_date_is_truncated_without_becoming_an_instant() -> None:
    month = registry.definition(ExpenseTotals).dimensions["month"]
    compiled = str(Expense.objects.annotate(period=month).values("period").query)
    assert '("expenses_expense"."spent_on")::timestamp)::date' in compiled


@pytest.mark.skipif(connection.vendor != "postgresql", reason="of PostgreSQL's columns")
@pytest.mark.parametrize(
    ("field", "value", "beyond"),
    [
        (models.SmallIntegerField(), 32767, False),
        (models.SmallIntegerField(), "32768", True),
        (Movement._meta.get_field("site"), 2**63, True),
        (models.DecimalField(max_digits=4, decimal_places=2), Decimal("-99.994"), False),
        (models.DecimalField(max_digits=4, decimal_places=2), Decimal("-99.995"), True),
        (models.DecimalField(max_digits=4, decimal_places=2), F("price"), False),
        (models.IntegerField(null=True), None, False),
        (Movement._meta.get_field("site"), Site(pk=1), False),
    ],
)
def test_whose_column_a_number_is_too_large_for(field: models.Field[Any, Any], value: Any, beyond: bool) -> None:
    assert single.out_of_range([(field, value)], "default") == beyond
