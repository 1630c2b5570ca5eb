"""The expenses of a list, all its pages, as a CSV file."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from django.contrib.admin.options import IncorrectLookupParameters
from django.contrib.admin.views.main import PAGE_VAR, ChangeList
from django.core.exceptions import PermissionDenied
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse, StreamingHttpResponse
from django.shortcuts import redirect
from django.urls import URLPattern, path, reverse
from unfold.admin import ModelAdmin
from unfold.views import ChangeList as ThemedList

from expenses import currencies, spreadsheets

ROWS_AT_ONCE = 2_000
# As an import names them, so that the file can go in elsewhere.
COLUMNS = ("id", "date", "owner", "category", "amount", "currency", "status", "description")
FIELDS = ("id", "spent_on", "owner__username", "category__name", "amount", "currency", "status", "description")


class WholeList(ThemedList):  # type: ignore[misc]
    """A list that is not shown page by page, so no page is read and nothing counted."""

    def get_results(self, request: HttpRequest) -> None:
        """Read nothing."""


class Exports(ModelAdmin):  # type: ignore[misc]
    """A list of expenses that can be had as a file, as it is filtered, searched and sorted."""

    def get_urls(self) -> list[URLPattern]:
        """Add the file's address."""
        view = self.admin_site.admin_view(self.export_view)
        return [path("export/", view, name="expenses_expense_export"), *super().get_urls()]

    def get_changelist(self, request: HttpRequest, **kwargs: Any) -> type[ChangeList]:
        """Return how the list is read: as a whole for a file."""
        match = request.resolver_match
        exporting = match is not None and match.url_name == "expenses_expense_export"
        found: type[ChangeList] = WholeList if exporting else super().get_changelist(request, **kwargs)
        return found

    def export_view(self, request: HttpRequest) -> HttpResponse | StreamingHttpResponse:
        """Stream the list as CSV. A filter that makes no sense leads to the list, as there."""
        if not self.has_view_or_change_permission(request):
            raise PermissionDenied
        try:
            changelist = self.get_changelist_instance(request)
        except IncorrectLookupParameters:
            return redirect(f"{reverse('admin:expenses_expense_changelist')}?e=1")
        return StreamingHttpResponse(
            lines(changelist.queryset),
            content_type="text/csv; charset=utf-8",
            headers={"Content-Disposition": 'attachment; filename="expenses.csv"', "Cache-Control": "private"},
        )


def address(changelist: ChangeList) -> str:
    """Return the address of the file of a list."""
    return f"{reverse('admin:expenses_expense_export')}{changelist.get_query_string(remove=[PAGE_VAR])}"


def lines(expenses: QuerySet[Any]) -> Iterator[str]:
    """Yield the header and a line for each expense. Amounts are numbers with their currency's digits."""
    rows = expenses.values_list(*FIELDS).iterator(chunk_size=ROWS_AT_ONCE)
    return spreadsheets.lines(COLUMNS, map(_cells, rows))


def _cells(row: tuple[Any, ...]) -> list[Any]:
    key, spent_on, owner, category, amount, currency, status, description = row
    text = spreadsheets.text
    plain = currencies.plain(amount, currency)
    return [key, spent_on.isoformat(), text(owner), text(category or ""), plain, currency, status, text(description)]
