"""JSON as RFC 8259 has it, where Python's own reader takes more."""

from __future__ import annotations

import json
from typing import Any, NoReturn


def loads(content: bytes) -> Any:
    """Return the document that UTF-8 bytes hold.

    Raises ValueError for what is no JSON, NaN, Infinity and a name twice in one object included, its
    subclass UnicodeDecodeError for what is no UTF-8, and RecursionError for a document too deep to read.
    """
    return json.loads(content.decode("utf-8"), parse_constant=_refuse_constant, object_pairs_hook=_unique_names)


def _refuse_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is not a JSON value")


def _unique_names(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    names = dict(pairs)
    if len(names) < len(pairs):
        raise ValueError("an object has one name twice")
    return names
