"""The pages of the service for people: logging in, the dashboard, and the list of expenses."""

from __future__ import annotations

from django.contrib.auth import views as auth_views
from django.contrib.auth.decorators import login_required
from django.http import HttpRequest, HttpResponseBase
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils import timezone
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_safe

from expenses.dashboard import listing, page
from expenses.dashboard.forms import LoginForm


class LoginView(auth_views.LoginView):
    """Logs in; goes on to ``next``, where that is a page of this service, else to the dashboard."""

    template_name = "dashboard/login.html"
    form_class = LoginForm
    next_page = "dashboard:home"
    redirect_authenticated_user = True


class LogoutView(auth_views.LogoutView):
    """Logs out, and says so."""

    template_name = "dashboard/logged_out.html"


@require_safe
@never_cache
@login_required
def home(request: HttpRequest) -> HttpResponseBase:
    """Show the dashboard; to staff it is the admin's first page."""
    if request.user.is_staff:
        query = request.META.get("QUERY_STRING")
        return redirect(f"{reverse('admin:index')}{f'?{query}' if query else ''}")
    shown = page.dashboard(request.GET, request.user, timezone.localdate(), in_admin=False)
    return render(request, "dashboard/home.html", shown.context, status=shown.status)


@require_safe
@never_cache
@login_required
def expenses(request: HttpRequest) -> HttpResponseBase:
    """List the expenses that the filters select, with their totals."""
    shown = listing.expenses(request.GET, request.user)
    return render(request, "dashboard/expenses.html", shown.context, status=shown.status)
