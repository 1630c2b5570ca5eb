"""Imports beside each other and beside other writers, each with a connection of its own."""

from __future__ import annotations

import io
from collections.abc import Callable
from decimal import Decimal
from typing import Any

import pytest
from django.contrib.auth import get_user_model

from expenses.importing import Import, import_expenses
from expenses.imports import storing
from expenses.imports.exceptions import CannotImport
from expenses.imports.options import Columns, Options
from expenses.imports.report import Report
from expenses.models import Category, Expense
from tests.concurrency.threads import together
from tests.integration.expenses.conftest import HEADER
from tests.integration.expenses.live import assert_totals_are_live

pytestmark = pytest.mark.django_db(transaction=True)

COLUMNS = Columns("owner", "category", "date", "amount", "id")
OPTIONS, STRICT = Options(COLUMNS, currency="EUR"), Options(COLUMNS, currency="EUR", strict=True)


def stream(*lines: str) -> io.BytesIO:
    return io.BytesIO("\n".join([HEADER, *lines]).encode())


@pytest.mark.parametrize("options", [OPTIONS, STRICT])
def test_two_imports_of_the_same_rows_add_each_once_between_them(options: Options) -> None:
    lines = [f"{n},owner{n % 9},category{n % 11},2026-01-{n % 28 + 1:02},{n}" for n in range(400)]
    reports: list[Report] = []

    def one(rows: list[str]) -> Callable[[], Any]:
        return lambda: reports.append(import_expenses(stream(*rows), options, batch_size=50))

    together(one(lines), one(lines[::-1]))
    first, second = reports
    assert first.added_count + second.added_count == Expense.objects.count() == 400
    assert first.unchanged_count + second.unchanged_count == 400
    assert first.rejected + second.rejected == 0
    assert (get_user_model().objects.count(), Category.objects.count()) == (9, 11)
    assert_totals_are_live()


@pytest.mark.row_locks  # with one writer nobody comes between
def test_of_two_imports_that_differ_one_is_told_what_the_other_stored(monkeypatch: pytest.MonkeyPatch) -> None:
    """The other import comes between this one's look at what is stored and its write."""
    look, others = storing.stored, [stream("1,ada,Taxi,2026-01-31,7")]

    def interleaved(entries: Any) -> Any:
        found = look(entries)
        if others:
            other = others.pop()
            together(lambda: import_expenses(other, OPTIONS))
        return found

    monkeypatch.setattr(storing, "stored", interleaved)
    report = import_expenses(stream("1,ada,Taxi,2026-01-31,8", "2,ada,Taxi,2026-01-31,9"), OPTIONS)
    assert (report.added_count, report.rejected) == (1, 1)
    assert "amount 7.0000, here 8.0000" in report.rejections[0].reason
    assert set(Expense.objects.values_list("amount", flat=True)) == {Decimal(7), Decimal(9)}
    assert_totals_are_live()


def test_a_category_that_is_deleted_between_batches_is_created_again() -> None:
    with_taxi = stream("1,ada,Taxi,2026-01-31,1", "2,ada,Taxi,2026-01-31,2")
    importing = Import(with_taxi, OPTIONS, batch_size=1)
    batches = importing.batches()
    writer = storing.Storing()
    writer.write(list(next(batches)))  # type: ignore[arg-type]
    Category.objects.all().delete()
    writer.write(list(next(batches)))  # type: ignore[arg-type]
    importing.close()
    assert sorted(Expense.objects.values_list("amount", "category__name")) == [(Decimal(1), None), (Decimal(2), "Taxi")]
    assert_totals_are_live()


MOST = "922337203685477.50"


def test_a_row_that_would_drive_a_total_out_of_range_is_rejected_alone() -> None:
    import_expenses(stream(f"0,ada,Taxi,2026-01-31,{MOST}"), OPTIONS)
    lines = ["1,ada,Bus,2026-01-31,1", "2,ben,Bus,2026-01-31,2", "3,ada,Taxi,2026-01-31,1", "4,cleo,Bus,2026-01-31,3"]
    report = import_expenses(stream(*lines), OPTIONS)
    assert (report.added_count, report.rejected) == (3, 1)
    assert (report.rejections[0].line, "range" in report.rejections[0].reason) == (4, True)
    assert_totals_are_live()


def test_a_strict_import_that_would_drive_a_total_out_of_range_leaves_nothing_behind() -> None:
    import_expenses(stream(f"0,ada,Taxi,2026-01-31,{MOST}"), OPTIONS)
    with pytest.raises(CannotImport, match="range"):
        import_expenses(stream("1,ada,Bus,2026-01-31,1", "2,ada,Taxi,2026-01-31,1"), STRICT)
    assert (Expense.objects.count(), Category.objects.count()) == (1, 1)


def test_a_strict_import_that_meets_a_difference_while_writing_leaves_nothing_behind() -> None:
    """Lines that contradict each other are found only once the first of them is in."""
    lines = ["1,ada,Taxi,2026-01-31,1", "2,ada,Taxi,2026-01-31,1", "1,ada,Taxi,2026-01-31,3"]
    report = import_expenses(stream(*lines), STRICT, batch_size=1)
    assert (report.rows, report.added_count, report.rejected) == (3, 0, 1)
    assert report.rejections[0].line == 4
    assert (Expense.objects.count(), Category.objects.count(), get_user_model().objects.count()) == (0, 0, 0)
