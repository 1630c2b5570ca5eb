"""A whole answer as a stream: CSV or JSON lines, a row at a time."""

from __future__ import annotations

import csv
import itertools
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any

from django.http import StreamingHttpResponse
from rest_framework.renderers import JSONRenderer

Row = Mapping[str, Any]

# What a spreadsheet takes for the start of a formula.
FORMULA_STARTS = ("=", "+", "-", "@", "\t", "\r")
TEXT_COLUMNS = frozenset({"owner_name", "category_name"})


def response(format: str, columns: Sequence[str], rows: Iterator[Row]) -> StreamingHttpResponse:  # noqa: A002 - DRF's name
    """Return the stream of all rows in one of FORMATS; ``columns`` names and orders those of a CSV file.

    The first row is read before the response is there: what keeps the answer from being read is raised
    here, while it can still become a problem.
    """
    media_type, lines = FORMATS[format]
    begun = itertools.chain(list(itertools.islice(rows, 1)), rows)
    return StreamingHttpResponse(
        lines(columns, begun),
        content_type=media_type,
        headers={"Content-Disposition": f'attachment; filename="totals.{format}"'},
    )


class _Line:
    """A file whose write returns what it was given: csv.writer then returns each line."""

    def write(self, line: str) -> str:
        return line


def _csv(columns: Sequence[str], rows: Iterable[Row]) -> Iterator[str]:
    """Yield the header line and a line for each row."""
    writer = csv.writer(_Line())
    yield writer.writerow(columns)
    for row in rows:
        cells = _flat(row)
        yield writer.writerow([_cell(column, cells[column]) for column in columns])


def _flat(row: Row) -> dict[str, Any]:
    """Return the row with the members of the period before beside its own."""
    previous = row.get("previous", {})
    return {**row, **{f"previous_{column}": value for column, value in previous.items()}}


def _cell(column: str, value: Any) -> Any:
    """Return a value for a spreadsheet, which must take no text for a formula. Amounts stay numbers."""
    if column in TEXT_COLUMNS and isinstance(value, str) and value.startswith(FORMULA_STARTS):
        return f"'{value}"
    return value


def _jsonl(columns: Sequence[str], rows: Iterable[Row]) -> Iterator[bytes]:
    """Yield a line for each row: the object that the JSON answer has, which names its members itself."""
    renderer = JSONRenderer()
    return (renderer.render(row) + b"\n" for row in rows)


FORMATS: Mapping[str, tuple[str, Callable[[Sequence[str], Iterable[Row]], Iterator[str] | Iterator[bytes]]]] = {
    "csv": ("text/csv; charset=utf-8", _csv),
    "jsonl": ("application/jsonl", _jsonl),
}
