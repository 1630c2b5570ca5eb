"""Wrong passwords: after some, an account or an address has to wait. The counts are kept by django-axes.

They are kept by name, whether there is such a user or not, so that nobody learns who exists.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from axes.attempts import get_cool_off_threshold
from axes.backends import AxesStandaloneBackend
from axes.handlers.database import AxesDatabaseHandler
from axes.helpers import get_cool_off, get_failure_limit
from axes.models import AccessAttempt
from django.db.models import Max, Sum
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.utils import timezone

from api.handlers import is_api
from api.problems import Problem

LONGEST_NAME = AccessAttempt._meta.get_field("username").max_length or 255
TEXT = "Too many wrong passwords for this account or from this address: wait, then try again."


class Guard(AxesStandaloneBackend):  # type: ignore[misc]  # django-axes has no types
    """Turns away who is locked out, before a password is looked at."""

    def authenticate(
        self, request: HttpRequest | None, username: Any = None, password: Any = None, **more: Any
    ) -> None:
        """Raise PermissionDenied for who is locked out. Without a request it is code that asks, and no client."""
        if request is not None:
            super().authenticate(request, username=username, password=password, **more)


class Attempts(AxesDatabaseHandler):  # type: ignore[misc]  # django-axes has no types
    """Counts by account and by address; a success forgives the account, and not the address the others."""

    def filter_user_attempts(self, request: Any, credentials: Mapping[str, Any] | None = None) -> list[Any]:
        """Return what was attempted for the account, and from the address where it is known."""
        counted: list[Any] = super().filter_user_attempts(request, credentials)
        return counted if request.axes_ip_address else counted[:1]

    def reset_user_attempts(self, request: Any, credentials: Mapping[str, Any] | None = None) -> int:
        """Forget what was attempted for the account; return how many records that were."""
        of_account: Any = self.filter_user_attempts(request, credentials)[0]
        deleted: int = of_account.delete()[0]
        return deleted

    def clean_expired_user_attempts(self, request: Any = None, credentials: Mapping[str, Any] | None = None) -> int:
        """Forget what no longer counts; return how many records that were.

        A lock-out writes nothing, and opens no transaction, which on SQLite would stop the writers.
        """
        if request.axes_locked_out:
            return 0
        old = AccessAttempt.objects.filter(attempt_time__lte=get_cool_off_threshold(request))
        return old.delete()[0] if old.exists() else 0

    def seconds_left(self, request: Any, credentials: Mapping[str, Any] | None) -> int:
        """Return after how many seconds nothing locks out any more, at least 1."""
        limit, now = get_failure_limit(request, credentials), timezone.now()
        until = now
        for attempts in self.get_user_attempts(request, credentials):
            found = attempts.aggregate(failures=Sum("failures_since_start"), last=Max("attempt_time"))
            if (found["failures"] or 0) >= limit:
                until = max(until, found["last"] + get_cool_off(request))
        return max(1, math.ceil((until - now).total_seconds()))


def name_of(request: HttpRequest, credentials: Mapping[str, Any] | None) -> str | None:
    """Return the name under which an attempt is counted: as much of it as can be stored, for forms take any length.

    Names of that length are nobody's, so that one of them stands for all that begin like it.
    """
    name = (credentials or {}).get("username") or request.POST.get("username")
    return name if name is None else str(name)[:LONGEST_NAME]


def answer(request: HttpRequest, response: HttpResponse, credentials: Mapping[str, Any] | None) -> HttpResponse:
    """Return the 429 in the place of ``response``: a problem to clients of the API, a page to others."""
    headers = {"Retry-After": str(Attempts().seconds_left(request, credentials)), "Cache-Control": "no-store"}
    if is_api(request):
        return Problem(429, TEXT, headers=headers).response()
    page = render(request, "api/locked_out.html", {"text": TEXT}, status=429)
    for name, value in headers.items():
        page[name] = value
    return page
