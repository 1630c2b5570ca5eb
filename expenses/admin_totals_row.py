"""What a filtered list of expenses comes to, by currency: from totals, whatever the list's length.

The parameters that totals know become a selection. A list that is narrowed by anything else, a search
or an amount, gets no sums but the reason: they would take a scan of the expenses.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from django.contrib.admin.views.main import ChangeList
from django.db import OperationalError, router
from django.http import HttpRequest

from aggregates import reads
from aggregates.exceptions import TotalsNotReady
from expenses import currencies, months, reports
from expenses.admin_base import EVERYBODY
from expenses.admin_runs import ADVICE
from expenses.dashboard import figures
from expenses.dashboard.filters import read_categories
from expenses.models import ExpenseTotals, Status
from expenses.reports import Question

CURRENCIES_SHOWN = 200  # there are fewer
ONE_DAY = dt.timedelta(days=1)
NOT_READY = f"No totals: they were not found clean yet. {ADVICE}"
TOO_LARGE = "No totals: together they are more than SQLite adds up. Filter the list, by month for instance."
Values = Sequence[str]


class NotAnswered(Exception):
    """Totals cannot tell what the list comes to. The message says what stands in the way."""


class NothingSelected(Exception):
    """No expense can be in the list."""


@dataclass
class Picked:
    """What the parameters select so far. None is no restriction."""

    owners: frozenset[int] | None = None
    categories: frozenset[int | None] | None = None
    without_category: bool | None = None
    other_than: frozenset[int | None] = frozenset()
    currencies: frozenset[str] | None = None
    statuses: frozenset[str] | None = None
    first: dt.date | None = None
    last: dt.date | None = None

    def within(self, first: dt.date | None, last: dt.date | None) -> None:
        """Narrow the days to these, both included."""
        self.first = max(filter(None, (self.first, first)), default=None)
        self.last = min(filter(None, (self.last, last)), default=None)

    def question(self) -> Question:
        """Return the question for the sums; raise NothingSelected, and NotAnswered."""
        if self.first and self.last and self.first > self.last:
            raise NothingSelected
        categories = self.categories
        if self.without_category is not None:
            if categories is None and not self.without_category:
                raise NotAnswered("“with category”")
            if categories is not None and self.without_category:
                raise NothingSelected
            categories = categories or frozenset({None})
        return Question(
            owners=self.owners,
            categories=categories,
            currencies=self.currencies,
            statuses=self.statuses,
            date_from=self.first,
            date_to=self.last and self.last + ONE_DAY,
        )


def _owners(picked: Picked, values: Values) -> None:
    picked.owners = frozenset(map(int, values))


def _categories(picked: Picked, values: Values) -> None:
    picked.categories = frozenset(map(int, values))


def _uncategorised(picked: Picked, values: Values) -> None:
    picked.without_category = values[-1] == "yes"


def _other_than(picked: Picked, values: Values) -> None:
    picked.other_than = read_categories(values[-1])


def _currency(picked: Picked, values: Values) -> None:
    picked.currencies = frozenset({values[-1]})


def _statuses(picked: Picked, values: Values) -> None:
    allowed = frozenset(values)
    picked.statuses = allowed if picked.statuses is None else picked.statuses & allowed


def _any_status_of(picked: Picked, values: Values) -> None:
    _statuses(picked, values[-1].split(","))


def _month(picked: Picked, values: Values) -> None:
    first = months.first_day(values[-1])
    picked.within(first, reports.following("month", first) - ONE_DAY)


def _day(picked: Picked, values: Values) -> None:
    [value] = values
    day = dt.date.fromisoformat(value)
    picked.within(day, day)


def _from(picked: Picked, values: Values) -> None:
    picked.within(dt.date.fromisoformat(values[0]), None)


def _to(picked: Picked, values: Values) -> None:
    picked.within(None, dt.date.fromisoformat(values[0]))


READ: Mapping[str, Callable[[Picked, Values], None]] = {
    "owner__id__exact": _owners,
    "category__id__exact": _categories,
    "uncategorised": _uncategorised,
    "other_than": _other_than,
    "currency": _currency,
    "status__exact": _statuses,
    "status__in": _any_status_of,
    "month": _month,
    "spent_on__exact": _day,
    "spent_on_from": _from,
    "spent_on_to": _to,
}


@dataclass(frozen=True)
class TotalsRow:
    """The sums, one a currency; what they leave out; or why there are none."""

    sums: list[dict[str, Any]] = field(default_factory=list)
    note: str = ""
    problem: str = ""


def totals_row(changelist: ChangeList, request: HttpRequest) -> TotalsRow:
    """Return what the whole list comes to, all its pages."""
    try:
        picked = _picked(changelist, request)
        question = picked.question()
    except NotAnswered as error:
        return TotalsRow(problem=f"No totals: they cannot be narrowed by {error}. Clear that to see them.")
    except NothingSelected:
        return TotalsRow(note="No expense can be in this list.")
    note = _of_drafts(question)
    if question.statuses is not None and not question.statuses & reports.COUNTED:
        return TotalsRow(note=note)
    try:
        sums = _sums(question, picked.other_than)
    except TotalsNotReady:
        return TotalsRow(problem=NOT_READY)
    except OperationalError as error:
        if "integer overflow" not in str(error):  # SQLite's words; others sum in a wider type
            raise
        return TotalsRow(problem=TOO_LARGE)
    return TotalsRow(sums=[_shown(row) for row in sums], note=note)


def _sums(question: Question, other_than: frozenset[int | None]) -> list[dict[str, Any]]:
    """Return what the expenses asked for come to by currency; raise TotalsNotReady."""
    if not other_than:
        return list(reports.answer(question).page(0, CURRENCIES_SHOWN)[0])
    using = router.db_for_read(ExpenseTotals)
    cells = figures.totals(question, other_than, ready=reads.ready(ExpenseTotals, using=using), using=using)
    return [{"currency": cell.currency, **reports.measured(cell.amount, cell.count, cell.currency)} for cell in cells]


def _picked(changelist: ChangeList, request: HttpRequest) -> Picked:
    if changelist.query:
        raise NotAnswered("a search")
    picked = Picked()
    for name, values in changelist.get_filters_params().items():
        if not any(values):
            continue  # as the filters take it, a field left empty
        try:
            READ[name](picked, values)
        except (KeyError, ValueError) as error:
            raise NotAnswered(f"{name}={','.join(values)}") from error
    if not request.user.has_perm(EVERYBODY):
        own = frozenset(filter(None, [request.user.pk]))
        picked.owners = own if picked.owners is None else picked.owners & own
    return picked


def _of_drafts(question: Question) -> str:
    if question.statuses is None:
        return "Drafts in this list are in no total."
    if Status.DRAFT not in question.statuses:
        return ""
    return "Drafts are in no total." if question.statuses == {Status.DRAFT} else "Drafts in this list are in no total."


def _shown(row: Mapping[str, Any]) -> dict[str, Any]:
    currency = row["currency"]
    return {
        "currency": currency,
        "count": row["count"],
        "sum": currencies.plain(row["sum"], currency),
        "average": currencies.plain(row["average"], currency),
    }
