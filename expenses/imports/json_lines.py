"""JSON lines → records: one object a line, whose members are the columns."""

from __future__ import annotations

from collections.abc import Generator, Iterator, Mapping, Sequence
from typing import Any, BinaryIO

from expenses import strict_json
from expenses.imports.lines import MAX_RECORD, Record
from expenses.imports.options import Options
from expenses.imports.values import shown

BOM = b"\xef\xbb\xbf"


class _NotTaken(ValueError):
    """A line is JSON but no row. The message says what is wrong with it."""


def json_records(stream: BinaryIO, options: Options) -> Generator[Record]:
    """Yield a header of the columns that the options name, then the record of each line; blank lines are left out.

    Reads UTF-8 in one bounded pass. A value is a string, or null for an empty cell; members that
    no option names are ignored, as other columns are. A line that cannot be taken is yielded with
    its problem. The stream is left open.
    """
    columns = list(dict.fromkeys(options.columns.named().values()))
    yield Record(0, columns)
    for number, line in enumerate(_lines(stream), start=1):
        if line.strip():
            yield _record(number, line, columns)


def _lines(stream: BinaryIO) -> Iterator[bytes]:
    """Yield the lines, of an overlong one only the beginning."""
    first = True
    while line := stream.readline(MAX_RECORD + 1):
        rest = line
        while rest and not rest.endswith(b"\n"):
            rest = stream.readline(MAX_RECORD + 1)
        yield line.removeprefix(BOM) if first else line
        first = False


def _record(number: int, line: bytes, columns: Sequence[str]) -> Record:
    try:
        return Record(number, _cells(line, columns))
    except UnicodeError:
        problem = "has bytes that are not UTF-8: mend them"
    except RecursionError:
        problem = "nests too deeply: send one flat object"
    except _NotTaken as error:
        problem = str(error)
    except ValueError as error:
        problem = f"is not JSON ({str(error)[:200]}): send one object a line"
    return Record(number, [line.decode("utf-8", errors="replace").rstrip("\r\n")], problem)


def _cells(line: bytes, columns: Sequence[str]) -> list[str]:
    if len(line) > MAX_RECORD:
        raise _NotTaken(f"the line is longer than {MAX_RECORD:,} bytes: shorten its text")
    row = strict_json.loads(line)
    if not isinstance(row, dict):
        raise _NotTaken("is no JSON object: send one object a line")
    return [_cell(row, column) for column in columns]


def _cell(row: Mapping[str, Any], column: str) -> str:
    if column not in row:
        raise _NotTaken(f"has no member {shown(column)}: send null where it is empty")
    value = row[column]
    if value is None:
        return ""
    if not isinstance(value, str):
        raise _NotTaken(f"{column} is no string: send one, for a JSON number may lose digits on the way")
    value.encode("utf-8")  # no text holds half a surrogate pair
    return value
