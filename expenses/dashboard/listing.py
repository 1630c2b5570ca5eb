"""The list of expenses behind a number, page by page, with what they come to."""

from __future__ import annotations

from typing import Any

from django.db import router
from django.db.models import QuerySet

from aggregates import reads
from aggregates.exceptions import TotalsNotReady
from expenses.access import only_reads, visible
from expenses.dashboard import figures
from expenses.dashboard.filters import ListFilters
from expenses.dashboard.page import Page, freshness
from expenses.models import Expense, ExpenseTotals
from expenses.others import than

ROWS = 50
MOST_PAGES = 10_000


def expenses(query: Any, user: Any) -> Page:
    """Return a page of the expenses that the filters select; the totals above them are read from totals."""
    using = router.db_for_read(ExpenseTotals)
    filters = ListFilters(query, user)
    valid = filters.is_valid()
    context: dict[str, Any] = {"filters": filters, "may_add": not only_reads(user), "staff": user.is_staff}
    context["owners"] = filters.owners_offered()
    number = _number(query.get("page", ""))
    if valid:
        context |= _totals(filters, user, using)
    filters.offer(context.get("codes", ()))
    if not valid or number is None:
        return Page(context | {"wrong_page": number is None}, 400)
    rows = list(_rows(filters, user)[(number - 1) * ROWS : number * ROWS + 1])
    around = query.copy()
    around.pop("page", None)
    pages = {
        "number": number,
        "previous": number - 1,
        "next": number + 1 if len(rows) > ROWS and number < MOST_PAGES else 0,
        "query": around.urlencode(),
    }
    return Page(context | {"rows": rows[:ROWS], "pages": pages}, 404 if number > 1 and not rows else 200)


def _number(text: str) -> int | None:
    """Return the number of a page, 1 where none is given, None for what is none."""
    if not text:
        return 1
    if not (text.isascii() and text.isdecimal() and len(text) < len(str(MOST_PAGES)) + 1):
        return None
    return int(text) if 1 <= int(text) <= MOST_PAGES else None


def _rows(filters: ListFilters, user: Any) -> QuerySet[Expense]:
    others = than(filters.cleaned_data["other_than"] or frozenset())
    found = visible(user).filter(filters.selection.condition("spent_on")).filter(others)
    return found.select_related("owner", "category")


def _totals(filters: ListFilters, user: Any, using: str) -> dict[str, Any]:
    """Return what the selected expenses but drafts come to by currency, and when that was right."""
    try:
        ready = reads.ready(ExpenseTotals, using=using)
        fresh = freshness(user, using)
        left_out = filters.cleaned_data["other_than"] or frozenset()
        return {
            "fresh": fresh,
            "codes": figures.currencies(filters.owners, ready=ready, using=using),
            "totals": figures.totals(filters.selection, left_out, ready=ready, using=using),
        }
    except TotalsNotReady as error:
        return {"not_ready": str(error)}
