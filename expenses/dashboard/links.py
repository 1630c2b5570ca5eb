"""Links from a number to the very expenses behind it."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass
from urllib.parse import urlencode

from django.urls import reverse

from expenses import months
from expenses.dashboard.figures import Cell
from expenses.reports import Selection, following

ONE_DAY = dt.timedelta(days=1)


@dataclass(frozen=True)
class Links:
    """Where the expenses behind a number are listed: on the service's own page, or in the admin."""

    in_admin: bool = False
    owner: str = ""
    """The name of the one owner whose expenses are meant; empty for all that the user may see."""

    def to(self, cell: Cell) -> str:
        """Return the address of the list of a cell's expenses."""
        if self.in_admin:
            parameters = self._of_admin(cell.behind)
            if cell.other_than:
                parameters["other_than"] = listed(cell.other_than)
            return f"{reverse('admin:expenses_expense_changelist')}?{urlencode(parameters)}"
        return f"{reverse('dashboard:expenses')}?{urlencode(self._own(cell))}"

    def _own(self, cell: Cell) -> dict[str, str]:
        chosen = cell.behind
        parameters = {"owner": self.owner} if self.owner else {}
        for column in ("category", "currency", "status"):
            if (allowed := chosen.restrictions().get(column)) is not None:
                parameters[column] = listed(allowed)
        if cell.other_than:
            parameters["other_than"] = listed(cell.other_than)
        if chosen.date_from:
            parameters["from"] = chosen.date_from.isoformat()
        if chosen.date_to:
            parameters["to"] = chosen.date_to.isoformat()
        return parameters

    def _of_admin(self, chosen: Selection) -> dict[str, str]:
        """Return the parameters that the filters of the admin's list understand."""
        parameters: dict[str, str] = {}
        if self.owner and chosen.owners:
            parameters["owner__id__exact"] = listed(chosen.owners)
        if chosen.categories == frozenset({None}):
            parameters["uncategorised"] = "yes"
        elif chosen.categories is not None:
            parameters["category__id__exact"] = listed(chosen.categories)
        if chosen.currencies is not None:
            parameters["currency"] = listed(chosen.currencies)
        if chosen.statuses is not None:
            parameters["status__exact" if len(chosen.statuses) == 1 else "status__in"] = listed(chosen.statuses)
        return parameters | _range(chosen)


def _range(chosen: Selection) -> dict[str, str]:
    low, high = chosen.date_from, chosen.date_to
    if low and low.day == 1 and high == following("month", low):
        return {"month": months.name(low)}
    parameters = {"spent_on_from": low.isoformat()} if low else {}
    return {**parameters, "spent_on_to": (high - ONE_DAY).isoformat()} if high else parameters


def listed(values: frozenset[object]) -> str:
    """Return values as a parameter has them: separated by commas, ``none`` for uncategorised."""
    return ",".join(sorted("none" if value is None else str(value) for value in values))
