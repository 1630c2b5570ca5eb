"""What the totals answer. No sale is read."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass
from decimal import Decimal

from django.db.models import Q

from aggregates import reads
from shop.models import SaleTotals, Shop


@dataclass(frozen=True)
class Month:
    """What was sold in a month."""

    first_day: dt.date
    revenue: Decimal
    sales: int


def by_month(shop: Shop | None = None) -> list[Month]:
    """Return the months in which something was sold, the newest first: of one shop, or of all together."""
    where = Q(shop=shop) if shop else None
    return [Month(*row) for row in sorted(reads.sums(SaleTotals, "month", where=where), reverse=True)]
