"""Query parameters: declared once, read strictly, shown in the schema from the same declaration."""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from babel.numbers import is_currency
from django.http import QueryDict
from drf_spectacular.utils import OpenApiParameter

from api.problems import invalid_parameters
from expenses import currencies
from expenses.models import FIRST_DAY, LAST_DAY, Status
from expenses.reports import Selection

MAX_VALUES = 100
MAX_ID = 2**63 - 1
MAX_SEARCH = 200
DATE = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")
DIGITS = re.compile(r"[0-9]{1,30}")
TEXT = "^[^\\u0000]*$"
"""What a schema says of a text without NUL."""
CODE = re.compile(r"[A-Z]{3}")


@dataclass(frozen=True)
class Parameter:
    """One query parameter: how it is read and what the schema says of it.

    ``read`` returns the value or raises ValueError with what is wrong. An empty value is the same
    as none.
    """

    name: str
    read: Callable[[str], Any]
    description: str
    schema: Mapping[str, Any] = field(default_factory=lambda: {"type": "string"})

    def openapi(self) -> OpenApiParameter:
        """Return the parameter as the schema shows it; an array is written as values separated by commas."""
        commas = self.schema.get("type") == "array"
        return OpenApiParameter(
            self.name,
            dict(self.schema),
            OpenApiParameter.QUERY,
            description=self.description,
            style="form" if commas else None,
            explode=False if commas else None,
        )


def read(query: QueryDict, known: Iterable[Parameter]) -> dict[str, Any]:
    """Return the value of each parameter that was given.

    Raises the 400 that lists every unknown, repeated and unreadable one.
    """
    parameters = {parameter.name: parameter for parameter in known}
    values: dict[str, Any] = {}
    errors: dict[str, str] = {}
    for name, given in query.lists():
        if name not in parameters:
            errors[name] = f"There is no such parameter here; there are {', '.join(parameters)}."
        elif len(given) > 1:
            errors[name] = "Given more than once; give it once, several values separated by commas."
        elif given[0]:
            try:
                values[name] = parameters[name].read(given[0])
            except ValueError as error:
                errors[name] = str(error)
    if errors:
        raise invalid_parameters(errors)
    return values


def openapi(known: Iterable[Parameter]) -> list[OpenApiParameter]:
    """Return parameters as the schema shows them."""
    return [parameter.openapi() for parameter in known]


def integer(lowest: int, highest: int) -> Callable[[str], int]:
    """Return a reader of whole numbers in a range."""

    def read_integer(text: str) -> int:
        if not DIGITS.fullmatch(text) or not lowest <= int(text) <= highest:
            raise ValueError(f"Take a whole number from {lowest} to {highest}.")
        return int(text)

    return read_integer


def page_number(text: str) -> int:
    """Return the number of a page. However large it is, it is only past the end."""
    if not DIGITS.fullmatch(text) or int(text) == 0:
        raise ValueError("Take a whole number from 1.")
    return min(int(text), 10**12)


def date(first: dt.date, last: dt.date) -> Callable[[str], dt.date]:
    """Return a reader of dates in a range, both ends included."""

    def read_date(text: str) -> dt.date:
        try:
            day = dt.date.fromisoformat(text) if DATE.fullmatch(text) else None
        except ValueError:
            day = None
        if day is None or not first <= day <= last:
            raise ValueError(f"Take a date from {first} to {last}, as in 2026-01-31.")
        return day

    return read_date


def listed(read_one: Callable[[str], Any]) -> Callable[[str], frozenset[Any]]:
    """Return a reader of comma-separated values."""

    def read_list(text: str) -> frozenset[Any]:
        parts = text.split(",")
        if len(parts) > MAX_VALUES:
            raise ValueError(f"Take at most {MAX_VALUES} values.")
        return frozenset(read_one(part) for part in parts)

    return read_list


def choices(allowed: Collection[str], *, descending: bool = False) -> Callable[[str], tuple[str, ...]]:
    """Return a reader of comma-separated names, each at most once, with ``-`` before one if allowed."""

    def read_choices(text: str) -> tuple[str, ...]:
        terms = text.split(",")
        names = [term.removeprefix("-") if descending else term for term in terms]
        if not set(names) <= set(allowed):
            raise ValueError(f"Take of {', '.join(allowed)}.")
        if len(set(names)) < len(names):
            raise ValueError("Name each once.")
        return tuple(terms)

    return read_choices


def one_of(allowed: Collection[str]) -> Callable[[str], str]:
    """Return a reader of one name."""

    def read_one_of(text: str) -> str:
        if text not in allowed:
            raise ValueError(f"Take one of {', '.join(allowed)}.")
        return text

    return read_one_of


def search_text(text: str) -> str:
    """Return a text to search for."""
    if "\x00" in text or len(text) > MAX_SEARCH:
        raise ValueError(f"Take at most {MAX_SEARCH} characters, none of them NUL.")
    return text


def _category(text: str) -> int | None:
    if text == "none":
        return None
    if not DIGITS.fullmatch(text) or int(text) > MAX_ID:
        raise ValueError("Take ids of categories, or none for uncategorised.")
    return int(text)


def _currency(text: str) -> str:
    # Withdrawn currencies as well: expenses in them stay.
    if not CODE.fullmatch(text) or text in currencies.NOT_MONEY or not is_currency(text):
        raise ValueError("Take ISO 4217 codes, such as EUR.")
    return text


def _status(text: str) -> str:
    if text not in Status.values:
        raise ValueError(f"Take of {', '.join(Status.values)}.")
    return text


def array(items: Mapping[str, Any], **more: Any) -> dict[str, Any]:
    """Return the schema of comma-separated values."""
    return {"type": "array", "items": dict(items), **more}


def names(allowed: Iterable[str], *, descending: bool = False) -> dict[str, Any]:
    """Return the schema of what ``choices`` reads."""
    terms = [f"{sign}{name}" for name in allowed for sign in (("", "-") if descending else ("",))]
    return array({"type": "string", "enum": terms}, uniqueItems=True)


AFTER_LAST_DAY = LAST_DAY + dt.timedelta(days=1)
DATE_SCHEMA = {"type": "string", "format": "date"}

ID_SCHEMA = {"type": "integer", "minimum": 0, "maximum": MAX_ID}

SELECTION = (
    Parameter(
        "owner", listed(integer(0, MAX_ID)), "Ids of users, comma-separated.", array(ID_SCHEMA, maxItems=MAX_VALUES)
    ),
    Parameter(
        "category",
        listed(_category),
        "Ids of categories, comma-separated; `none` for uncategorised.",
        array({"anyOf": [ID_SCHEMA, {"type": "string", "const": "none"}]}, maxItems=MAX_VALUES),
    ),
    Parameter(
        "currency",
        listed(_currency),
        "ISO 4217 codes, comma-separated.",
        array({"type": "string", "pattern": f"^{CODE.pattern}$", "examples": ["EUR"]}, maxItems=MAX_VALUES),
    ),
    Parameter(
        "status",
        listed(_status),
        f"Of {', '.join(Status.values)}, comma-separated.",
        array({"type": "string", "enum": list(Status.values)}, maxItems=MAX_VALUES),
    ),
    Parameter("from", date(FIRST_DAY, LAST_DAY), "First day, included.", DATE_SCHEMA),
    Parameter("to", date(FIRST_DAY, AFTER_LAST_DAY), "Last day, excluded.", DATE_SCHEMA),
)


def selection(values: Mapping[str, Any]) -> dict[str, Any]:
    """Return the arguments of the Selection that the parameters of SELECTION describe; raise the 400."""
    arguments = {
        "owners": values.get("owner"),
        "categories": values.get("category"),
        "currencies": values.get("currency"),
        "statuses": values.get("status"),
        "date_from": values.get("from"),
        "date_to": values.get("to"),
    }
    if arguments["date_from"] and arguments["date_to"] and arguments["date_from"] >= arguments["date_to"]:
        raise invalid_parameters({"to": "Take a day after `from`; `to` itself is excluded."})
    return arguments


def query(chosen: Selection) -> dict[str, str]:
    """Return the parameters that select the same expenses again."""
    parameters = {
        column: ",".join(sorted("none" if value is None else str(value) for value in allowed))
        for column, allowed in chosen.restrictions().items()
    }
    if chosen.date_from:
        parameters["from"] = chosen.date_from.isoformat()
    if chosen.date_to:
        parameters["to"] = chosen.date_to.isoformat()
    return parameters
