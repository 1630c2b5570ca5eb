"""What answers where no view does: problem+json under ``/api/``, a page elsewhere."""

from __future__ import annotations

import sys
from http import HTTPStatus

from django.http import HttpRequest, HttpResponse
from django.template import loader
from django.urls import resolve
from django.views.decorators.csrf import csrf_exempt

from aggregates.exceptions import TotalOutOfRange
from api.problems import Problem, describe, log


def is_api(request: HttpRequest) -> bool:
    """Return whether the path is one whose answers are never HTML."""
    return request.path_info.startswith(("/api/", "/livez", "/readyz", "/metrics"))


def bad_request(request: HttpRequest, exception: Exception) -> HttpResponse:
    """Answer what Django refuses before a view is found, such as a wrong Host."""
    problem = describe(exception) or Problem(400)
    return problem.response() if is_api(request) else _page(problem)


def permission_denied(request: HttpRequest, exception: Exception) -> HttpResponse:
    """Answer 403."""
    if is_api(request):
        return Problem(403).response()
    return _page(Problem(403, "You may not see this page, or not do what you asked for."))


def not_found(request: HttpRequest, exception: Exception) -> HttpResponse:
    """Answer 404."""
    if is_api(request):
        return Problem(404).response()
    return _page(Problem(404, "There is no such page, or what it showed is gone."))


def server_error(request: HttpRequest) -> HttpResponse:
    """Answer an error outside the API's views, such as a database that is away while middleware needs it."""
    error = sys.exc_info()[1]
    problem = expected(request, error) if error else None
    if problem and error:
        log(problem, error)
    if is_api(request):
        return (problem or Problem(500)).response()
    return _page(problem or Problem(500, "The error is on record. Try again, or tell whoever runs this service."))


def expected(request: HttpRequest, error: BaseException) -> Problem | None:
    """Return the problem that an error outside the API's views is; None for a mistake of this project's own.

    Of a page that is no more than what a form cannot see before: a database that is busy, a total too large.
    """
    problem = describe(error)
    if problem is None or is_api(request) or problem.status_code == HTTPStatus.SERVICE_UNAVAILABLE:
        return problem
    return problem if isinstance(error, TotalOutOfRange) else None


def _page(problem: Problem) -> HttpResponse:
    """Return a problem as a page; it is made without the database, which may be what is away."""
    page = loader.render_to_string("problem.html", {"title": problem.title, "detail": problem.detail})
    return HttpResponse(page, status=problem.status_code, headers=problem.headers)


@csrf_exempt  # a missing path is missing for everybody; the CSRF page would be HTML
def no_such_path(request: HttpRequest) -> HttpResponse:
    """Answer every other path under ``/api/``, also in DEBUG, and name the missing slash."""
    if not request.path_info.endswith("/") and resolve(f"{request.path_info}/").func is not no_such_path:
        return Problem(404, f"There is {request.path}/, with a slash at its end.").response()
    return Problem(404).response()
