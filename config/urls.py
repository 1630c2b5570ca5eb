"""Where each part of the service answers."""

from __future__ import annotations

from django.contrib import admin
from django.templatetags.static import static
from django.urls import URLPattern, URLResolver, include, path
from django.views.generic import RedirectView

urlpatterns: list[URLPattern | URLResolver] = [
    path("", include("expenses.dashboard.urls")),
    path("favicon.ico", RedirectView.as_view(url=static("dashboard/icon.svg"))),  # browsers ask for it by themselves
    path("admin/", admin.site.urls),
    path("", include("api.urls")),
]

# Paths under /api/ get problem+json from these, all others Django's own pages.
handler400 = "api.handlers.bad_request"
handler403 = "api.handlers.permission_denied"
handler404 = "api.handlers.not_found"
handler500 = "api.handlers.server_error"
