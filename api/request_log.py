"""One line a request: which it was, who asked, how it ended, how long it took."""

from __future__ import annotations

import re
import time
import uuid
from typing import Any

import structlog
from django.dispatch import receiver
from django.http import FileResponse, HttpRequest
from django.http.response import HttpResponseBase
from django.utils.functional import SimpleLazyObject
from django_structlog import signals
from django_structlog.middlewares import RequestMiddleware

from api.handlers import expected

HEADER = "X-Request-ID"
META = "HTTP_X_REQUEST_ID"
SANE = re.compile(r"[A-Za-z0-9._-]{1,128}")
BEGAN = "api.request_log.began"


class RequestLog(RequestMiddleware):
    """Gives each request an id, its own or a new one, that is in all its lines and in the response.

    Query strings, headers and bodies are told nowhere: they may hold secrets.
    """

    def prepare(self, request: HttpRequest) -> None:
        """Bind what all lines of the request have in common."""
        if not SANE.fullmatch(request.META.get(META, "")):
            request.META[META] = str(uuid.uuid4())
        request.META[BEGAN] = time.perf_counter()
        super().prepare(request)

    def handle_response(self, request: HttpRequest, response: Any) -> None:
        """Log the request, unless it was for a file: what static files there are is no event."""
        response.headers[HEADER] = request.META[META]
        if isinstance(response, FileResponse):
            structlog.contextvars.clear_contextvars()
        else:
            super().handle_response(request, response)

    @staticmethod
    def format_request(request: HttpRequest) -> str:
        """Return the request without its query string."""
        return f"{request.method} {request.path}"

    @staticmethod
    def bind_user_id(request: HttpRequest) -> None:
        """Bind the user, if it is known by now: to ask for it might need a database that is away."""
        user = getattr(request, "user", None)
        if isinstance(user, SimpleLazyObject):
            user = getattr(request, "_cached_user", None)
        structlog.contextvars.bind_contextvars(user_id=getattr(user, "pk", None))

    def _process_exception(self, request: HttpRequest, exception: Exception) -> None:
        """Log a mistake of this project's with its traceback; what is answered as a problem is no such."""
        if expected(request, exception) is None:
            super()._process_exception(request, exception)


@receiver(signals.bind_extra_request_metadata)
def tell_beginning(request: HttpRequest, log_kwargs: dict[str, Any], **_signal: Any) -> None:
    """Say which request begins, at the level DEBUG."""
    log_kwargs.clear()
    log_kwargs.update(method=request.method, path=request.path)


@receiver(signals.bind_extra_request_finished_metadata)
def tell_end(request: HttpRequest, response: HttpResponseBase, log_kwargs: dict[str, Any], **_signal: Any) -> None:
    """Say how a request ended."""
    log_kwargs.clear()
    log_kwargs.update(_told(request, response.status_code))


@receiver(signals.bind_extra_request_failed_metadata)
def tell_failure(request: HttpRequest, log_kwargs: dict[str, Any], **_signal: Any) -> None:
    """Say which request failed."""
    log_kwargs.clear()
    log_kwargs.update(_told(request, 500))


def _told(request: HttpRequest, status: int) -> dict[str, Any]:
    milliseconds = (time.perf_counter() - request.META[BEGAN]) * 1000
    return {
        "method": request.method, "path": request.path, "status": status, "duration_ms": round(milliseconds, 1),
    }  # fmt: skip
