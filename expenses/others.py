"""All categories but some: what is left when the largest are named."""

from __future__ import annotations

from collections.abc import Collection

from django.db.models import Q


def than(left_out: Collection[int | None]) -> Q:
    """Return the condition on expenses, or on totals by category, that leaves some categories out."""
    condition = Q()
    if named := [key for key in left_out if key is not None]:
        condition &= Q(category__isnull=True) | ~Q(category__in=named)
    return condition & Q(category__isnull=False) if None in left_out else condition
