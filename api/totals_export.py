"""A whole answer as a stream: CSV or JSON lines, a row at a time."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any

from django.http import StreamingHttpResponse
from rest_framework.renderers import JSONRenderer

from expenses import spreadsheets

Row = Mapping[str, Any]

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


def _csv(columns: Sequence[str], rows: Iterable[Row]) -> Iterator[str]:
    """Yield the header line and a line for each row."""
    flat = map(_flat, rows)
    return spreadsheets.lines(columns, ([_cell(column, row[column]) for column in columns] for row in flat))


def _flat(row: Row) -> dict[str, Any]:
    """Return the row with the members of the period before beside its own."""
    previous = row.get("previous", {})
    return {**row, **{f"previous_{column}": value for column, value in previous.items()}}


def _cell(column: str, value: Any) -> Any:
    """Return a value for a spreadsheet. Amounts stay numbers."""
    return spreadsheets.text(value) if column in TEXT_COLUMNS else value


def _jsonl(columns: Sequence[str], rows: Iterable[Row]) -> Iterator[bytes]:
    """Yield a line for each row: the object that the JSON answer has, which names its members itself."""
    renderer = JSONRenderer()
    return (renderer.render(row) + b"\n" for row in rows)


FORMATS: Mapping[str, tuple[str, Callable[[Sequence[str], Iterable[Row]], Iterator[str] | Iterator[bytes]]]] = {
    "csv": ("text/csv; charset=utf-8", _csv),
    "jsonl": ("application/jsonl", _jsonl),
}
