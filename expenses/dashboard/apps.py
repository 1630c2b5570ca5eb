"""The admin, with a site of the service's own."""

from __future__ import annotations

from django.contrib.admin.apps import AdminConfig as BaseAdminConfig


class AdminConfig(BaseAdminConfig):
    """The admin, whose first page is the dashboard."""

    default_site = "expenses.dashboard.site.Site"
