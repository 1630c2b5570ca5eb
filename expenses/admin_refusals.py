"""What a page of the admin says whose write met a closed month, or a total that would leave its range."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

from django.contrib import messages
from django.core.exceptions import ValidationError
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from unfold.admin import ModelAdmin

from aggregates.exceptions import TotalOutOfRange
from expenses.months import MonthClosed

REFUSED = "refused_write"  # the request's attribute that holds why
# Where a row's form says it, and what else there is to say.
PLACES = {MonthClosed: ("spent_on", ""), TotalOutOfRange: ("amount", " Enter an amount that is closer to zero.")}


class WritesWholly(ModelAdmin):  # type: ignore[misc]
    """A ModelAdmin whose pages say so where a write touches a closed month, or a total would leave its range.

    Nothing is written then. A form comes back with what was typed and the reason.
    """

    def changelist_view(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        """Show the list, store what was typed into it, or carry out an action of it."""
        show = partial(super().changelist_view, request, *args, **kwargs)
        return _unless_refused(request, show, typed="_save" in request.POST)

    def changeform_view(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        """Show a row, or save it."""
        return _unless_refused(request, partial(super().changeform_view, request, *args, **kwargs), typed=True)

    def delete_view(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        """Ask whether to delete a row, or delete it."""
        return _unless_refused(request, partial(super().delete_view, request, *args, **kwargs), typed=False)

    def get_form(self, request: HttpRequest, *args: Any, **kwargs: Any) -> Any:
        """Return the form of a row; one with the reason, where its write was refused."""
        form: Any = super().get_form(request, *args, **kwargs)
        error = getattr(request, REFUSED, None)
        return _form(form, error) if error else form

    def get_changelist_formset(self, request: HttpRequest, **kwargs: Any) -> Any:
        """Return the forms of a list; with the reason, where their write was refused."""
        formset: Any = super().get_changelist_formset(request, **kwargs)
        error = getattr(request, REFUSED, None)
        return _formset(formset, error) if error else formset


def _unless_refused(request: HttpRequest, show: Callable[[], HttpResponse], *, typed: bool) -> HttpResponse:
    """Return the page; where its write is refused, the form that was typed into, or the way back to where it began."""
    try:
        return show()
    except (MonthClosed, TotalOutOfRange) as error:
        if not typed:
            messages.error(request, f"Nothing was written. {error}")
            return redirect(request.get_full_path())
        setattr(request, REFUSED, error)
        return show()  # with a form that is not valid, so nothing is tried again


def _form(form: Any, error: Exception) -> Any:
    """Return the class of a row's form that is not valid, for a reason that its field tells."""
    field, remedy = PLACES[type(error)]  # no other is caught

    class Refused(form):  # type: ignore[misc]
        def clean(self) -> Any:
            cleaned = super().clean()
            self.add_error(field if field in self.fields else None, f"Nothing was written. {error}{remedy}")
            return cleaned

    return Refused


def _formset(formset: Any, error: Exception) -> Any:
    """Return the class of a list's forms that are not valid, for a reason that stands above them."""

    class Refused(formset):  # type: ignore[misc]
        def clean(self) -> None:
            super().clean()
            raise ValidationError(f"Nothing was written. {error}")

    return Refused
