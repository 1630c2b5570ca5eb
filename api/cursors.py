"""Pages by cursor: each begins where the one before ended, whatever was written meanwhile.

DRF's own tells rows apart by the first column alone, and loses rows where more than a thousand are alike in it.
"""

from __future__ import annotations

import datetime as dt
import json
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, Generic, TypeVar

from django.core.signing import BadSignature, Signer
from django.db.models import Model, QuerySet
from rest_framework.request import Request
from rest_framework.utils.urls import replace_query_param

from api import etags, pagination
from api.keyset import Column, after
from api.parameters import Parameter, one_of
from api.problems import invalid_parameters

M = TypeVar("M", bound=Model)
READERS: Mapping[str, Any] = {
    "amount": Decimal,
    "day": dt.date.fromisoformat,
    "time": dt.datetime.fromisoformat,
    "id": uuid.UUID,
}
"""How a value is read back that JSON has no type for, by the name of its type in a cursor."""
# What may differ from page to page; whatever else differs makes it another list.
FREE = ("cursor", "pagination", "page_size")

PARAMETERS = (
    Parameter(
        "pagination",
        one_of(("page", "cursor")),
        "cursor begins a walk over all rows by `next`: each row that is not changed meanwhile comes exactly once, "
        "however many are inserted or deleted, and every page costs the same. `count` is null then.",
        {"type": "string", "enum": ["page", "cursor"], "default": "page"},
    ),
    Parameter("cursor", str, "Where a page begins, as `next` and `previous` have it. Of one user and one query."),
)


@dataclass(frozen=True)
class Place:
    """Where a page begins: after the row with these values, or, without any, at the beginning.

    Backward it is before that row, or at the end.
    """

    values: tuple[Any, ...] | None = None
    backward: bool = False


class _Compact:
    """JSON without escapes: a name of 255 characters has to fit into an address."""

    def dumps(self, value: Any) -> bytes:
        return json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode()

    def loads(self, text: bytes) -> Any:
        return json.loads(text)


def asked(values: Mapping[str, Any]) -> bool:
    """Return whether the parameters of a list ask for a page by cursor; raise the 400 where they ask for both."""
    by_cursor = "cursor" in values or values.get("pagination") == "cursor"
    if by_cursor and "page" in values:
        raise invalid_parameters({"page": "Pages by cursor have no numbers: follow `next` and `previous`."})
    if "cursor" in values and values.get("pagination") == "page":
        raise invalid_parameters({"pagination": "A cursor was given: leave it out, or take pagination=cursor."})
    return by_cursor


class Pages(pagination.Pages):
    """Pages by number of a list that has them by cursor as well."""

    def get_paginated_response_schema(self, schema: dict[str, Any]) -> dict[str, Any]:
        """Return the envelope of both."""
        envelope = super().get_paginated_response_schema(schema)
        count = {"type": ["integer", "null"], "description": "Rows on all pages; null with a cursor."}
        return {**envelope, "properties": {**envelope["properties"], "count": count}}


class CursorPages(Generic[M]):
    """The pages of one list that one user asks for.

    ``columns`` sort it, the last of them telling all rows apart; ``values`` are the parameters as read.
    Raises the 400 for a cursor that this list did not give out.
    """

    def __init__(self, request: Request, values: Mapping[str, Any], columns: Sequence[Column]) -> None:
        self.request = request
        self.columns = columns
        self.size: int = values.get("page_size", pagination.PAGE_SIZE)
        chosen = [[name, sorted(map(str, _several(value)))] for name, value in values.items() if name not in FREE]
        # Of the order as well, in which the terms were given.
        self.list = etags.etag(sorted(chosen), [[column.path, column.descending] for column in columns])
        self.signer = Signer(salt=f"api.cursors {request.user.pk}")
        self.place = self._read(values["cursor"]) if "cursor" in values else Place()

    def page(self, rows: QuerySet[M]) -> tuple[list[M], dict[str, Any]]:
        """Return the rows of the page, and what stands around them: ``count``, ``next``, ``previous``."""
        columns = [column.reversed() for column in self.columns] if self.place.backward else self.columns
        if self.place.values is not None:
            rows = rows.filter(after(columns, self.place.values))
        found = list(rows.order_by(*(column.order() for column in columns))[: self.size + 1])
        more, page = len(found) > self.size, found[: self.size]
        if self.place.backward:
            page.reverse()
        return page, {"count": None, **self._links(page, more=more)}

    def _links(self, page: Sequence[M], *, more: bool) -> dict[str, str | None]:
        """Return the addresses around a page; ``more``: whether rows follow in the direction it was read in."""
        backward = self.place.backward
        ahead = self._link(Place(self._values(page[0 if backward else -1]), backward)) if more else None
        # Of an empty page both ends are gone: what lies behind it is the other end of the list.
        behind = self._values(page[-1 if backward else 0]) if page else None
        back = self._link(Place(behind, not backward)) if self.place.values is not None else None
        return {"next": back if backward else ahead, "previous": ahead if backward else back}

    def _values(self, row: M) -> tuple[Any, ...]:
        return tuple(column.value(row) for column in self.columns)

    def _link(self, place: Place) -> str:
        """Return the address of the page that begins there."""
        values = None if place.values is None else [_written(value) for value in place.values]
        cursor = self.signer.sign_object([self.list, place.backward, values], serializer=_Compact)
        return replace_query_param(self.request.build_absolute_uri(), "cursor", cursor)

    def _read(self, cursor: str) -> Place:
        try:
            of_list, backward, values = self.signer.unsign_object(cursor, serializer=_Compact)
        except BadSignature:
            raise invalid_parameters(
                {"cursor": "Take it from `next` or `previous`, as it is, and as who got it."}
            ) from None
        if of_list != self.list:
            raise invalid_parameters({"cursor": "It is of another query: begin again with pagination=cursor."})
        return Place(None if values is None else tuple(map(_value, values)), backward)


def _several(value: Any) -> Any:
    return value if isinstance(value, (tuple, frozenset)) else (value,)


def _written(value: Any) -> Any:
    """Return a value as a cursor has it: as it is where JSON knows it, else with the name of its type."""
    if isinstance(value, Decimal):
        return ["amount", str(value)]
    if isinstance(value, dt.datetime):
        return ["time", value.isoformat()]
    if isinstance(value, dt.date):
        return ["day", value.isoformat()]
    return ["id", str(value)] if isinstance(value, uuid.UUID) else value


def _value(written: Any) -> Any:
    """Return the value that a cursor has."""
    return READERS[written[0]](written[1]) if isinstance(written, list) else written
