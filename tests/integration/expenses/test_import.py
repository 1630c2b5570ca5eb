"""What an import does to the expenses and their totals."""

from __future__ import annotations

import csv
import io
import signal
from collections.abc import Callable
from contextlib import suppress
from decimal import Decimal
from functools import partial
from pathlib import Path

import pytest
from django.contrib.auth import get_user_model
from django.db import OperationalError, connection
from django.test.utils import CaptureQueriesContext

from expenses.importing import Import, import_expenses
from expenses.imports.options import Columns, Options
from expenses.models import Category, Expense
from tests.integration.expenses.conftest import HEADER, run
from tests.integration.expenses.live import assert_totals_are_live

pytestmark = pytest.mark.django_db

Write = Callable[..., Path]
OPTIONS = Options(Columns("owner", "category", "date", "amount", "id"), currency="EUR")


def state() -> list[tuple[object, ...]]:
    rows = Expense.objects.order_by("pk")
    return list(
        rows.values_list("pk", "owner__username", "category__name", "amount", "currency", "spent_on", "updated_at")
    )


def test_rows_go_in_with_their_owners_and_categories_and_the_totals_follow(write: Write) -> None:
    Category.objects.create(name="Taxi")
    ended = run(write("1, ada ,Taxi , 2026-01-31,12.50", "2,ada,,2026-02-01,-2.50", "2,ben,Meals,2026-02-01,1"))
    assert (ended.code, ended.err) == (0, "")
    assert [row[1:6] for row in sorted(state(), key=lambda row: row[3])] == [
        ("ada", None, Decimal("-2.5"), "EUR", Expense.objects.get(amount=Decimal("-2.5")).spent_on),
        ("ben", "Meals", Decimal(1), "EUR", Expense.objects.get(amount=Decimal(1)).spent_on),
        ("ada", "Taxi", Decimal("12.5"), "EUR", Expense.objects.get(amount=Decimal("12.5")).spent_on),
    ]
    assert set(Expense.objects.values_list("status", flat=True)) == {"submitted"}
    assert_totals_are_live()


def test_owners_that_are_created_cannot_log_in(write: Write) -> None:
    run(write("1,ada,Taxi,2026-01-31,12.50"))
    ada = get_user_model().objects.get(username="ada")
    assert not ada.has_usable_password()
    assert not ada.is_staff
    assert not ada.is_superuser


def test_an_owner_that_is_there_is_taken_as_is(write: Write) -> None:
    ada = get_user_model().objects.create_user("ada", password="secret")
    run(write("1,ada,Taxi,2026-01-31,12.50"))
    assert Expense.objects.get().owner == ada
    assert get_user_model().objects.get().check_password("secret")


def test_repeating_an_import_changes_nothing(write: Write) -> None:
    path = write("1,ada,Taxi,2026-01-31,12.50", "2,ben,,2026-02-01,3")
    run(path)
    before = state()
    ended = run(path)
    assert (ended.code, state()) == (0, before)
    assert ended.out.split()[:5] == ["rows", "read", "2", "added", "0"]
    assert get_user_model().objects.count() == 2


def test_the_name_of_the_file_does_not_matter_but_the_source_does(write: Write) -> None:
    line = "1,ada,Taxi,2026-01-31,12.50"
    run(write(line, name="a.csv"))
    run(write(line, name="b.csv"))
    assert Expense.objects.count() == 1
    run(write(line), "--source", "payroll")
    assert Expense.objects.count() == 2
    assert_totals_are_live()


@pytest.mark.parametrize(
    ("line", "says"),
    [
        ("1,ada,Taxi,2026-01-31,12.51", "amount 12.5000, here 12.5100"),
        ("1,ada,Bus,2026-01-31,12.50", "category 'Taxi', here 'Bus'"),
        ("1,ada,,2026-01-31,12.50", "category 'Taxi', here none"),
        ("1,ada,Taxi,2026-02-01,12.50", "date 2026-01-31, here 2026-02-01"),
    ],
)
def test_an_id_with_other_content_is_rejected_and_what_is_stored_stays(write: Write, line: str, says: str) -> None:
    run(write("1,ada,Taxi,2026-01-31,12.50"))
    before = state()
    ended = run(write(line, "2,ada,Taxi,2026-01-31,1"))
    assert ended.code == 1
    assert "line 2: " in ended.err
    assert says in ended.err
    assert set(before) < set(state())
    assert not Category.objects.filter(name="Bus").exists()
    assert_totals_are_live()


def test_another_currency_is_other_content(write: Write) -> None:
    path = write("1,ada,Taxi,2026-01-31,12")
    run(path)
    ended = run(path, "--currency", "JPY", currency=None)
    assert (ended.code, Expense.objects.get().currency) == (1, "EUR")


def test_what_the_file_does_not_state_is_not_compared(write: Write) -> None:
    path = write("1,ada,Taxi,2026-01-31,12.50")
    run(path)
    Expense.objects.update(status="approved", description="by hand")
    assert run(path).code == 0
    assert Expense.objects.get().status == "approved"


def test_status_and_description_are_read_where_they_have_columns(write: Write) -> None:
    header = HEADER + ",status,text"
    options = ("--status-column", "status", "--description-column", "text")
    path = write(
        "1,ada,Taxi,2026-01-31,1,draft,Airport", "2,ada,Taxi,2026-01-31,1,,", "3,ada,,2026-01-31,1,gone,", header=header
    )
    ended = run(path, *options)
    assert ended.code == 1
    assert "line 4: status 'gone' is not a status" in ended.err
    assert sorted(Expense.objects.values_list("status", "description")) == [("draft", "Airport"), ("submitted", "")]
    assert_totals_are_live()
    assert run(write("1,ada,Taxi,2026-01-31,1,approved,Airport", header=header), *options).code == 1


@pytest.mark.parametrize("batch_size", ["1", "2", "1000"])
def test_an_id_twice_in_a_file_counts_once_or_is_rejected(write: Write, batch_size: str) -> None:
    same, other = "1,ada,Taxi,2026-01-31,12.50", "1,ada,Taxi,2026-01-31,13"
    ended = run(write(same, same, other, same), "--batch-size", batch_size, "--format", "json")
    assert ended.code == 1
    assert ended.err.startswith("line 4: its id is stored already with other content")
    for part in ('"added": 1', '"unchanged": 2', '"rejected": 1'):
        assert part in ended.out
    assert Expense.objects.get().amount == Decimal("12.5")
    assert_totals_are_live()


def test_each_bad_line_is_reported_with_all_its_faults_and_the_rest_goes_in(write: Write) -> None:
    ended = run(
        write(
            "1,ada,Taxi,2026-01-31,1",
            '2,ada,"Two\nlines",31.01.2026,1e2',
            "3,ada,Taxi,2026-01-31",
            "4,ada,Taxi,2026-01-31,1,6",
            ",,Taxi,2026-01-31,1",
            "6,ada,Ta\0xi,2026-01-31,1",
            "7,ada," + "x" * 256 + ",2026-01-31,1",
            "8,ada,Taxi,2026-01-31,1",
        )
    )
    lines = {int(line.split(":")[0][5:]): line for line in ended.err.splitlines()}
    assert list(lines) == [3, 5, 6, 7, 8, 9]
    assert "date '31.01.2026'" in lines[3]
    assert "amount '1e2'" in lines[3]
    assert "has 4 columns, the header 5" in lines[5]
    assert "has 6 columns, the header 5" in lines[6]
    assert "id is empty" in lines[7]
    assert "owner is empty" in lines[7]
    assert "NUL" in lines[8]
    assert "shorten it to 255" in lines[9]
    assert (ended.code, Expense.objects.count()) == (1, 2)
    assert set(Category.objects.values_list("name", flat=True)) == {"Taxi"}


def test_currencies_from_a_column_are_never_added_together(write: Write) -> None:
    path = write(
        "1,ada,,2026-01-31,1.5,KWD",
        "2,ada,,2026-01-31,100,JPY",
        "3,ada,,2026-01-31,1.5,JPY",
        "4,ada,,2026-01-31,x,XXX",
        header=HEADER + ",money",
    )
    ended = run(path, "--currency-column", "money", currency=None)
    assert "JPY 100, KWD 1.500" in ended.out
    assert "line 4: amount '1.5' has more than the 0 decimals of JPY" in ended.err
    assert "line 5: money 'XXX' is not an ISO 4217 currency code" in ended.err
    assert "amount 'x' is not an amount" in ended.err


def test_a_strict_import_with_a_bad_line_leaves_nothing_behind(write: Write) -> None:
    ended = run(write("1,ada,Taxi,2026-01-31,1", "2,ada,Taxi,never,1"), "--strict")
    assert ended.code == 1
    assert "line 3" in ended.err
    assert (Expense.objects.count(), Category.objects.count(), get_user_model().objects.count()) == (0, 0, 0)


def test_a_strict_import_without_one_goes_in_and_can_be_repeated(write: Write) -> None:
    path = write("1,ada,Taxi,2026-01-31,1", "2,ada,Bus,2026-01-31,1", "3,ben,Bus,2026-01-31,1")
    for added, unchanged in ((3, 0), (0, 3)):
        ended = run(path, "--strict", "--batch-size", "1", "--format", "json")
        assert ended.code == 0
        assert f'"added": {added}' in ended.out
        assert f'"unchanged": {unchanged}' in ended.out
    assert_totals_are_live()


def test_a_batch_takes_the_same_number_of_statements_whatever_its_size(write: Write) -> None:
    def statements(source: str, rows: int) -> int:
        lines = [f"{n},owner{n % 7},category{n % 5},2026-01-{n % 28 + 1:02},{n}" for n in range(rows)]
        raw = io.BytesIO("\n".join([HEADER, *lines]).encode())
        options = Options(OPTIONS.columns, source=source, currency="EUR")
        with CaptureQueriesContext(connection) as captured:
            assert import_expenses(raw, options).added_count == rows
        return len([query for query in captured if "SAVEPOINT" not in query["sql"]])

    few, many = statements("few", 10), statements("many", 80)
    assert many <= few  # the owners and categories are there by then


def test_an_import_reads_a_stream_and_its_report_is_data(write: Write) -> None:
    raw = io.BytesIO(write("1,ada,Taxi,2026-01-31,12.50", "2,ada,Taxi,?,1").read_bytes())
    report = import_expenses(raw, OPTIONS)
    assert not raw.closed
    assert report.as_dict() == {
        "source": "import",
        "rows": 2,
        "added": 1,
        "unchanged": 0,
        "rejected": 1,
        "owners_created": 1,
        "categories_created": 1,
        "sums": {"added": {"EUR": {"count": 1, "sum": "12.50"}}, "unchanged": {}},
        "rejections": [
            {"line": 3, "reason": "date '?' is not a date: write it as 2026-01-31, or give --date-format"},
        ],
        "rejections_left_out": 0,
    }


def test_a_report_keeps_the_first_rejections_and_counts_the_others(write: Write) -> None:
    ended = run(write(*[f"{n},ada,,never,1" for n in range(70)]))
    assert ended.err.count("line ") == 50
    assert "… and 20 more" in ended.err


def test_rejected_lines_can_be_corrected_in_their_file_and_imported(write: Write, tmp_path: Path) -> None:
    rejects = tmp_path / "rejects.csv"
    path = write(raw="id;owner;category;date;amount\n1;ada;Café;2026-01-31;1,5\n2;ada;Café;x;-2,5\n".encode("latin-1"))
    options = ("--delimiter", ";", "--encoding", "latin-1", "--decimal-comma")
    assert run(path, *options, "--rejects", str(rejects)).code == 1
    with rejects.open(encoding="latin-1", newline="") as stream:
        header, row = csv.reader(stream, delimiter=";")
    assert header == ["line", "reason", "id", "owner", "category", "date", "amount"]
    assert (row[0], row[2:]) == ("3", ["2", "ada", "Café", "x", "-2,5"])
    rejects.write_bytes(rejects.read_bytes().replace(b";x;", b";2026-02-01;"))
    assert run(rejects, *options).code == 0
    assert sorted(Expense.objects.values_list("amount", flat=True)) == [Decimal("-2.5"), Decimal("1.5")]


def swallowed() -> None:
    """Be interrupted where the database's driver makes an error of its own of it."""
    with suppress(KeyboardInterrupt):
        signal.raise_signal(signal.SIGTERM)
    raise OperationalError("user-defined function raised exception")


@pytest.mark.parametrize("interrupt", [partial(signal.raise_signal, signal.SIGINT), swallowed])
def test_what_is_in_after_an_interruption_is_told_and_repeating_goes_on(
    write: Write, monkeypatch: pytest.MonkeyPatch, interrupt: Callable[[], None]
) -> None:
    path = write(*[f"{n},ada,Taxi,2026-01-31,{n}" for n in range(10)])
    account = Import._account

    def interrupted(self: Import, *args: object) -> None:
        account(self, *args)  # type: ignore[arg-type]
        if self.report.rows == 6:
            interrupt()

    monkeypatch.setattr(Import, "_account", interrupted)
    ended = run(path, "--batch-size", "3")
    assert ended.code == 3
    assert "6 expenses went in. Repeat the same command" in ended.err
    monkeypatch.undo()
    again = run(path, "--batch-size", "3")
    assert again.code == 0
    assert ("added              4" in again.out, "unchanged          6" in again.out) == (True, True)
    assert_totals_are_live()
