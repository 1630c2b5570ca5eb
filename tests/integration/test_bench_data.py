"""The data of the benchmarks: made by SQL, and by arithmetic in Python, alike."""

from __future__ import annotations

import pytest
from django.db import connection

from aggregates.testing import assert_totals_match
from benchmarks import data, live, questions, repairs
from expenses import reports
from expenses.models import Expense, ExpenseTotals

pytestmark = [
    pytest.mark.django_db,
    pytest.mark.skipif(connection.vendor == "mysql", reason="benchmarks run on PostgreSQL and SQLite"),
]

FEW = data.Shape(rows=3_000, day_buckets=2_500)


@pytest.fixture
def filled():
    data.people(FEW)
    data.fill(Expense, FEW)


def test_the_main_data_have_the_promised_buckets():
    shape = data.dense(1_000_000)
    assert (shape.day_buckets, shape.month_buckets, data.COARSE) == (100_000, 10_000, 1_152)


def test_python_and_sql_place_each_expense_alike(filled):
    columns = ("owner_id", "category_id", "currency", "spent_on", "status")
    stored = {str(key): values for key, *values in Expense.objects.values_list("pk", *columns)}
    computed = {data.key(n): [data.dimensions(FEW, n)[column] for column in columns] for n in range(FEW.rows)}
    assert stored == computed


@pytest.mark.parametrize("shape", [data.dense(20_000), data.dense(1_000_000), data.sparse(200_000)])
def test_no_two_day_buckets_are_the_same(shape):
    numbers = range(0, shape.day_buckets, max(shape.day_buckets // 50_000, 1))
    assert len({tuple(data.dimensions(shape, n).values()) for n in numbers}) == len(numbers)


def test_a_rebuild_finds_exactly_the_buckets_of_the_shape(filled):
    repairs.rebuilt()
    repairs.compared()
    assert_totals_match()
    counts = {name: ExpenseTotals.objects.filter(rollup=name).count() for name in ("day", "month", "overview")}
    assert counts == {"day": 2_500, "month": FEW.month_buckets, "overview": data.COARSE}


def test_what_is_read_and_what_is_computed_are_the_same(filled):
    repairs.rebuilt()
    questions.require_equal()
    question = reports.Question(group_by=("category", "month"))
    assert list(live.answer(question).stream()) == list(reports.answer(question).stream())
