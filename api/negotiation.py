"""Which parser reads a body and which renderer writes the answer."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from django.utils.http import parse_header_parameters
from rest_framework.exceptions import ParseError
from rest_framework.negotiation import DefaultContentNegotiation
from rest_framework.parsers import BaseParser
from rest_framework.renderers import BaseRenderer
from rest_framework.request import Request

from api.problems import invalid_parameters


class Negotiation(DefaultContentNegotiation):
    """DRF's, with errors that say what is wrong."""

    def select_parser(self, request: Request, parsers: Iterable[BaseParser]) -> BaseParser | None:
        """Return the parser for a body; a multipart body that cannot be one is malformed, not unsupported."""
        media_type, parameters = parse_header_parameters(request.content_type or "")
        if media_type == "multipart/form-data" and not parameters.get("boundary"):
            raise ParseError("A multipart body needs a boundary; this API takes application/json.")
        parser: BaseParser | None = super().select_parser(request, parsers)
        return parser

    def filter_renderers(self, renderers: Iterable[BaseRenderer], format: str) -> list[Any]:  # noqa: A002 - DRF's name
        """Return the renderers of a ``format``; raise the 400 for one that the view does not offer."""
        offered = list(renderers)
        chosen = [renderer for renderer in offered if renderer.format == format]
        if not chosen:
            formats = ", ".join(sorted({str(renderer.format) for renderer in offered}))
            raise invalid_parameters({"format": f"This answer comes as {formats}."})
        return chosen


class CsvRenderer(BaseRenderer):
    """Stands for text/csv in the negotiation; the view streams it itself."""

    media_type = "text/csv"
    format = "csv"


class JsonLinesRenderer(BaseRenderer):
    """Stands for application/jsonl, one JSON object a line; the view streams it itself."""

    media_type = "application/jsonl"
    format = "jsonl"
