"""What answers where no view does: problem+json under ``/api/``, Django's own pages elsewhere."""

from __future__ import annotations

import sys

from django.http import HttpRequest, HttpResponse
from django.urls import resolve
from django.views import defaults
from django.views.decorators.csrf import csrf_exempt

from api.problems import Problem, describe


def is_api(request: HttpRequest) -> bool:
    """Return whether the path is one whose answers are never HTML."""
    return request.path_info.startswith(("/api/", "/livez", "/readyz"))


def bad_request(request: HttpRequest, exception: Exception) -> HttpResponse:
    """Answer what Django refuses before a view is found, such as a wrong Host."""
    if not is_api(request):
        return defaults.bad_request(request, exception)
    return (describe(exception) or Problem(400)).response()


def permission_denied(request: HttpRequest, exception: Exception) -> HttpResponse:
    """Answer 403."""
    if not is_api(request):
        return defaults.permission_denied(request, exception)
    return Problem(403).response()


def not_found(request: HttpRequest, exception: Exception) -> HttpResponse:
    """Answer 404."""
    if not is_api(request):
        return defaults.page_not_found(request, exception)
    return Problem(404).response()


def server_error(request: HttpRequest) -> HttpResponse:
    """Answer an error outside the views, such as a database that is away while middleware needs it."""
    if not is_api(request):
        return defaults.server_error(request)
    error = sys.exc_info()[1]
    problem = describe(error) if error else None
    return (problem or Problem(500)).response()


@csrf_exempt  # a missing path is missing for everybody; the CSRF page would be HTML
def no_such_path(request: HttpRequest) -> HttpResponse:
    """Answer every other path under ``/api/``, also in DEBUG, and name the missing slash."""
    if not request.path_info.endswith("/") and resolve(f"{request.path_info}/").func is not no_such_path:
        return Problem(404, f"There is {request.path}/, with a slash at its end.").response()
    return Problem(404).response()
