"""How the command ends where it cannot run, and what it says then."""

from __future__ import annotations

import io
import json
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import pytest
from django.core.management import CommandError, call_command

from expenses.models import Expense
from tests.integration.expenses.conftest import run

pytestmark = pytest.mark.django_db

Write = Callable[..., Path]
LINE = "1,ada,Taxi,2026-01-31,12.50"


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    ended = run(tmp_path / "nowhere.csv")
    assert ended.code == 2
    assert "nowhere.csv" in ended.err


def test_a_folder_is_no_file(tmp_path: Path) -> None:
    assert run(tmp_path).code == 2


@pytest.mark.parametrize(
    ("header", "says"),
    [
        ("id,who,category,date,amount", "no column 'owner'. Its columns: 'id', 'who', 'category', 'date', 'amount'."),
        ("id,owner,owner,category,date,amount", "2 columns named 'owner'"),
        ("id;owner;category;date;amount", "Is ',' the right --delimiter?"),
    ],
)
def test_a_header_without_the_columns_is_shown(write: Write, header: str, says: str) -> None:
    ended = run(write(LINE, header=header))
    assert ended.code == 2
    assert says in ended.err


@pytest.mark.parametrize("raw", [b"", b"\n\n"])
def test_an_empty_file_is_called_empty(write: Write, raw: bytes) -> None:
    ended = run(write(raw=raw))
    assert ended.code == 2
    assert "empty" in ended.err


def test_a_header_in_another_encoding_is_refused(write: Write) -> None:
    ended = run(write(raw="id,owner,category,date,amount,café\n".encode("latin-1")))
    assert ended.code == 2
    assert "--encoding" in ended.err


def test_a_file_without_rows_is_fine(write: Write) -> None:
    assert run(write()).code == 0


@pytest.mark.parametrize(
    "options",
    [
        ("--encoding", "klingon"),
        ("--delimiter", ";;"),
        ("--date-format", "%d/%m"),
        ("--currency-column", "money"),
        ("--source", " "),
        ("--batch-size", "0"),
        ("--batch-size", "1000000"),
        ("--rejects", "/nowhere/rejects.csv"),
    ],
)
def test_options_that_cannot_be_are_refused_before_anything_is_written(write: Write, options: tuple[str, ...]) -> None:
    ended = run(write(LINE), *options)
    assert (ended.code, Expense.objects.count()) == (2, 0)
    assert ended.err


def test_a_currency_is_asked_for(write: Write) -> None:
    ended = run(write(LINE), currency=None)
    assert ended.code == 2
    assert "--currency" in ended.err


def test_the_file_of_rejects_is_never_the_file_itself(write: Write) -> None:
    path = write(LINE)
    before = path.read_bytes()
    assert run(path, "--rejects", str(path)).code == 2
    assert path.read_bytes() == before


def test_missing_options_are_a_usage_error(write: Write) -> None:
    with pytest.raises(CommandError, match="--owner-column"):
        call_command("import_expenses", str(write(LINE)))


def test_a_tab_may_be_spelled_out(write: Write) -> None:
    raw = "\ufeffid\towner\tcategory\tdate\tamount\r\n1\tada\tTaxi\t2026-01-31\t12.50\r\n".encode()
    for delimiter in ("\t", "\\t", "tab"):
        assert run(write(raw=raw), "--delimiter", delimiter).code == 0
    assert Expense.objects.count() == 1


@pytest.mark.parametrize("strict", [(), ("--strict",)])
def test_standard_input_is_read(write: Write, monkeypatch: pytest.MonkeyPatch, strict: tuple[str, ...]) -> None:
    class Pipe(io.BytesIO):
        def seekable(self) -> bool:
            return False

    monkeypatch.setattr("sys.stdin", SimpleNamespace(buffer=Pipe(write(LINE).read_bytes())))
    assert run("-", *strict).code == 0
    assert Expense.objects.count() == 1


def test_json_goes_to_standard_output_and_nothing_else_does(write: Write) -> None:
    ended = run(write(LINE, "2,ada,,?,1"), "--format", "json")
    report = json.loads(ended.out)
    assert (report["rows"], report["added"], report["rejected"], report["interrupted"]) == (2, 1, 1, False)
    assert report["sums"]["added"] == {"EUR": {"count": 1, "sum": "12.50"}}
