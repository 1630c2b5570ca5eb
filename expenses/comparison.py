"""A range and the period before it, side by side, from the totals alone."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import reduce
from operator import or_
from typing import Any

from django.db import DEFAULT_DB_ALIAS
from django.db.models import F, Sum

from aggregates import reads
from aggregates.fields import EXACT
from aggregates.reads import Part, Ready
from expenses.models import FIRST_DAY, ExpenseTotals
from expenses.reports import PERIODS, Answer, Question, keys, measured, measures, ordered, parts

COLUMNS = ("previous_sum", "previous_average", "previous_count", "change")
"""What the rows of a comparison can be sorted by besides the columns of their question."""


@dataclass(frozen=True)
class Comparison(Answer):
    """The rows that answer a question, each beside the same keys' row of the period before."""

    def row(self, values: Mapping[str, Any]) -> dict[str, Any]:
        """Return one row of the answer with ``previous``, its measures before, and ``change`` since then.

        Where one of the periods has no expenses of these keys, its sum and count are 0, its average None.
        """
        row = super().row(values)
        previous = measured(values["previous_sum"], values["previous_count"], row["currency"])
        return {**row, "previous": previous, "change": EXACT.subtract(row["sum"], previous["sum"])}


def compare(
    question: Question, ordering: Sequence[str] = (), *, using: str = DEFAULT_DB_ALIAS, ready: Ready | None = None
) -> Comparison:
    """Return the totals that answer a question beside those of the period before, in one statement.

    Rows that only one of the periods has are there too. ``ordering`` is that of ``reports.answer``,
    with COLUMNS, and so is ``ready``. Raises TotalsNotReady where no ready rollup can answer, ValueError
    as ``before`` does.
    """
    ready = ready or reads.ready(ExpenseTotals, using=using)
    now, then = parts(question, ready), parts(before(question), ready)
    queryset = (
        reads.rows(ExpenseTotals, [*now, *then], using=using)
        .filter(question.restriction())
        .values(**keys(question, now))
        .annotate(**_sums("total", now), **_sums("previous", then))
        .exclude(total_count=0, previous_count=0)
        .order_by(*ordered(question, ordering, _sorted_by()))
    )
    return Comparison(question, queryset)


def before(question: Question) -> Question:
    """Return the question about the period of equal length that ends where the question's range begins.

    Whole calendar months are compared with as many months, any other range with as many days. Raises
    ValueError where nothing can be compared: the range has an open end, begins so early that what is
    before it lies before the first day of expenses, or the rows are grouped by parts of it.
    """
    low, high = question.date_from, question.date_to
    if not (low and high):
        raise ValueError("Give from and to as well: what is compared is the range of equal length before from.")
    if grouped := [key for key in question.keys if key in PERIODS]:
        raise ValueError(
            f"Take {', '.join(grouped)} out of group_by: two periods have none of these in common, "
            "so no row would stand beside another."
        )
    first = _months_before(low, high) if low.day == high.day == 1 else low - (high - low)
    if first < FIRST_DAY:
        raise ValueError(f"The period before {low} would begin on {first}; expenses begin on {FIRST_DAY}.")
    return replace(question, date_from=first, date_to=low)


def _months_before(low: dt.date, high: dt.date) -> dt.date:
    """Return the first day of the months before a range of whole months, as many as it has."""
    year, month = divmod(2 * _month(low) - _month(high), 12)
    return dt.date(year, month + 1, 1)


def _month(day: dt.date) -> int:
    return day.year * 12 + day.month - 1


def _sums(prefix: str, chosen: Iterable[Part]) -> dict[str, Any]:
    """Return sum and count of the rows of some parts alone; those of different periods share no row."""
    among = reduce(or_, (part.condition for part in chosen))
    return {
        f"{prefix}_sum": Sum("amount", filter=among, default=0),
        f"{prefix}_count": Sum("count", filter=among, default=0),
    }


def _sorted_by() -> dict[str, Any]:
    previous = {f"previous_{name}": expression for name, expression in measures("previous").items()}
    return {**measures("total"), **previous, "change": F("total_sum") - F("previous_sum")}
