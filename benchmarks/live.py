"""The service, but that totals are computed from the expenses: ``gunicorn benchmarks.live:application``."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from django.db import DEFAULT_DB_ALIAS
from django.db.models import Count, Sum

from config.wsgi import application
from expenses import reports
from expenses.models import Expense, Status

__all__ = ["application"]


def answer(question: reports.Question, ordering: Sequence[str] = (), *, using: str = DEFAULT_DB_ALIAS) -> Any:
    """Return what ``expenses.reports.answer`` returns, from the expenses; not for a grouping by days."""
    keys = {f"key_{column}": reports._key(column, "spent_on") for column in question.columns[: -len(reports.MEASURES)]}
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


reports.answer = answer
