"""Months in the admin: closing and opening them."""

from __future__ import annotations

from typing import Any

from django import forms
from django.contrib import admin, messages
from django.db.models import QuerySet
from django.http import HttpRequest
from django.utils import timezone
from unfold.admin import ModelAdmin
from unfold.widgets import UnfoldAdminTextInputWidget

from expenses import months
from expenses.models import FIRST_DAY, LAST_DAY, Month

CLOSE_MONTH = "expenses.close_month"


class MonthForm(forms.ModelForm):  # type: ignore[type-arg]
    """Names a month to close."""

    month = forms.RegexField(
        r"^\d{4}-(0[1-9]|1[0-2])$", help_text="As in 2026-01.", widget=UnfoldAdminTextInputWidget()
    )

    class Meta:
        model = Month
        fields: tuple[str, ...] = ()

    def clean_month(self) -> str:
        """Refuse a month that no expense can be in."""
        month: str = self.cleaned_data["month"]
        if not months.name(FIRST_DAY) <= month <= months.name(LAST_DAY):
            raise forms.ValidationError(f"Months are from {months.name(FIRST_DAY)} to {months.name(LAST_DAY)}.")
        return month


@admin.register(Month)
class MonthAdmin(ModelAdmin):  # type: ignore[misc]
    """Months that expenses were written in, or that are closed. To add one is to close it."""

    form = MonthForm
    fields = ("month",)
    list_display = ("name", "state", "closed_at", "closed_by")
    list_display_links = None
    list_select_related = ("closed_by",)
    list_filter = (("closed_at", admin.EmptyFieldListFilter),)
    actions = ("close", "reopen")

    def has_add_permission(self, request: HttpRequest) -> bool:
        """Return whether the user may close months."""
        return request.user.has_perm(CLOSE_MONTH)

    def has_change_permission(self, request: HttpRequest, obj: Month | None = None) -> bool:
        """Refuse: a month is closed or opened by an action."""
        return False

    def has_view_permission(self, request: HttpRequest, obj: Month | None = None) -> bool:
        """Return whether the user may see or close months."""
        return request.user.has_perm(CLOSE_MONTH) or super().has_view_permission(request, obj)

    def has_delete_permission(self, request: HttpRequest, obj: Month | None = None) -> bool:
        """Refuse: the row is what writers hold."""
        return False

    def has_close_permission(self, request: HttpRequest) -> bool:
        """Return whether the user may close months."""
        return request.user.has_perm(CLOSE_MONTH)

    def save_model(self, request: HttpRequest, obj: Month, form: Any, change: bool) -> None:  # noqa: FBT001 - Django's
        """Close the month."""
        first_day = months.first_day(form.cleaned_data["month"])
        closed, _ = months.close(first_day, request.user, timezone.now())
        obj.first_day, obj.closed_at, obj.closed_by = closed.first_day, closed.closed_at, closed.closed_by

    @admin.display(description="month", ordering="first_day")
    def name(self, month: Month) -> str:
        """Return the month as it is written."""
        return str(month)

    @admin.display(description="state", ordering="closed_at")
    def state(self, month: Month) -> str:
        """Return whether expenses may be written in it."""
        return "closed" if month.is_closed else "open"

    @admin.action(description="Close the selected months", permissions=["close"])
    def close(self, request: HttpRequest, queryset: QuerySet[Month]) -> None:
        """Close months."""
        now = timezone.now()
        done = [month for month in queryset if months.close(month.first_day, request.user, now)[1]]
        self.message_user(request, f"Closed: {_listed(done)}.", messages.SUCCESS)

    @admin.action(description="Open the selected months again", permissions=["close"])
    def reopen(self, request: HttpRequest, queryset: QuerySet[Month]) -> None:
        """Open months again."""
        done = [month for month in queryset if months.reopen(month.first_day)[1]]
        self.message_user(request, f"Open again: {_listed(done)}.", messages.SUCCESS)


def _listed(found: list[Month]) -> str:
    return ", ".join(map(str, found)) or "none"
