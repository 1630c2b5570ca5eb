"""What is done to many expenses at once: one update, whole or not at all, in a constant number of statements."""

from __future__ import annotations

from typing import Any

from django import forms
from django.contrib import admin, messages
from django.contrib.admin.helpers import ACTION_CHECKBOX_NAME
from django.db import IntegrityError
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse
from django.template.response import TemplateResponse
from django.utils import timezone
from unfold.admin import ModelAdmin
from unfold.widgets import UnfoldAdminSelectWidget

from expenses import admin_base
from expenses.models import Category, Expense, Status

NO_CATEGORY = "none"


class CategoryForm(forms.Form):
    """Names the category that expenses move to."""

    category = forms.ChoiceField(label="New category", widget=UnfoldAdminSelectWidget())

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        field: Any = self.fields["category"]
        there = Category.objects.values_list("pk", "name")
        field.choices = [("", "Choose a category"), (NO_CATEGORY, "Without category"), *there]

    @property
    def chosen(self) -> int | None:
        """Return the key of the category that was chosen, None for none."""
        value: str = self.cleaned_data["category"]
        return None if value == NO_CATEGORY else int(value)


class ManyAtOnce(ModelAdmin):  # type: ignore[misc]
    """Actions on the selected expenses, or on all that a list has on its pages."""

    actions = ("approve", "reject", "recategorise")

    @admin.action(description="Approve the selected expenses", permissions=["change"])
    def approve(self, request: HttpRequest, queryset: QuerySet[Expense]) -> None:
        """Approve expenses, whatever their status is."""
        self._change(request, queryset, "approved", status=Status.APPROVED)

    @admin.action(description="Reject the selected expenses", permissions=["change"])
    def reject(self, request: HttpRequest, queryset: QuerySet[Expense]) -> None:
        """Reject expenses, whatever their status is."""
        self._change(request, queryset, "rejected", status=Status.REJECTED)

    @admin.action(description="Move the selected expenses to a category", permissions=["change"])
    def recategorise(self, request: HttpRequest, queryset: QuerySet[Expense]) -> HttpResponse | None:
        """Ask for a category, then move expenses there."""
        form = CategoryForm(request.POST if "apply" in request.POST else None)
        if form.is_valid():
            self._change(request, queryset, "moved", category_id=form.chosen)
            return None
        number, more = admin_base.counted(queryset, admin_base.COUNTED)
        if more:
            self._refuse(request)
            return None
        context = {
            **self.admin_site.each_context(request),
            "title": "Move expenses to a category",
            "opts": self.opts,
            "media": self.media,
            "form": form,
            "number": number,
            "selected": request.POST.getlist(ACTION_CHECKBOX_NAME),
            "select_across": request.POST.get("select_across", "0"),
            "selected_name": ACTION_CHECKBOX_NAME,
        }
        return TemplateResponse(request, "expenses/admin/recategorise.html", context)

    def _change(self, request: HttpRequest, queryset: QuerySet[Expense], done: str, **values: Any) -> None:
        """Update those of the expenses that are not so yet, and say how many they were."""
        if admin_base.counted(queryset, admin_base.COUNTED)[1]:
            self._refuse(request)
            return
        try:
            changed = queryset.exclude(**values).update(**values, updated_at=timezone.now())
        except IntegrityError:
            self.message_user(request, "Nothing was written. That category is gone: choose another.", messages.ERROR)
            return
        text = f"{changed:,} {'expense' if changed == 1 else 'expenses'} {done}."
        if changed:
            self.message_user(request, text, messages.SUCCESS)
        else:
            self.message_user(request, f"{text} The selected ones were so already.", messages.WARNING)

    def _refuse(self, request: HttpRequest) -> None:
        text = f"Nothing was written. These are more than {admin_base.COUNTED:,} expenses: filter the list further."
        self.message_user(request, text, messages.ERROR)
