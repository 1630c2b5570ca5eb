"""One page: what was sold, by month."""

from __future__ import annotations

from django.http import HttpRequest, HttpResponse

from aggregates.exceptions import TotalsNotReady
from shop.reports import by_month


def overview(request: HttpRequest) -> HttpResponse:
    """Answer with a line for each month, or with 503 while the totals are not known to be right."""
    try:
        lines = [f"{month.first_day:%Y-%m}  {month.revenue:>12}  {month.sales:>6}" for month in by_month()]
    except TotalsNotReady:
        return HttpResponse("The totals are being counted. Come again.\n", status=503, content_type="text/plain")
    return HttpResponse("\n".join([*lines, ""]), content_type="text/plain")
