"""Who is writing, and through what: a request, or the command that runs."""

from __future__ import annotations

import sys
from collections.abc import Callable
from contextvars import ContextVar
from pathlib import Path
from typing import Any

from django.http import HttpRequest, HttpResponseBase

MAX_LENGTH = 255

_request: ContextVar[HttpRequest | None] = ContextVar("request", default=None)


def middleware(get_response: Callable[[HttpRequest], HttpResponseBase]) -> Callable[[HttpRequest], HttpResponseBase]:
    """Remember the request while it is answered."""

    def answer(request: HttpRequest) -> HttpResponseBase:
        token = _request.set(request)
        try:
            return get_response(request)
        finally:
            _request.reset(token)

    return answer


def user() -> Any:
    """Return the user who makes the request, as far as he is known yet; None outside requests."""
    known = getattr(_request.get(), "user", None)
    return known if known is not None and known.pk is not None else None


def via() -> str:
    """Return method and path of the request, else the program that runs and its command."""
    request = _request.get()
    if request is not None:
        return f"{request.method} {request.path}"[:MAX_LENGTH]
    program, *arguments = sys.argv or [""]
    return " ".join([Path(program).name, *arguments[:1]])[:MAX_LENGTH]
