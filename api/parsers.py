"""Request bodies: JSON, read strictly and within limits."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import IO, Any, NoReturn

from rest_framework.exceptions import ParseError
from rest_framework.parsers import BaseParser

from api.problems import Problem

MAX_BYTES = 1_000_000
MAX_DEPTH = 16  # no body here nests deeper than three; deeper ones could exhaust the stack later


class JsonParser(BaseParser):
    """Reads JSON (RFC 8259) in UTF-8.

    Refuses, with 400: NaN and Infinity, a name twice in one object, lone surrogates, deep nesting,
    integers of thousands of digits; with 413: bodies over MAX_BYTES.
    """

    media_type = "application/json"

    def parse(
        self, stream: IO[Any], media_type: str | None = None, parser_context: Mapping[str, Any] | None = None
    ) -> Any:
        """Return the document."""
        content = self._read(stream, parser_context or {})
        try:
            document = json.loads(
                content.decode("utf-8"), parse_constant=_refuse_constant, object_pairs_hook=_unique_names
            )
        except RecursionError as error:
            raise ParseError(f"The body nests deeper than {MAX_DEPTH} levels.") from error
        except ValueError as error:
            raise ParseError(f"The body is not JSON: {str(error)[:200]}.") from error
        if _is_deeper(document, MAX_DEPTH):
            raise ParseError(f"The body nests deeper than {MAX_DEPTH} levels.")
        _refuse_surrogates(document)
        return document

    def _read(self, stream: IO[Any], context: Mapping[str, Any]) -> bytes:
        """Return the whole body, having read no more than the limit."""
        announced = context["request"].META.get("CONTENT_LENGTH") if "request" in context else None
        if announced and int(announced) > MAX_BYTES:
            raise _too_large()
        content: bytes = stream.read(MAX_BYTES + 1)
        if len(content) > MAX_BYTES:
            raise _too_large()
        return content


def _too_large() -> Problem:
    return Problem(413, f"A body has at most {MAX_BYTES} bytes.")


def _refuse_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is not a JSON value")


def _unique_names(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    names = dict(pairs)
    if len(names) < len(pairs):
        raise ValueError("an object has one name twice")
    return names


def _is_deeper(document: Any, levels: int) -> bool:
    """Return whether a document nests deeper, level by level so that depth costs no stack."""
    layer = [document]
    for _ in range(levels + 1):
        layer = [
            child
            for item in layer
            if isinstance(item, (dict, list))
            for child in (item.values() if isinstance(item, dict) else item)
        ]
        if not layer:
            return False
    return True


def _refuse_surrogates(document: Any) -> None:
    try:
        json.dumps(document, ensure_ascii=False).encode("utf-8")
    except UnicodeEncodeError as error:
        raise ParseError("The body has half a surrogate pair, which no text can hold.") from error
