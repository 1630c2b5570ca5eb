"""The admin's site: its first page is the dashboard, with the list of what can be administered below it."""

from __future__ import annotations

import logging
from collections.abc import Callable
from functools import wraps
from typing import Any

from django.contrib.admin.views.main import ERROR_FLAG
from django.core.exceptions import BadRequest
from django.db import DataError
from django.http import HttpRequest, HttpResponseBase
from django.shortcuts import redirect
from django.template.response import SimpleTemplateResponse, TemplateResponse
from django.utils import timezone
from django.views import defaults
from unfold.sites import UnfoldAdminSite

from expenses.dashboard import page

logger = logging.getLogger(__name__)

View = Callable[..., HttpResponseBase]


class Site(UnfoldAdminSite):  # type: ignore[misc]  # django-unfold has no types
    """The theme's site with another first page."""

    index_template = "dashboard/admin_index.html"

    def index(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> TemplateResponse:
        """Show the dashboard; the status tells where it cannot be shown as asked."""
        in_admin = request.user.has_perm("expenses.view_expense")
        shown = page.dashboard(request.GET, request.user, timezone.localdate(), in_admin=in_admin)
        response: TemplateResponse = super().index(
            request, {"title": "Dashboard", **shown.context, **(extra_context or {})}
        )
        response.status_code = shown.status
        return response

    def admin_view(self, view: View, cacheable: bool = False) -> View:  # noqa: FBT001, FBT002 - Django's
        """Return the view for staff alone, asked nothing that cannot be."""
        guarded: View = super().admin_view(_askable(view), cacheable)
        return guarded


def _askable(view: View) -> View:
    """Return the view, which is asked nothing that neither a database nor a date can be: NUL, numbers without end.

    Filters hand on what an address says; which of it is too much is known where it is asked for. They are dropped,
    as Django drops filters that make no sense.
    """

    @wraps(view)
    def checked(request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:
        if "\0" in request.path_info:
            return defaults.bad_request(request, BadRequest())
        filtered = request.method != "POST" and bool(request.GET)
        try:
            response = view(request, *args, **kwargs)
            # A list reads its rows while it is rendered.
            return response.render() if filtered and isinstance(response, SimpleTemplateResponse) else response
        except (ValueError, OverflowError, DataError):
            if not filtered:
                raise
            # It may be a mistake of this project's after all.
            logger.warning("What this page was filtered by cannot be asked for.", exc_info=True)
            if ERROR_FLAG in request.GET:
                return defaults.bad_request(request, BadRequest())
            return redirect(f"{request.path}?{ERROR_FLAG}=1")

    return checked
