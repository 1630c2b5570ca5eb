"""What lists of the admin have in common."""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING, Any

from django.contrib import admin
from django.core.paginator import Paginator
from django.db.models import QuerySet
from django.http import HttpRequest
from unfold.admin import ModelAdmin

if TYPE_CHECKING:
    _Paginator = Paginator[Any]
else:
    _Paginator = Paginator  # generic for type checkers only

EVERYBODY = "expenses.view_all_expenses"
COUNTED = 50_000
"""Rows that a list counts, and lets one turn the pages of; an action on all of them takes no more."""


def only_own(queryset: QuerySet[Any], request: HttpRequest) -> QuerySet[Any]:
    """Return the rows that the user may see: the own ones, or everybody's with the permission."""
    return queryset if request.user.has_perm(EVERYBODY) else queryset.filter(owner=request.user.pk)


def counted(rows: QuerySet[Any], most: int) -> tuple[int, bool]:
    """Return the number of rows, at most ``most``, and whether there are more. Looks at no more than one further."""
    found = rows.order_by()[: most + 1].count()
    return min(found, most), found > most


class BoundedPaginator(_Paginator):
    """Counts rows up to a bound, so that a page of a long list does not cost a scan of it."""

    template_name = "expenses/admin/pagination.html"

    @cached_property
    def count(self) -> int:
        """Return the number of rows, or the bound where there are more."""
        return self._counted[0]

    @property
    def has_more(self) -> bool:
        """Whether there are more rows than were counted."""
        return self._counted[1]

    @cached_property
    def _counted(self) -> tuple[int, bool]:
        rows: Any = self.object_list
        return counted(rows, COUNTED)


class LongListAdmin(ModelAdmin):  # type: ignore[misc]
    """A list too long to be counted or scanned for a page of it."""

    list_filter_submit = True
    list_select_related: tuple[str, ...] = ("owner", "category")
    list_per_page = 50
    paginator = BoundedPaginator
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
