"""The admin's site: its first page is the dashboard, with the list of what can be administered below it."""

from __future__ import annotations

from typing import Any

from django.http import HttpRequest
from django.template.response import TemplateResponse
from django.utils import timezone
from unfold.sites import UnfoldAdminSite

from expenses.dashboard import page


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
