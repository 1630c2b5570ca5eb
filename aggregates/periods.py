"""Periods of days: which of them the values of a dimension begin, and where those around a day begin."""

from __future__ import annotations

import datetime as dt

from django.db import models
from django.db.models.functions import Cast
from django.db.models.functions.datetime import TruncBase

from aggregates.definitions import Definition

KINDS = ("day", "week", "month", "quarter", "year")
LONGER = {"day": 1, "week": 7, "month": 32, "quarter": 93, "year": 367}
"""Days that lead from the beginning of a period into the next one."""


def of(definition: Definition, dimension: str) -> str:
    """Return the period, one of KINDS, that each value of a dimension begins; empty where its values are no dates."""
    if type(definition.column(dimension)) is not models.DateField:
        return ""
    expression = definition.dimensions[dimension]
    if isinstance(expression, Cast):
        expression = expression.source_expressions[0]
    kind = str(getattr(expression, "kind", "day")) if isinstance(expression, TruncBase) else "day"
    return kind if kind in KINDS else "day"


def floor(day: dt.date, kind: str) -> dt.date:
    """Return the first day of the period in which a day lies."""
    if kind == "week":
        return day - dt.timedelta(days=day.weekday())
    if kind == "month":
        return day.replace(day=1)
    if kind == "quarter":
        return day.replace(month=day.month - (day.month - 1) % 3, day=1)
    return day.replace(month=1, day=1) if kind == "year" else day


def ceiling(day: dt.date, kind: str) -> dt.date | None:
    """Return the first day of the first period that begins on a day or after it; None where none does."""
    begins = floor(day, kind)
    return day if begins == day else following(begins, kind)


def following(begins: dt.date, kind: str) -> dt.date | None:
    """Return the first day of the period after the one that begins on a day; None after the last of all."""
    try:
        return floor(begins + dt.timedelta(days=LONGER[kind]), kind)
    except OverflowError:
        return None
