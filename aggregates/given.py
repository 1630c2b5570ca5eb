"""Values of dimensions as they are given from outside: as words of a command line, or as a report has them."""

from __future__ import annotations

import datetime as dt
from typing import Any

from django.conf import settings
from django.core.exceptions import ValidationError
from django.db import connections, models
from django.utils import timezone

from aggregates import reports

# What the to_python() of fields raises for what it cannot take; that of dates and decimals takes text for granted.
REFUSALS = (ValidationError, TypeError, ValueError, ArithmeticError, AttributeError)


class Unusable(ValueError):
    """No such value can be in a column. The message says why, without naming the column."""


def from_words(column: models.Field[Any, Any], text: str, *, using: str) -> Any:
    """Return a value given as text; raise Unusable."""
    try:
        return _storable(column, column.to_python(text), using)
    except REFUSALS as error:
        raise Unusable(_why(error, text)) from error


def from_report(column: models.Field[Any, Any], written: Any, *, using: str) -> Any:
    """Return a value as ``reports.plain`` wrote it; raise Unusable, also where it would have written another."""
    if written is None:
        return None
    try:
        value = _storable(column, column.to_python(written), using)
    except REFUSALS as error:
        raise Unusable(_why(error, written)) from error
    plain = reports.plain(value)
    if type(plain) is not type(written) or plain != written:
        raise Unusable(f"{written!r} is not how a report has it, which is {plain!r}")
    return value


def _storable(column: models.Field[Any, Any], value: Any, using: str) -> Any:
    """Return a value that a statement can ask for; raise Unusable."""
    if isinstance(value, str) and ("\0" in value or any("\ud800" <= letter <= "\udfff" for letter in value)):
        raise Unusable(f"{value!r} is no text that a database can hold")
    if isinstance(value, dt.datetime) and settings.USE_TZ and timezone.is_naive(value):
        raise Unusable(f"{value} has no time zone")
    if isinstance(column, models.IntegerField):
        least, most = connections[using].ops.integer_field_range(column.get_internal_type())
        if (least is not None and value < least) or (most is not None and value > most):
            raise Unusable(f"{value} is beyond the range of its column")
    column.get_db_prep_value(value, connections[using])  # which raises what it cannot write
    return value


def _why(error: BaseException, given: Any) -> str:
    if isinstance(error, Unusable):
        return str(error)
    said = " ".join(error.messages) if isinstance(error, ValidationError) else ""
    return said.removesuffix(".") or f"{given!r} is no such value"
