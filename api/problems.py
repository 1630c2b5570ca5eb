"""Errors as ``application/problem+json`` (RFC 9457): which error becomes which problem."""

from __future__ import annotations

import logging
import math
from collections.abc import Iterator, Mapping
from functools import singledispatch
from http import HTTPStatus
from typing import Any

from django.core.exceptions import PermissionDenied, RequestDataTooBig, SuspiciousOperation
from django.db import DatabaseError, IntegrityError, InterfaceError, OperationalError
from django.http import Http404, HttpResponse, JsonResponse, UnreadablePostError
from rest_framework import exceptions
from rest_framework.settings import api_settings

from aggregates import transactions
from aggregates.exceptions import CommitInDoubt, ConcurrentInsert, TotalOutOfRange, TotalsNotReady, WriteLost
from expenses.months import MonthClosed

logger = logging.getLogger(__name__)

CONTENT_TYPE = "application/problem+json"
RETRY_AFTER = 5  # seconds; a conflict is over by then, and so is most of a restart
READ_ONLY_TRANSACTION = "25006"  # PostgreSQL reports it as an internal error

# A status's problem type where the error has none of its own.
TYPES: Mapping[int, tuple[str, str]] = {
    400: ("bad-request", "The request cannot be read"),
    401: ("not-authenticated", "Valid credentials are needed"),
    403: ("permission-denied", "This is not permitted"),
    404: ("not-found", "There is nothing here"),
    405: ("method-not-allowed", "This method is not allowed here"),
    406: ("not-acceptable", "None of the accepted media types can be sent"),
    409: ("conflict", "The request conflicts with what is stored"),
    412: ("precondition-failed", "The row is not as the client believes"),
    413: ("too-large", "The body is too large"),
    415: ("unsupported-media-type", "The body's media type is not supported"),
    422: ("key-reused", "The key was sent with another request"),
    429: ("too-many-requests", "Too many requests"),
    500: ("internal-error", "Something went wrong here"),
    503: ("unavailable", "The service cannot answer just now"),
}
INVALID_BODY = ("validation-error", "The body breaks a rule")
INVALID_PARAMETERS = ("invalid-parameters", "The query breaks a rule")
TOTALS_NOT_READY = ("totals-not-ready", "The totals are not ready yet")
MONTH_CLOSED = ("month-closed", "The month is closed")
TOTAL_OUT_OF_RANGE = ("total-out-of-range", "A total would leave its range")


class Problem(exceptions.APIException):
    """An error as the client sees it; raise it, or let ``describe`` make it of another error.

    ``errors`` are objects with a JSON pointer into the body (or, with ``parameter``, into the
    query's parameters) and a ``detail``. A 503 says when to come again.
    """

    def __init__(
        self,
        status: int,
        detail: str = "",
        *,
        kind: tuple[str, str] | None = None,
        errors: list[dict[str, str]] | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        self.slug, self.title = kind or TYPES.get(status) or ("error", HTTPStatus(status).phrase)
        super().__init__(detail or self.title)
        self.status_code = status
        self.errors = errors or []
        self.headers = dict(headers or {})
        if status == HTTPStatus.SERVICE_UNAVAILABLE:
            self.headers.setdefault("Retry-After", str(RETRY_AFTER))

    def response(self) -> HttpResponse:
        """Return the response, whatever media type the client accepts."""
        body: dict[str, Any] = {
            "type": f"/problems/{self.slug}",
            "title": self.title,
            "status": self.status_code,
            "detail": str(self.detail),
        }
        if self.errors:
            body["errors"] = self.errors
        return JsonResponse(body, status=self.status_code, content_type=CONTENT_TYPE, headers=self.headers)


def invalid_parameters(errors: Mapping[str, str]) -> Problem:
    """Return the 400 for query parameters, given what is wrong with each."""
    listed = [{"pointer": pointer(name), "parameter": name, "detail": detail} for name, detail in errors.items()]
    detail = " ".join(f"{name}: {wrong}" for name, wrong in errors.items())
    return Problem(400, detail, kind=INVALID_PARAMETERS, errors=listed)


def exception_handler(error: Exception, context: Mapping[str, Any]) -> HttpResponse | None:
    """Return the problem that an error in a view is, or None for a mistake of this project's own."""
    problem = describe(error)
    if problem is None:
        return None
    log(problem, error)
    return problem.response()


def log(problem: Problem, error: BaseException) -> None:
    """Log what is behind a problem that is not the client's."""
    if problem.status_code >= HTTPStatus.INTERNAL_SERVER_ERROR:
        logger.warning("%s: %s", problem.slug, error, exc_info=error)


def pointer(*path: str | int) -> str:
    """Return the JSON pointer (RFC 6901) to a place in a document."""
    return "".join("/" + str(part).replace("~", "~0").replace("/", "~1") for part in path)


def flatten(detail: Any, path: tuple[str | int, ...] = ()) -> Iterator[dict[str, str]]:
    """Yield an error with its JSON pointer for each message in DRF's nested ``detail``."""
    if isinstance(detail, Mapping):
        for name, inner in detail.items():
            yield from flatten(inner, path if name == api_settings.NON_FIELD_ERRORS_KEY else (*path, name))
    elif isinstance(detail, list):
        for index, inner in enumerate(detail):
            yield from flatten(inner, (*path, index) if isinstance(inner, (Mapping, list)) else path)
    else:
        yield {"pointer": pointer(*path), "detail": str(detail)}


@singledispatch
def describe(error: BaseException) -> Problem | None:
    """Return the problem that an error is to a client; None where it should never happen."""
    return None


@describe.register
def _(error: Problem) -> Problem:
    return error


@describe.register
def _(error: exceptions.APIException) -> Problem:
    headers = {}
    if challenge := getattr(error, "auth_header", None):
        headers["WWW-Authenticate"] = challenge
    if wait := getattr(error, "wait", None):
        headers["Retry-After"] = str(math.ceil(wait))
    return Problem(error.status_code, str(error.detail), headers=headers)


@describe.register
def _(error: exceptions.ValidationError) -> Problem:
    errors = list(flatten(error.detail))
    detail = " ".join(f"{e['pointer']}: {e['detail']}" if e["pointer"] else e["detail"] for e in errors)
    return Problem(400, detail, kind=INVALID_BODY, errors=errors)


@describe.register
def _(error: Http404) -> Problem:
    return Problem(404)


@describe.register
def _(error: PermissionDenied) -> Problem:
    return Problem(403, str(error))


@describe.register
def _(error: SuspiciousOperation) -> Problem:
    # Not its message: DisallowedHost's advises on this service's settings.
    return Problem(413 if isinstance(error, RequestDataTooBig) else 400)


@describe.register
def _(error: UnreadablePostError) -> Problem:
    return Problem(400, "The body ended before its announced length.")


def unavailable() -> Problem:
    """Return the 503 for a database that is away, busy, full or locked. Nothing was written."""
    return Problem(503, "The database is busy or away. Nothing was written: try again.")


@describe.register
def _(error: CommitInDoubt) -> Problem:
    return Problem(
        503,
        "The database was lost while it stored the write, which may be there or not. "
        "Repeat the request: with the same id or Idempotency-Key, it is written once.",
    )


@describe.register(OperationalError)
@describe.register(InterfaceError)
@describe.register(ConcurrentInsert)
@describe.register(WriteLost)
def _(error: Exception) -> Problem:
    return unavailable()


@describe.register
def _(error: DatabaseError) -> Problem | None:
    read_only = getattr(error.__cause__, "sqlstate", None) == READ_ONLY_TRANSACTION
    return unavailable() if read_only or transactions.is_conflict(error) else None


@describe.register
def _(error: IntegrityError) -> Problem:
    return Problem(409, "Something this refers to was changed or deleted meanwhile. Nothing was written.")


@describe.register
def _(error: MonthClosed) -> Problem:
    return Problem(409, f"Nothing was written. {error}", kind=MONTH_CLOSED)


@describe.register
def _(error: TotalOutOfRange) -> Problem:
    return Problem(409, f"Nothing was written. {error}", kind=TOTAL_OUT_OF_RANGE)


@describe.register
def _(error: TotalsNotReady) -> Problem:
    return Problem(503, str(error), kind=TOTALS_NOT_READY)
