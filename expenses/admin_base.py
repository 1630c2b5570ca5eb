"""What lists of the admin have in common."""

from __future__ import annotations

from typing import Any

from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest
from unfold.admin import ModelAdmin

EVERYBODY = "expenses.view_all_expenses"


def only_own(queryset: QuerySet[Any], request: HttpRequest) -> QuerySet[Any]:
    """Return the rows that the user may see: the own ones, or everybody's with the permission."""
    return queryset if request.user.has_perm(EVERYBODY) else queryset.filter(owner=request.user.pk)


class LongListAdmin(ModelAdmin):  # type: ignore[misc]
    """A list too long to be counted or scanned for a page of it."""

    list_filter_submit = True
    list_select_related: tuple[str, ...] = ("owner", "category")
    list_per_page = 50
    show_full_result_count = False
    show_facets = admin.ShowFacets.NEVER

    def get_changelist_formset(self, request: HttpRequest, **kwargs: Any) -> Any:
        """Return the forms of the rows, whose fields have no label but the head of their column."""
        formset = super().get_changelist_formset(request, **kwargs)
        for field in formset.form.base_fields.values():
            field.widget.attrs["aria-label"] = field.label
        return formset


class ReadOnly:
    """Rows that follow from others: nobody writes them here."""

    list_display_links = None
    actions = None

    def has_add_permission(self, request: HttpRequest) -> bool:
        """Refuse."""
        return False

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Refuse."""
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Refuse."""
        return False
