"""Importing a file through the API: the command's rules and report, and nothing of a file that cannot be read."""

from __future__ import annotations

import io
import json
import tempfile
import tracemalloc
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import pytest
from django.contrib.auth.models import User
from django.core.management import call_command
from django.db import OperationalError

from api import parsers
from expenses.imports.storing import Storing
from expenses.models import Category, Expense
from tests.exactness import assert_totals_match
from tests.integration.api.conftest import EXPENSES, assert_problem, client_of, permitted

# A refusal rolls back, also the transaction of a test.
pytestmark = pytest.mark.django_db(transaction=True)

IMPORT = f"{EXPENSES}import/"
JSON_LINES = "application/jsonl"
HEADER = "id,owner,category,date,amount"
COLUMNS = {f"{name}_column": name for name in HEADER.split(",")}
QUERY = {**COLUMNS, "currency": "EUR"}
Send = Callable[..., Any]


@pytest.fixture
def accountant(db: None) -> User:
    return permitted(User.objects.create_user("acco"), "add_expense", "view_all_expenses")


@pytest.fixture
def send(accountant: User) -> Send:
    """Return a function that sends a file: its lines, or its very bytes."""
    client = client_of(accountant)

    def send(*lines: str, raw: bytes | None = None, media_type: str = "text/csv", **query: str) -> Any:
        text = [HEADER, *lines] if media_type.startswith("text/csv") else lines
        body = "\n".join(text).encode() if raw is None else raw
        asked = {name: value for name, value in {**QUERY, **query}.items() if value}
        return client.generic("POST", f"{IMPORT}?{urlencode(asked)}", body, content_type=media_type)

    return send


def as_json(number: int, **members: Any) -> str:
    row = {"id": str(number), "owner": "ada", "category": "Taxi", "date": "2026-01-31", "amount": "12.50", **members}
    return json.dumps(row)


def report(response: Any) -> dict[str, Any]:
    assert response.status_code == 200, response.content
    body: dict[str, Any] = response.json()
    return body


def reasons(response: Any) -> dict[int, str]:
    return {rejection["line"]: rejection["reason"] for rejection in report(response)["rejections"]}


def test_rows_go_in_and_the_report_is_that_of_the_command(send: Send, tmp_path: Path) -> None:
    lines = ["1,ada,Taxi,2026-01-31,12.50", "2,bob,,2026-01-31,-1", "3,ada,Taxi,?,1"]
    answer = report(send(*lines))
    assert {name: answer[name] for name in ("source", "rows", "added", "unchanged", "rejected")} == {
        "source": "import", "rows": 3, "added": 2, "unchanged": 0, "rejected": 1,
    }  # fmt: skip
    assert answer["sums"]["added"] == {"EUR": {"count": 2, "sum": "11.50"}}
    assert (answer["owners_created"], answer["categories_created"]) == (2, 1)
    assert_totals_match()

    path, out = tmp_path / "same.csv", io.StringIO()
    path.write_text("\n".join([HEADER, *lines]))
    arguments = [f"--{name.replace('_', '-')}={value}" for name, value in QUERY.items()]
    with pytest.raises(SystemExit):
        call_command("import_expenses", str(path), *arguments, "--format=json", stdout=out, stderr=io.StringIO())
    of_command = json.loads(out.getvalue())
    assert of_command["unchanged"] == 2, "the same rows are the same expenses, whichever way they come"
    again = report(send(*lines))
    assert set(of_command) - set(again) == {"interrupted"}
    assert {**of_command, "rejections": []} == {**again, "rejections": [], "interrupted": False}
    assert Expense.objects.count() == 2


def test_every_option_of_the_command_is_a_parameter(send: Send) -> None:
    raw = "NR;WER;WAS;TAG;BETRAG;WAEHRUNG;STAND;TEXT\n1;ada;Café;31/01/2026;1.234,56;CHF;approved;Genève\n"
    asked = {
        "id_column": "NR", "owner_column": "WER", "category_column": "WAS", "date_column": "TAG",
        "amount_column": "BETRAG", "currency_column": "WAEHRUNG", "currency": "", "status_column": "STAND",
        "description_column": "TEXT", "delimiter": ";", "encoding": "latin-1", "decimal_comma": "true",
        "date_format": "%d/%m/%Y", "source": "ledger", "strict": "true",
    }  # fmt: skip
    assert report(send(raw=raw.encode("latin-1"), **asked))["source"] == "ledger"
    expense = Expense.objects.select_related("category").get()
    assert (str(expense.amount), expense.currency, expense.status) == ("1234.5600", "CHF", "approved")
    assert (str(expense.category), expense.description, str(expense.spent_on)) == ("Café", "Genève", "2026-01-31")


def test_the_charset_of_the_content_type_is_the_encoding(send: Send) -> None:
    raw = f"{HEADER}\n1,ada,Café,2026-01-31,1".encode("cp1252")
    assert report(send(raw=raw, media_type="text/csv; charset=windows-1252"))["added"] == 1
    assert Category.objects.get().name == "Café"
    assert "not utf-8" in reasons(send(raw=raw))[2]


@pytest.mark.parametrize("media_type", [JSON_LINES, "application/x-ndjson", "application/jsonl; charset=utf-8"])
def test_json_lines_are_the_same_rows(send: Send, media_type: str) -> None:
    send("1,ada,Taxi,2026-01-31,12.50")
    lines = [as_json(1), "", as_json(2, category=None, note={"a": [1]}), as_json(3, amount="x")]
    answer = send(*lines, media_type=media_type)
    assert [report(answer)[name] for name in ("rows", "added", "unchanged", "rejected")] == [3, 1, 1, 1]
    assert list(reasons(answer)) == [4]
    assert_totals_match()


BAD_JSON = {
    "no JSON": ("{", "JSON"),
    "an array": ("[1]", "object"),
    "a number": (as_json(1, amount=12.5), "amount is no string"),
    "a number as the id": (as_json(1, id=1), "id is no string"),
    "a missing member": ('{"id": "1"}', "no member 'owner'"),
    "NaN": (as_json(1, amount=float("nan")), "NaN"),
    "a name twice": ('{"id": "1", "id": "2"}', "twice"),
    "half a surrogate pair": (as_json(1, category="\ud800"), "UTF-8"),
    "NUL": (as_json(1, category="a\0b"), "NUL"),
    "an endless integer": ('{"id": ' + "9" * 5_000 + "}", "JSON"),
    "deep nesting": ('{"id": ' + "[" * 50_000, "nests"),
    "an overlong line": (as_json(1, note="x" * 100_000), "longer"),
}


@pytest.mark.parametrize(("line", "reason"), BAD_JSON.values(), ids=BAD_JSON.keys())
def test_a_bad_line_of_json_is_rejected_alone(send: Send, line: str, reason: str) -> None:
    answer = send(as_json(7), line, as_json(8), media_type=JSON_LINES)
    assert (report(answer)["added"], list(reasons(answer))) == (2, [2])
    assert reason in reasons(answer)[2]


def test_a_bad_byte_in_json_lines_costs_one_line_and_a_mark_at_the_beginning_none(send: Send) -> None:
    raw = b"\xef\xbb\xbf" + as_json(1).encode() + b"\n" + as_json(2).encode() + b"\xff\n" + as_json(3).encode()
    answer = send(raw=raw, media_type=JSON_LINES)
    assert (report(answer)["added"], list(reasons(answer))) == (2, [2])


BAD_CSV = {
    "NUL": ("1,ada,a\0b,2026-01-31,1", "NUL"),
    "a huge line": ("1,ada," + "x" * 200_000 + ",2026-01-31,1", "longer"),
    "a huge amount": ("1,ada,Taxi,2026-01-31," + "9" * 30, "amount"),
    "an exponent": ("1,ada,Taxi,2026-01-31,1E+1000000000", "amount"),
    "an amount that is none": ("1,ada,Taxi,2026-01-31,NaN", "amount"),
    "other digits": ("1,ada,Taxi,2026-01-31,\uff11\uff12", "amount"),
    "too many decimals": ("1,ada,Taxi,2026-01-31,1.005", "decimals"),
    "no day": ("1,ada,Taxi,2026-02-30,1", "date"),
    "no owner": ("1,,Taxi,2026-01-31,1", "owner"),
    "no username": ("1,=cmd|' /C calc'!A0,Taxi,2026-01-31,1", "username"),
    "too few columns": ("1,ada", "columns"),
    "a stray quote": ('1,"ada"x,Taxi,2026-01-31,1', "CSV"),
}


@pytest.mark.parametrize(("line", "reason"), BAD_CSV.values(), ids=BAD_CSV.keys())
def test_a_bad_line_is_rejected_alone(send: Send, line: str, reason: str) -> None:
    answer = send("7,ada,Taxi,2026-01-31,1", line, "8,ada,Taxi,2026-01-31,1")
    assert (report(answer)["added"], list(reasons(answer))) == (2, [3])
    assert reason in reasons(answer)[3]
    assert_totals_match()


def test_text_that_looks_like_a_formula_or_markup_stays_text(send: Send) -> None:
    raw = f"{HEADER},text\n1,ada,=1+1,2026-01-31,1,<script>alert(1)</script>\n".encode()
    report(send(raw=raw, description_column="text"))
    expense = Expense.objects.select_related("category").get()
    assert (str(expense.category), expense.description) == ("=1+1", "<script>alert(1)</script>")


def test_reasons_name_the_parameters_of_the_api(send: Send) -> None:
    assert reasons(send('1,ada,Taxi,2026-01-31,"1,5"', "2,ada,Taxi,31/01/2026,1")) == {
        2: "amount '1,5' is not an amount: write it as -1234.56, without thousands separators "
        "(for amounts with a decimal comma give decimal_comma)",
        3: "date '31/01/2026' is not a date: write it as 2026-01-31, or give date_format",
    }


UNREADABLE = {
    "no columns": b"\n\n",
    "another header": b"a,b\n1,2\n",
    "a header with a column twice": b"id,id,owner,category,date,amount\n",
    "a header that is not UTF-8": b"\xff\xfe,owner\n",
    "a header without an end": b'"' + b"x" * 200_000,
    "a huge header": b",".join(b"%d" % n for n in range(30_000)),
}


@pytest.mark.parametrize("raw", UNREADABLE.values(), ids=UNREADABLE.keys())
def test_a_file_that_cannot_be_read_at_all_is_400(send: Send, raw: bytes) -> None:
    problem = assert_problem(send(raw=raw), 400, "import-refused")
    assert 0 < len(problem["detail"]) <= 2_000
    assert "--" not in problem["detail"]


BAD_OPTIONS = [
    ("id_column", ""), ("id_column", "a\0"), ("id_column", "x" * 256), ("currency", "eur"), ("currency", "XXX"),
    ("currency", ""), ("currency_column", "amount"), ("delimiter", ";;"), ("delimiter", '"'), ("delimiter", "\0"),
    ("delimiter", "\n"), ("encoding", "klingon"), ("encoding", "zlib"), ("encoding", "idna"), ("encoding", "\0"),
    ("decimal_comma", "yes"), ("strict", "1"), ("date_format", "%d/%m"), ("date_format", "%d%d%m%Y"),
    ("date_format", "%"), ("date_format", "%Y-%m-%d\0"), ("date_format", "%Y%m%d" + " " * 60),
    ("date_format", "%1000000d%m%Y"), ("source", " "), ("source", "x" * 256), ("batch_size", "1"), ("rejects", "/x"),
]  # fmt: skip


@pytest.mark.parametrize(("name", "value"), BAD_OPTIONS)
def test_an_option_that_cannot_be_is_400_and_named(send: Send, name: str, value: str) -> None:
    problem = assert_problem(send("1,ada,Taxi,2026-01-31,1", **{name: value}), 400, "invalid-parameters")
    assert [error["parameter"] for error in problem["errors"]] == [name.replace("currency_column", "currency")]
    assert "--" not in problem["detail"]
    assert not Expense.objects.exists()


@pytest.mark.parametrize(
    ("media_type", "query"),
    [
        (JSON_LINES, {"delimiter": ";"}),
        (JSON_LINES, {"encoding": "utf-8"}),
        (f"{JSON_LINES}; charset=latin-1", {}),
        ("text/csv; charset=klingon", {}),
    ],
)
def test_what_json_lines_do_not_have_and_an_unknown_charset_are_400(
    send: Send, media_type: str, query: dict[str, str]
) -> None:
    assert_problem(send(as_json(1), media_type=media_type, **query), 400, "invalid-parameters")


def test_strict_is_all_or_nothing(send: Send) -> None:
    lines = ["1,ada,Taxi,2026-01-31,1", "2,ada,Taxi,?,1"]
    problem = assert_problem(send(*lines, strict="true"), 400, "import-refused")
    assert [error["detail"].partition(":")[0] for error in problem["errors"]] == ["Line 3"]
    assert "--" not in problem["detail"]
    assert (Expense.objects.count(), Category.objects.count(), User.objects.count()) == (0, 0, 1)
    assert report(send(lines[0], strict="true"))["added"] == 1
    assert_problem(send(as_json(3), "x", media_type=JSON_LINES, strict="true"), 400)
    assert report(send(as_json(3), media_type=JSON_LINES, strict="true"))["added"] == 1
    assert_totals_match()


@pytest.mark.parametrize("permissions", [(), ("add_expense",), ("view_all_expenses", "change_expense")])
def test_an_import_takes_both_permissions(owner: User, permissions: tuple[str, ...]) -> None:
    path, body = f"{IMPORT}?{urlencode(QUERY)}", f"{HEADER}\n1,ada,Taxi,2026-01-31,1".encode()
    for user, status in ((permitted(owner, *permissions), 403), (None, 401)):
        assert_problem(client_of(user).generic("POST", path, body, content_type="text/csv"), status)
    assert not Expense.objects.exists()


@pytest.mark.parametrize("media_type", ["application/json", "text/plain", "application/x-www-form-urlencoded", ""])
def test_other_media_types_are_415(send: Send, media_type: str) -> None:
    assert_problem(send(raw=b"[]", media_type=media_type), 415)


def test_an_empty_body_is_400_and_other_methods_405(send: Send, accountant: User) -> None:
    assert_problem(send(raw=b""), 400)
    assert_problem(client_of(accountant).get(IMPORT), 405)


def test_more_than_the_limit_is_413_before_it_is_read(send: Send, accountant: User) -> None:
    response = client_of(accountant).generic(
        "POST", f"{IMPORT}?{urlencode(QUERY)}", b"x", content_type="text/csv",
        CONTENT_LENGTH=str(parsers.MAX_FILE_BYTES + 1),
    )  # fmt: skip
    assert_problem(response, 413, "too-large")


def test_of_a_body_that_was_cut_off_nothing_goes_in(accountant: User) -> None:
    """Its last line, cut within the amount, would be another amount."""
    body = f"{HEADER}\n1,ada,Taxi,2026-01-31,1234.56".encode()
    arrived = {"wsgi.input": io.BytesIO(body[:-5])}
    path = f"{IMPORT}?{urlencode(QUERY)}"
    response = client_of(accountant).generic("POST", path, body, content_type="text/csv", **arrived)
    assert_problem(response, 400)
    assert not Expense.objects.exists()


def test_a_file_that_finds_no_room_is_507(send: Send, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tempfile, "TemporaryFile", lambda: Path("/dev/full").open("r+b", buffering=0))  # noqa: SIM115
    assert_problem(send("1,ada,Taxi,2026-01-31,1"), 507)


def test_a_database_that_stops_an_import_is_503_and_tells_what_went_in(
    send: Send, monkeypatch: pytest.MonkeyPatch
) -> None:
    lines = [f"{n},ada,Taxi,2026-01-31,1" for n in range(1_500)]
    write = Storing.write

    def fail_later(self: Storing, entries: Any) -> Any:
        if Expense.objects.exists():
            raise OperationalError("server closed the connection")
        return write(self, entries)

    with monkeypatch.context() as patched:
        patched.setattr(Storing, "write", fail_later)
        response = send(*lines)
    assert "1000 expenses" in assert_problem(response, 503)["detail"]
    assert response["Retry-After"]
    again = report(send(*lines))
    assert (again["added"], again["unchanged"]) == (500, 1_000)
    assert_totals_match()


def test_a_file_is_not_held_in_memory(accountant: User, tmp_path: Path) -> None:
    path = tmp_path / "large.csv"
    path.write_bytes(f"{HEADER}\n1,ada,Taxi,2026-01-31,1\n".encode() + b"x" * 20_000_000)
    client, address = client_of(accountant), f"{IMPORT}?{urlencode(QUERY)}"
    with path.open("rb") as stream:
        arriving = {"wsgi.input": stream, "CONTENT_LENGTH": str(path.stat().st_size)}
        tracemalloc.start()
        try:
            response = client.generic("POST", address, content_type="text/csv", **arriving)
            _now, peak = tracemalloc.get_traced_memory()
        finally:
            tracemalloc.stop()
    assert (report(response)["added"], list(reasons(response))) == (1, [3])
    assert peak < 5_000_000  # bytes
