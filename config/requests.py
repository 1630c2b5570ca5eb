"""Requests as a server hands them over: what cannot be read of a header is taken for not sent."""

from __future__ import annotations

from typing import Any

from django.core.handlers.asgi import ASGIHandler, ASGIRequest
from django.core.handlers.wsgi import WSGIHandler, WSGIRequest

CONTENT_TYPE = "CONTENT_TYPE"


class _ReadableType:
    """A Content-Type with a parameter in an encoding that nobody knows is none.

    Django reads it while it builds the request, where an error is answered by the server alone.
    """

    def _set_content_type_params(self, meta: dict[str, Any]) -> None:
        try:
            super()._set_content_type_params(meta)  # type: ignore[misc]  # of the class it is mixed into
        except ValueError:
            meta[CONTENT_TYPE] = ""
            super()._set_content_type_params(meta)  # type: ignore[misc]  # of the class it is mixed into


class ReadableWSGIRequest(_ReadableType, WSGIRequest):
    """A request by WSGI."""


class ReadableASGIRequest(_ReadableType, ASGIRequest):
    """A request by ASGI."""


class WSGI(WSGIHandler):
    """Django's application for WSGI, with such requests."""

    request_class = ReadableWSGIRequest


class ASGI(ASGIHandler):
    """Django's application for ASGI, with such requests."""

    request_class = ReadableASGIRequest
