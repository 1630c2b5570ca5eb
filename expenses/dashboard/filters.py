"""What a page is asked for: filters in its address, read strictly. Mistakes come back as messages beside the fields."""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Iterable, Sequence
from typing import Any

from babel.numbers import is_currency
from django import forms
from django.contrib.auth import get_user_model
from django.core.exceptions import ValidationError

from expenses import currencies
from expenses.access import sees_all
from expenses.dashboard.links import listed
from expenses.dashboard.periods import END
from expenses.models import FIRST_DAY, LAST_DAY, Category, Status
from expenses.reports import COUNTED, Selection

MAX_VALUES = 100
MAX_ID = 2**63 - 1
NUMBER = re.compile(r"[0-9]{1,19}")
OWNERS_OFFERED = 200
COMMON_CURRENCIES = ("EUR", "USD", "GBP", "CHF", "JPY")
COUNTED_STATUSES = listed(COUNTED)


class DayInput(forms.DateInput):
    """A date, chosen or typed."""

    input_type = "date"

    def __init__(self) -> None:
        super().__init__(format="%Y-%m-%d", attrs={"min": FIRST_DAY.isoformat(), "max": END.isoformat()})


def _day(label: str) -> forms.DateField:
    """Return a field of a date as 2026-01-31 and nothing else."""
    return forms.DateField(
        label=label,
        required=False,
        input_formats=["%Y-%m-%d"],
        widget=DayInput(),
        error_messages={"invalid": "Take a date that exists, as in 2026-01-31."},
    )


class Listed(forms.CharField):
    """Values separated by commas, each read by a function that raises ValueError with what is wrong."""

    def __init__(self, read: Callable[[str], Any], **more: Any) -> None:
        super().__init__(required=False, strip=False, **more)
        self.read = read

    def to_python(self, value: Any) -> Any:
        """Return the set of values, or None where there is none."""
        if not value:
            return None
        parts = str(value).split(",")
        if len(parts) > MAX_VALUES:
            raise ValidationError(f"Take at most {MAX_VALUES} values.")
        try:
            return frozenset(self.read(part) for part in parts)
        except ValueError as error:
            raise ValidationError(str(error)) from error


def read_currency(text: str) -> str:
    """Return an ISO 4217 code; a withdrawn one as well, for expenses in it stay."""
    if not re.fullmatch("[A-Z]{3}", text) or text in currencies.NOT_MONEY or not is_currency(text):
        raise ValueError("Take an ISO 4217 code, such as EUR.")
    return text


def read_category(text: str) -> int | None:
    """Return the id of a category; None, written ``none``, for uncategorised."""
    if text == "none":
        return None
    if not NUMBER.fullmatch(text) or int(text) > MAX_ID:
        raise ValueError("Take the id of a category, or none for uncategorised.")
    return int(text)


def read_categories(text: str) -> frozenset[int | None]:
    """Return the categories of a text such as ``3,7,none``; raise ValueError where one is none."""
    return frozenset(map(read_category, text.split(",")))


def status_of(*known: str) -> Callable[[str], str]:
    """Return a reader of one of these statuses."""

    def read_status(text: str) -> str:
        if text not in known:
            raise ValueError(f"Take one of {', '.join(known)}.")
        return text

    return read_status


class Filters(forms.Form):
    """The filters of the dashboard, for one user. Whoever sees only the own expenses has none by owner."""

    owner = forms.CharField(required=False, max_length=150, label="Owner", widget=forms.TextInput)
    currency = Listed(read_currency, label="Currency")
    status = Listed(status_of(*(value for value in Status.values if value in COUNTED)), label="Status")
    # "from" is a word of Python's.
    date_from = _day("From")
    date_to = _day("Before")

    NAMES = {"date_from": "from", "date_to": "to"}

    def __init__(self, data: Any, user: Any) -> None:
        super().__init__(data)
        self.user = user
        self.owner_id: int | None = None
        for name, field in self.fields.items():
            field.widget.attrs["id"] = f"filter-{self.NAMES.get(name, name)}"
        self.fields["owner"].widget.attrs |= {"list": "owners", "autocomplete": "off", "placeholder": "Everybody"}
        if not sees_all(user):
            del self.fields["owner"]

    def add_prefix(self, field_name: str) -> str:
        """Return a field's name in the address."""
        return self.NAMES.get(field_name, field_name)

    def clean_owner(self) -> str:
        """Find the user whose name was given."""
        name: str = self.cleaned_data["owner"]
        if name:
            found = get_user_model()._default_manager.filter(username=name).values_list("pk", flat=True).first()
            if found is None:
                raise ValidationError(f"There is no user “{name}”.")
            self.owner_id = found
        return name

    def clean(self) -> dict[str, Any]:
        """Refuse days on which there are no expenses, and a range that ends before it begins."""
        cleaned = super().clean() or {}
        low, high = cleaned.get("date_from"), cleaned.get("date_to")
        if low and not FIRST_DAY <= low <= LAST_DAY:
            self.add_error("date_from", f"Take a date from {FIRST_DAY} to {LAST_DAY}.")
        elif high and not FIRST_DAY < high <= END:
            self.add_error("date_to", f"Take a date after {FIRST_DAY}, up to {END}.")
        elif low and high and low >= high:
            self.add_error("date_to", "Take a day after “From”; the range ends before this day.")
        return cleaned

    @property
    def selection(self) -> Selection:
        """Return which expenses are meant, of those that the user may see; the form has to be valid."""
        value = self.cleaned_data.get
        return Selection(
            owners=self.owners,
            categories=value("category"),
            currencies=value("currency"),
            statuses=value("status"),
            date_from=value("date_from"),
            date_to=value("date_to"),
        )

    @property
    def owners(self) -> frozenset[int] | None:
        """Return whose expenses are meant: None for everybody's."""
        if not sees_all(self.user):
            return frozenset({self.user.pk})
        return None if self.owner_id is None else frozenset({self.owner_id})

    @property
    def owner_name(self) -> str:
        """Return the name of the one owner chosen, if there is one."""
        return str(self.cleaned_data.get("owner", ""))

    @property
    def is_narrowed(self) -> bool:
        """Return whether any filter is set."""
        return any(self.data.get(self.add_prefix(name)) for name in self.fields)

    def offer(self, codes: Iterable[str]) -> None:
        """Let status be chosen, and currency from these and the one that is chosen already."""
        statuses = [str(value) for value in Status.values if value in self._statuses()]
        self._choose("status", [("", "All"), *((value, value.capitalize()) for value in statuses)])
        self._choose("currency", [("", "All"), *((code, code) for code in sorted(codes))])

    def _statuses(self) -> Collection[str]:
        return COUNTED

    def _choose(self, name: str, choices: Sequence[tuple[str, str]]) -> None:
        """Show a field as a choice; what was given otherwise stays one."""
        given = self.data.get(name, "")
        more = [] if given in dict(choices) else [(given, given.replace(",", ", "))]
        attributes = self.fields[name].widget.attrs
        self.fields[name].widget = forms.Select(attributes, choices=[*choices, *more])

    def owners_offered(self) -> list[str]:
        """Return the first names of users, for a start; others can be typed."""
        if "owner" not in self.fields:
            return []
        users = get_user_model()._default_manager.order_by("username")
        return list(users.values_list("username", flat=True)[:OWNERS_OFFERED])


class ListFilters(Filters):
    """The filters of the list of expenses, which has drafts too."""

    status = Listed(status_of(*Status.values), label="Status")
    category = Listed(read_category, label="Category")
    other_than = Listed(read_category, label="Other than")

    def _statuses(self) -> Collection[str]:
        return Status.values

    def offer(self, codes: Iterable[str]) -> None:
        """Offer all but drafts, which is what totals are of, as one choice, and the categories."""
        super().offer(codes)
        widget = self.fields["status"].widget
        widget.choices = [("", "All"), (COUNTED_STATUSES, "All but drafts"), *list(widget.choices)[1:]]
        widget.choices = list(dict(widget.choices).items())
        names = Category.objects.values_list("pk", "name")
        self._choose("category", [("", "All"), ("none", "Uncategorised"), *((str(key), name) for key, name in names)])
