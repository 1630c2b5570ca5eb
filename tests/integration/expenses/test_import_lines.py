"""From bytes to records: every line is accounted for, whatever it holds."""

from __future__ import annotations

import io

import pytest

from expenses.imports.exceptions import CannotImport
from expenses.imports.lines import MAX_RECORD, Record, records
from expenses.imports.options import Dialect


def read(raw: bytes, **dialect: str) -> list[Record]:
    return list(records(io.BytesIO(raw), Dialect(**dialect)))


def test_each_record_knows_the_line_it_begins_on() -> None:
    found = read(b'a,b\n1,"two\nlines"\n\n3,4\r\n5,6\r7,8')
    assert [(r.line, r.cells) for r in found] == [
        (1, ["a", "b"]),
        (2, ["1", "two\nlines"]),
        (5, ["3", "4"]),
        (6, ["5", "6"]),
        (7, ["7", "8"]),
    ]
    assert not any(r.problem for r in found)


def test_a_byte_order_mark_is_no_part_of_the_first_column() -> None:
    for encoding in ("utf-8", "utf-8-sig"):
        assert read(b'\xef\xbb\xbf"a",b\n', encoding=encoding) == [Record(1, ["a", "b"])]


def test_a_quote_that_is_never_closed_costs_one_line() -> None:
    first, bad, *rest = read(b'a,b\n"1,2\n3,4\n5,6\n')
    assert (bad.line, bad.cells) == (2, ['"1,2'])
    assert "not closed" in bad.problem
    assert rest == [Record(3, ["3", "4"]), Record(4, ["5", "6"])]
    assert first == Record(1, ["a", "b"])


def test_a_quote_that_a_later_line_closes_costs_one_line() -> None:
    found = read(b'1,"open\n2,x\n3,"y"\n4,z\n')
    assert [(r.line, bool(r.problem)) for r in found] == [(1, True), (2, False), (3, False), (4, False)]


def test_text_after_a_closing_quote_is_refused_rather_than_guessed() -> None:
    [bad] = read(b'"a"b,c\n')
    assert "quotation marks" in bad.problem


def test_an_overlong_line_is_refused_in_bounded_memory_and_costs_one_line() -> None:
    found = read(b"a,b\n" + b"x" * (5 * MAX_RECORD) + b"\n1,2\n")
    assert [(r.line, bool(r.problem)) for r in found] == [(1, False), (2, True), (3, False)]
    assert len(found[1].cells[0]) <= MAX_RECORD


def test_an_overlong_line_within_quotes_costs_the_line_of_the_quote_and_itself() -> None:
    found = read(b'1,"a\n' + b"x" * (2 * MAX_RECORD) + b"\n3,4\n5,6\n")
    assert [(r.line, bool(r.problem)) for r in found] == [(1, True), (2, True), (3, False), (4, False)]


def test_bytes_that_the_encoding_lacks_are_reported_on_their_line() -> None:
    good, bad, after = read(b"a,b\ncaf\xe9,1\nx,2\n")
    assert (good.problem, after.problem) == ("", "")
    assert bad.line == 2
    assert "--encoding" in bad.problem


def test_a_text_that_has_the_mark_of_replaced_characters_is_taken() -> None:
    assert read("\ufffd,1\n".encode()) == [Record(1, ["\ufffd", "1"])]


def test_utf_16_is_read_and_its_faults_are_reported() -> None:
    assert read("a,b\n1,é\n".encode("utf-16"), encoding="utf-16")[1].cells == ["1", "é"]
    assert read("a,b\n1,2\n".encode("utf-16-le")[:-1], encoding="utf-16-le")[1].problem


def test_nul_reaches_the_cells_so_that_it_can_be_named() -> None:
    assert read(b"a\0b,c\n") == [Record(1, ["a\0b", "c"])]


@pytest.mark.parametrize("encoding", ["klingon", "hex", "rot13", ""])
def test_an_encoding_that_is_none_is_refused(encoding: str) -> None:
    with pytest.raises(CannotImport, match="encoding"):
        Dialect(encoding=encoding)


@pytest.mark.parametrize("delimiter", ["", ";;", '"', "\n", "\r", "\0"])
def test_a_delimiter_that_cannot_delimit_is_refused(delimiter: str) -> None:
    with pytest.raises(CannotImport, match="delimiter"):
        Dialect(delimiter=delimiter)


def test_the_stream_is_left_open() -> None:
    stream = io.BytesIO(b"a,b\n")
    list(records(stream, Dialect()))
    assert not stream.closed
