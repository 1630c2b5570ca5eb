"""The admin of expenses, categories, totals and users."""

from __future__ import annotations

from typing import Any

from django import forms
from django.contrib import admin, messages
from django.contrib.auth import get_user_model
from django.contrib.auth.admin import GroupAdmin as BaseGroupAdmin
from django.contrib.auth.admin import UserAdmin as BaseUserAdmin
from django.contrib.auth.models import Group
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.urls import reverse
from django.utils.html import format_html
from django.utils.http import urlencode
from unfold.admin import ModelAdmin
from unfold.contrib.filters.admin import AutocompleteSelectFilter, ChoicesDropdownFilter
from unfold.forms import AdminPasswordChangeForm, UserChangeForm, UserCreationForm
from unfold.widgets import UnfoldAdminDecimalFieldWidget

from aggregates import readiness, registry
from aggregates.fields import FixedDecimalField
from expenses import admin_export, admin_import, admin_months, admin_runs, currencies  # noqa: F401 - months are registered
from expenses.admin_actions import ManyAtOnce
from expenses.admin_base import EVERYBODY, LongListAdmin, ReadOnly, only_own
from expenses.admin_export import Exports
from expenses.admin_filters import (
    CurrencyFilter,
    DaysFilter,
    MonthFilter,
    OtherCategoriesFilter,
    RollupFilter,
    StatusFilter,
    UncategorisedFilter,
)
from expenses.admin_import import Imports
from expenses.admin_refusals import WritesWholly
from expenses.admin_totals_row import totals_row
from expenses.admin_trail import history_of
from expenses.models import Category, Expense, ExpenseTotals

User = get_user_model()
admin.site.unregister(User)
admin.site.unregister(Group)


@admin.register(User)
class UserAdmin(BaseUserAdmin, ModelAdmin):  # type: ignore[type-arg, misc]
    """Users, with the forms of the admin's theme."""

    form = UserChangeForm
    add_form = UserCreationForm
    change_password_form = AdminPasswordChangeForm

    def has_view_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Let who sees everybody's expenses look their owners up as well, and no more."""
        match = request.resolver_match
        looking_up = match is not None and match.url_name == "autocomplete"
        allowed: bool = super().has_view_permission(request, obj)
        return allowed or (looking_up and request.user.has_perm(EVERYBODY))


@admin.register(Group)
class GroupAdmin(BaseGroupAdmin, ModelAdmin):  # type: ignore[misc]
    """Groups of users."""


@admin.register(Category)
class CategoryAdmin(WritesWholly, ModelAdmin):  # type: ignore[misc]
    """Categories; the expenses of a deleted one become uncategorised."""

    search_fields = ("name",)
    show_full_result_count = False


class ExpenseForm(forms.ModelForm):  # type: ignore[type-arg]
    """Shows the amount with the digits of its currency."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        if self.instance.amount is not None and self.instance.currency and "amount" in self.fields:
            self.initial["amount"] = currencies.plain(self.instance.amount, self.instance.currency)


@admin.register(Expense)
class ExpenseAdmin(WritesWholly, ManyAtOnce, Exports, Imports, LongListAdmin):
    """Expenses. Whoever may not see everybody's works on the own ones only."""

    form = ExpenseForm
    list_display = ("spent_on", "owner", "category", "money", "currency", "status", "description")
    list_editable = ("status",)
    list_filter = (
        ("owner", AutocompleteSelectFilter),
        ("category", AutocompleteSelectFilter),
        UncategorisedFilter,
        OtherCategoriesFilter,
        CurrencyFilter,
        ("status", ChoicesDropdownFilter),
        MonthFilter,
        ("spent_on", DaysFilter),
    )
    list_before_template = "expenses/admin/totals_row.html"
    search_fields = ("description", "owner__username", "category__name")
    search_help_text = "Description, owner or category"
    autocomplete_fields = ("owner", "category")
    readonly_fields = ("id", "created_at", "updated_at")
    fields = ("owner", "category", "amount", "currency", "spent_on", "status", "description", *readonly_fields)
    formfield_overrides = {FixedDecimalField: {"widget": UnfoldAdminDecimalFieldWidget}}

    @admin.display(description="amount", ordering="amount")
    def money(self, expense: Expense) -> str:
        """Return the amount with the currency's digits."""
        return currencies.plain(expense.amount, expense.currency)

    def get_queryset(self, request: HttpRequest) -> QuerySet[Expense]:
        """Return what the user may see."""
        return only_own(super().get_queryset(request), request)

    def get_list_filter(self, request: HttpRequest) -> list[Any]:
        """Leave out the filter by owner where the user is the only one."""
        found = list(super().get_list_filter(request))
        return found if request.user.has_perm(EVERYBODY) else found[1:]

    def changelist_view(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> HttpResponse:
        """List them, with what the whole list comes to and where to get it as a file."""
        response = super().changelist_view(request, extra_context)
        context: dict[str, Any] = getattr(response, "context_data", None) or {}
        if (changelist := context.get("cl")) and not changelist.is_popup:
            context["totals_row"] = totals_row(changelist, request)
            context["export_url"] = admin_export.address(changelist)
            context["import_url"] = reverse(admin_import.ADDRESS) if admin_import.may_import(request) else ""
        return response

    def get_exclude(self, request: HttpRequest, obj: Expense | None = None) -> list[str]:
        """Leave the owner out where it can only be the user."""
        return [] if request.user.has_perm(EVERYBODY) else ["owner"]

    def get_fields(self, request: HttpRequest, obj: Expense | None = None) -> list[str]:
        """Return the fields without those left out."""
        left_out = self.get_exclude(request, obj)
        return [field for field in self.fields if field not in left_out]

    def history_view(self, request: HttpRequest, object_id: str, extra_context: Any = None) -> HttpResponse:
        """Show the expense's audit trail, which has what the admin's own history lacks."""
        return redirect(history_of(object_id))

    def formfield_for_choice_field(self, db_field: Any, request: HttpRequest, **kwargs: Any) -> Any:
        """Return a field that has a name in the list as well, where no label stands beside it."""
        field = super().formfield_for_choice_field(db_field, request, **kwargs)
        field.widget.attrs["aria-label"] = db_field.verbose_name.capitalize()
        return field

    def save_model(self, request: HttpRequest, obj: Expense, form: Any, change: bool) -> None:  # noqa: FBT001 - Django's
        """Save; a new expense of a user who sees only the own ones is the user's."""
        if request.user.pk is not None and not change and not request.user.has_perm(EVERYBODY):
            obj.owner_id = request.user.pk
        super().save_model(request, obj, form, change)


@admin.register(ExpenseTotals)
class ExpenseTotalsAdmin(ReadOnly, LongListAdmin):
    """Totals, one rollup at a time, each with a link to the expenses behind it."""

    list_display = ("owner_name", "category_name", "currency", "status", "month", "day", "money", "number", "behind")
    list_filter = (
        RollupFilter,
        ("owner", AutocompleteSelectFilter),
        ("category", AutocompleteSelectFilter),
        CurrencyFilter,
        StatusFilter,
        MonthFilter,
    )

    def get_queryset(self, request: HttpRequest) -> QuerySet[ExpenseTotals]:
        """Return what the user may see; rollups without owner are for those who may see everybody's."""
        return only_own(super().get_queryset(request), request)

    def changelist_view(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> HttpResponse:
        """List them; say so where a rollup was not found clean yet."""
        definition = registry.definition(ExpenseTotals)
        if unready := sorted(set(definition.fingerprints) - set(readiness.ready(definition))):
            text = f"Not found clean yet: {', '.join(unready)}. {admin_runs.ADVICE} Until then sums may be missing."
            self.message_user(request, text, messages.WARNING)
        response: HttpResponse = super().changelist_view(request, extra_context)
        return response

    @admin.display(description="owner", ordering="owner__username")
    def owner_name(self, total: ExpenseTotals) -> str:
        """Return the owner, or that the rollup is of all owners."""
        if total.owner_id is None:
            return "everybody"
        return str(total.owner) if total.owner else f"{total.owner_id} (deleted)"

    @admin.display(description="category", ordering="category__name")
    def category_name(self, total: ExpenseTotals) -> str:
        """Return the category, or that there is none."""
        if total.category_id is None:
            return "uncategorised"
        return str(total.category) if total.category else f"{total.category_id} (deleted)"

    @admin.display(description="amount", ordering="whole_amount")
    def money(self, total: ExpenseTotals) -> str:
        """Return the bucket's sum with the currency's digits, a dash for an empty bucket."""
        count, amount = _whole(total)
        return currencies.plain(amount, total.currency or "") if count or amount else "–"

    @admin.display(description="expenses", ordering="whole_count")
    def number(self, total: ExpenseTotals) -> int:
        """Return how many expenses the bucket has."""
        return int(_whole(total)[0])

    @admin.display(description="behind it")
    def behind(self, total: ExpenseTotals) -> str:
        """Return a link to the very expenses behind the bucket."""
        if not _whole(total)[0]:
            return "empty"
        url = f"{reverse('admin:expenses_expense_changelist')}?{urlencode(_filters(total))}"
        return format_html('<a class="underline" href="{}">show</a>', url)


def _whole(total: ExpenseTotals) -> tuple[Any, Any]:
    """Return count and amount of the bucket: of all its slots in the list, of the row elsewhere."""
    return getattr(total, "whole_count", total.count), getattr(total, "whole_amount", total.amount)


def _filters(total: ExpenseTotals) -> dict[str, Any]:
    """Return the parameters of the expense list that select what the bucket sums."""
    parameters: dict[str, Any] = {"currency": total.currency, "status__exact": total.status}
    if total.owner_id is not None:
        parameters["owner__id__exact"] = total.owner_id
    if total.category_id is None:
        parameters["uncategorised"] = "yes"
    else:
        parameters["category__id__exact"] = total.category_id
    if total.day:
        parameters["spent_on__exact"] = total.day.isoformat()
    elif total.month:
        parameters["month"] = f"{total.month:%Y-%m}"
    return parameters
