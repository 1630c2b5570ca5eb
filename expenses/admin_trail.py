"""The audit trail in the admin: of expenses, and of everything else."""

from __future__ import annotations

from typing import Any

from auditlog.admin import LogEntryAdmin
from auditlog.models import LogEntry
from django.contrib import admin
from django.db import connection
from django.db.models import OuterRef, QuerySet, Subquery
from django.http import HttpRequest
from django.urls import reverse
from django.utils.html import format_html
from unfold.admin import ModelAdmin

from expenses import currencies
from expenses.admin_base import LongListAdmin, ReadOnly, only_own
from expenses.models import Category, ExpenseImage, ExpenseWrite

admin.site.unregister(LogEntry)


def history_of(expense: object) -> str:
    """Return the address that lists the images of an expense."""
    return f"{reverse('admin:expenses_expenseimage_changelist')}?expense__exact={expense}"


@admin.register(LogEntry)
class AuditAdmin(LogEntryAdmin, ModelAdmin):  # type: ignore[misc]
    """Changes of categories, months, users, permissions, and rebuilds that were begun."""

    def get_search_fields(self, request: HttpRequest) -> list[str]:
        """Return what is searched: not what changed on MariaDB, which refuses the collations of JSON and text."""
        fields = super().get_search_fields(request)
        return [name for name in fields if name != "changes" or connection.vendor != "mysql"]


@admin.register(ExpenseWrite)
class ExpenseWriteAdmin(ReadOnly, LongListAdmin):
    """Writes of expenses, each with a link to what it wrote."""

    list_display = ("at", "kind", "actor_name", "via", "what")
    list_select_related = ()
    list_filter = (("kind", admin.ChoicesFieldListFilter),)
    search_fields = ("actor_name", "via")
    search_help_text = "User, request or command"

    def get_queryset(self, request: HttpRequest) -> QuerySet[ExpenseWrite]:
        """Return the writes of expenses that the user may see."""
        mine = only_own(ExpenseImage.objects.all(), request)
        return super().get_queryset(request).filter(pk__in=mine.values("write"))  # type: ignore[no-any-return]

    @admin.display(description="expenses", ordering="expenses")
    def what(self, write: ExpenseWrite) -> str:
        """Return a link to the images."""
        url = f"{reverse('admin:expenses_expenseimage_changelist')}?write__id__exact={write.pk}"
        return format_html('<a class="underline" href="{}">show</a>', url)


@admin.register(ExpenseImage)
class ExpenseImageAdmin(ReadOnly, LongListAdmin):
    """Expenses as they were before and after each write, the latest first."""

    list_display = (
        "at", "who", "via", "moment", "owner_name", "category",
        "money", "currency", "spent_on", "status", "description",
    )  # fmt: skip
    list_select_related = ("write", "owner")
    list_filter = (("write__kind", admin.ChoicesFieldListFilter),)
    search_fields = ("=expense", "description", "write__actor_name")
    search_help_text = "An expense's id, description, or user"
    ordering = ("-write__at", "-write", "expense", "after")

    def get_queryset(self, request: HttpRequest) -> QuerySet[ExpenseImage]:
        """Return what the user may see."""
        named = Category.objects.filter(pk=OuterRef("category_id")).values("name")
        found: QuerySet[ExpenseImage] = only_own(super().get_queryset(request), request)
        return found.annotate(category_name=Subquery(named))

    def has_view_permission(self, request: HttpRequest, obj: ExpenseImage | None = None) -> bool:
        """Return whether the user may see images, or expenses, whose history they are."""
        allowed: bool = super().has_view_permission(request, obj)
        return allowed or request.user.has_perm("expenses.view_expense")

    def lookup_allowed(self, lookup: str, value: Any, request: HttpRequest) -> bool:
        """Allow what links here ask for."""
        return lookup in ("expense__exact", "write__id__exact") or super().lookup_allowed(lookup, value, request)

    @admin.display(description="at", ordering="write__at")
    def at(self, image: ExpenseImage) -> Any:
        """Return when it was written."""
        return image.write.at

    @admin.display(description="by")
    def who(self, image: ExpenseImage) -> str:
        """Return who wrote it."""
        return image.write.actor_name or "–"

    @admin.display(description="via")
    def via(self, image: ExpenseImage) -> str:
        """Return the request or the command."""
        return image.write.via

    @admin.display(description="what")
    def moment(self, image: ExpenseImage) -> str:
        """Return what happened, and which side of it this is."""
        return f"{image.write.kind}: {'after' if image.after else 'before'}"

    @admin.display(description="owner", ordering="owner__username")
    def owner_name(self, image: ExpenseImage) -> str:
        """Return the owner, who may be gone."""
        return str(image.owner) if image.owner else f"{image.owner_id} (deleted)"

    @admin.display(description="category")
    def category(self, image: Any) -> str:
        """Return the category, which may be gone."""
        if image.category_id is None:
            return "–"
        return image.category_name or f"{image.category_id} (deleted)"

    @admin.display(description="amount", ordering="amount")
    def money(self, image: ExpenseImage) -> str:
        """Return the amount with the currency's digits."""
        return currencies.plain(image.amount, image.currency)
