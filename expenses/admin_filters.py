"""Filters of the admin's lists. What there is to choose from is read from totals, never from expenses."""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Iterator
from typing import Any

from django import forms
from django.contrib import admin
from django.contrib.admin.options import IncorrectLookupParameters
from django.contrib.admin.views.main import ChangeList
from django.db.models import F, Q, QuerySet, Sum, Window
from django.db.models.functions import RowNumber
from django.http import HttpRequest
from unfold.contrib.filters.admin import DropdownFilter, RangeDateFilter
from unfold.contrib.filters.forms import RangeDateForm
from unfold.widgets import INPUT_CLASSES

from aggregates import registry
from expenses import currencies, others
from expenses.dashboard.filters import read_categories
from expenses.models import Category, ExpenseTotals, Status

MONTH = re.compile(r"[0-9]{4}-(0[1-9]|1[0-2])")
MONTHS_OFFERED = 240
# Small, and readable where the rollup of all owners is not to be seen.
OVERVIEW, BY_OWNER = "overview", "month"


def _totals(request: HttpRequest) -> QuerySet[Any]:
    """Return the smallest rows of totals that show what the user may know of."""
    if request.user.has_perm("expenses.view_all_expenses"):
        return ExpenseTotals.objects.filter(rollup=OVERVIEW, count__gt=0)
    return ExpenseTotals.objects.filter(rollup=BY_OWNER, owner=request.user.pk, count__gt=0)


class _FilterByTotals(DropdownFilter):  # type: ignore[misc]
    """Offers what totals know of."""

    def has_output(self) -> bool:
        """Stay, so that a link to a value works before anything but drafts has it."""
        return True


class MonthFilter(_FilterByTotals):
    """One month, of those that have expenses other than drafts; ``month=2026-01``."""

    title = "month"
    parameter_name = "month"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        """Return the months that there are, the latest first."""
        months = _totals(request).order_by("-month").values_list("month", flat=True).distinct()[:MONTHS_OFFERED]
        return [(f"{month:%Y-%m}", f"{month:%B %Y}") for month in months]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        """Return the rows of the month."""
        value = self.value()
        if not value:
            return queryset
        if not MONTH.fullmatch(value) or value.startswith("0000"):
            raise IncorrectLookupParameters(f"{value!r} is not a month such as 2026-01.")
        first = dt.date.fromisoformat(f"{value}-01")
        last = (first + dt.timedelta(days=31)).replace(day=1) - dt.timedelta(days=1)
        if queryset.model is ExpenseTotals:
            return queryset.filter(Q(month=first) | Q(day__range=(first, last)))
        return queryset.filter(spent_on__range=(first, last))


class CurrencyFilter(_FilterByTotals):
    """One currency, of those in use; ``currency=EUR``."""

    title = "currency"
    parameter_name = "currency"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        """Return the currencies that there are."""
        codes = _totals(request).order_by("currency").values_list("currency", flat=True).distinct()
        return [(code, code) for code in codes]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        """Return the rows in the currency."""
        value = self.value()
        if not value:
            return queryset
        if value not in currencies.codes():
            raise IncorrectLookupParameters(f"{value!r} is not an ISO 4217 currency code.")
        return queryset.filter(currency=value)


class StatusFilter(admin.SimpleListFilter):
    """One status, of those that count; ``status=approved``."""

    title = "status"
    parameter_name = "status"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        """Return every status but draft."""
        return [(value, str(label)) for value, label in Status.choices if value != Status.DRAFT]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        """Return the rows of the status."""
        value = self.value()
        return queryset.filter(status=value) if value else queryset


class DaysForm(RangeDateForm):  # type: ignore[misc]
    """First and last day, in the browser's own date fields."""

    class Media:
        js: tuple[str, ...] = ()

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        for name, label in ((f"{self.name}_from", "From day"), (f"{self.name}_to", "To day, included")):
            attributes = {"type": "date", "class": " ".join(INPUT_CLASSES), "aria-label": label}
            self.fields[name].widget = forms.DateInput(attributes, format="%Y-%m-%d")


class DaysFilter(RangeDateFilter):  # type: ignore[misc]
    """From one day to another, both included; ``spent_on_from=2026-01-01&spent_on_to=2026-01-15``."""

    form_class = DaysForm

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        """Return the rows of these days."""
        for parameter, lookup in (("from", "gte"), ("to", "lte")):
            value = self.used_parameters.get(f"{self.field_path}_{parameter}")
            if not value:
                continue
            try:
                day = dt.date.fromisoformat(value)
            except ValueError as error:
                raise IncorrectLookupParameters(f"{value!r} is not a day such as 2026-01-31.") from error
            queryset = queryset.filter(**{f"{self.field_path}__{lookup}": day})
        return queryset


class UncategorisedFilter(DropdownFilter):  # type: ignore[misc]
    """Expenses that wait for a category; ``uncategorised=yes``."""

    title = "uncategorised"
    parameter_name = "uncategorised"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        """Return both answers."""
        return [("yes", "Without category"), ("no", "With category")]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        """Return the rows with or without category."""
        value = self.value()
        return queryset.filter(category__isnull=value == "yes") if value else queryset


class OtherCategoriesFilter(DropdownFilter):  # type: ignore[misc]
    """All categories but some, as the dashboard's "All others" are; ``other_than=3,7,none``. There once it is used."""

    title = "other categories"
    parameter_name = "other_than"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        """Return what is left out now, which only a link can choose."""
        value = self.value()
        if not value:
            return []
        left_out = _left_out(value)
        names = Category.objects.filter(pk__in=[key for key in left_out if key is not None]).order_by("name")
        uncategorised = ["uncategorised"] if None in left_out else []
        return [(value, f"Other than {', '.join([*names.values_list('name', flat=True), *uncategorised])}")]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        """Return the rows of all other categories."""
        value = self.value()
        return queryset.filter(others.than(_left_out(value))) if value else queryset


def _left_out(value: str) -> frozenset[int | None]:
    try:
        return read_categories(value)
    except ValueError as error:
        raise IncorrectLookupParameters(str(error)) from error


class RollupFilter(admin.SimpleListFilter):
    """One rollup; never all, for the same expenses are in each. Its buckets are shown whole.

    Rows get ``whole_amount`` and ``whole_count``: the bucket's, however many slots it is spread over.
    """

    title = "rollup"
    parameter_name = "rollup__exact"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        """Return the declared rollups."""
        rollups = registry.definition(ExpenseTotals).rollups
        return [(rollup.name, f"{rollup.name}: by {', '.join(rollup.dimensions)}") for rollup in rollups]

    def value(self) -> str:
        """Return the rollup asked for, else the one by month."""
        return super().value() or BY_OWNER

    def choices(self, changelist: ChangeList) -> Iterator[Any]:
        """Return the rollups, without the choice of all of them."""
        choices = super().choices(changelist)
        next(choices)
        return choices

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        """Return a row for each bucket of the rollup."""
        try:
            rollup = registry.definition(ExpenseTotals).rollup(self.value())
        except KeyError as error:
            raise IncorrectLookupParameters(f"There is no rollup {self.value()!r}.") from error
        rows: QuerySet[Any] = queryset.filter(rollup=rollup.name)
        if rollup.slots == 1:
            whole: dict[str, Any] = {"whole_amount": F("amount"), "whole_count": F("count")}
        else:
            bucket = [F(dimension) for dimension in rollup.dimensions]
            whole = {
                "whole_amount": Window(Sum("amount"), partition_by=bucket),
                "whole_count": Window(Sum("count"), partition_by=bucket),
            }
            first_slot = Window(RowNumber(), partition_by=bucket, order_by="slot")
            rows = rows.annotate(nth_slot=first_slot).filter(nth_slot=1)
        found: QuerySet[Any] = rows.annotate(**whole)
        return found
