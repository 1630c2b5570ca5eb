"""Totals as the API would have them without the engine: computed from the expenses."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from django.db import DEFAULT_DB_ALIAS
from django.db.models import Count, F, Sum

from expenses import reports
from expenses.models import Expense, Status


def answer(question: reports.Question, ordering: Sequence[str] = (), *, using: str = DEFAULT_DB_ALIAS) -> Any:
    """Return what ``expenses.reports.answer`` returns, from the expenses; for all but a grouping by days."""
    keys = {f"key_{column}": _key(column) for column in question.columns if column not in reports.MEASURES}
    queryset = (
        Expense.objects.using(using)
        .exclude(status=Status.DRAFT)
        .filter(question.condition("spent_on"))
        .order_by()
        .values(**keys)
        .annotate(total_sum=Sum("amount"), total_count=Count("pk"))
        .order_by(*reports._ordering(question, ordering))
    )
    return reports.Answer(question, queryset)


def _key(column: str) -> Any:
    if column in reports.PERIODS:
        return reports._period(column, "spent_on")
    return F(f"{column}_id" if column in ("owner", "category") else reports._NAMES.get(column, column))
