"""Request bodies: JSON, read strictly and within limits, and files, which are put on disk."""

from __future__ import annotations

import errno
import json
import shutil
import tempfile
from collections.abc import Mapping
from contextlib import ExitStack
from typing import IO, Any, BinaryIO

from django.http import UnreadablePostError
from rest_framework.exceptions import ParseError
from rest_framework.parsers import BaseParser

from api.problems import Problem
from expenses import strict_json

MAX_BYTES = 1_000_000
MAX_FILE_BYTES = 100_000_000
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
            document = strict_json.loads(content)
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
        if _announced(context) > MAX_BYTES:
            raise _too_large(MAX_BYTES)
        content: bytes = stream.read(MAX_BYTES + 1)
        if len(content) > MAX_BYTES:
            raise _too_large(MAX_BYTES)
        return content


class FileParser(BaseParser):
    """Puts a body that is a file on disk, and so returns it only once it is there as a whole.

    Refuses, with 413: bodies over MAX_FILE_BYTES; with 400: one that ends before its announced
    length, whose last line may be cut within an amount; with 507: one that finds no room.
    """

    def parse(
        self, stream: IO[Any], media_type: str | None = None, parser_context: Mapping[str, Any] | None = None
    ) -> Any:
        """Return the binary file, open at its beginning; it is gone when it is closed."""
        announced = _announced(parser_context or {})
        if announced > MAX_FILE_BYTES:
            raise _too_large(MAX_FILE_BYTES)
        with ExitStack() as stack:
            file: BinaryIO = stack.enter_context(tempfile.TemporaryFile())
            _copy(stream, file)
            if file.tell() != announced:
                raise UnreadablePostError(f"{file.tell()} bytes came of {announced}")
            file.seek(0)
            stack.pop_all()
        return file


class CsvParser(FileParser):
    """Takes delimited text."""

    media_type = "text/csv"


class JsonLinesParser(FileParser):
    """Takes JSON lines."""

    media_type = "application/jsonl"


class NdjsonParser(FileParser):
    """Takes JSON lines by their other name."""

    media_type = "application/x-ndjson"


def _copy(stream: IO[Any], file: BinaryIO) -> None:
    try:
        shutil.copyfileobj(stream, file)
        file.flush()
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG):
            raise Problem(507, "There is no room for the file. Nothing was written: try again later.") from error
        raise


def _announced(context: Mapping[str, Any]) -> int:
    """Return the length that the request announces, in bytes; 0 for none."""
    return int((context["request"].META.get("CONTENT_LENGTH") or 0) if "request" in context else 0)


def _too_large(limit: int) -> Problem:
    return Problem(413, f"A body has at most {limit} bytes here.")


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
