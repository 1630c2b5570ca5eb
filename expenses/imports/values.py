"""Text → value, for each kind of cell. Refuses whatever could mean two things."""

from __future__ import annotations

import datetime as dt
import re
from decimal import Decimal
from functools import lru_cache

from django.contrib.auth import get_user_model
from django.core.exceptions import ValidationError

from aggregates.fields import MAX_TEXT, exact
from expenses import currencies
from expenses.imports.exceptions import BadValue
from expenses.imports.options import Notation
from expenses.models import FIRST_DAY, LAST_DAY, Status

MAX_NAME = 255
MAX_DESCRIPTION = 10_000
MAX_DATE = 64
SHOWN = 60
"""Characters of a value that a reason quotes."""

POINT = re.compile(r"-?[0-9]+(\.[0-9]+)?")
# A point may group thousands, but never stands where it could be a decimal point: not in 0.123.
COMMA = re.compile(r"-?([0-9]+|[1-9][0-9]{0,2}(\.[0-9]{3})+)(,[0-9]+)?")
ISO_DAY = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")
TOUCHING_DIRECTIVES = re.compile(r"%[a-zA-Z]%[a-zA-Z]")


def shown(value: str) -> str:
    """Return a value as a message quotes it: bounded, control characters escaped."""
    return repr(value if len(value) <= SHOWN else value[: SHOWN - 3] + "...")


def text(value: str, *, longest: int) -> str:
    """Return the value if it can be stored; raise BadValue for NUL and for too many characters."""
    if "\0" in value:
        raise BadValue(f"{shown(value)} has a NUL character: take it out")
    if len(value) > longest:
        raise BadValue(f"{shown(value)} has {len(value):,} characters: shorten it to {longest:,}")
    return value


def name(value: str) -> str:
    """Return a name that may not be empty, such as an external id; raise BadValue."""
    if not value:
        raise BadValue("is empty: each row needs one")
    return text(value, longest=MAX_NAME)


@lru_cache(maxsize=10_000)
def owner(value: str) -> str:
    """Return the username a value stands for, normalised as Django does at login; raise BadValue."""
    if not value:
        raise BadValue("is empty: each row needs an owner")
    user_model = get_user_model()
    field = user_model._meta.get_field("username")
    username: str = user_model.normalize_username(text(value, longest=field.max_length or MAX_NAME))
    try:
        field.run_validators(username)
    except ValidationError as error:
        raise BadValue(f"{shown(value)} cannot be a username: {' '.join(error.messages)}") from error
    return username


def amount(value: str, currency: str | None, notation: Notation) -> Decimal:
    """Return an amount in major units of the currency (None: unknown); raise BadValue.

    Taken is plain decimal notation only, with a point or with a decimal comma, never rounded.
    """
    if len(value) > MAX_TEXT:
        raise BadValue(f"{shown(value)} has {len(value):,} characters, an amount at most {MAX_TEXT}")
    if notation.decimal_comma:
        plain, example = COMMA.fullmatch(value), "-1.234,56 or 1234,56"
    else:
        plain, example = POINT.fullmatch(value), "-1234.56, without thousands separators"
    if not plain:
        raise BadValue(f"{shown(value)} is not an amount: write it as {example}{_comma_hint(value, notation)}")
    if notation.decimal_comma:
        value = value.replace(".", "").replace(",", ".")
    try:
        number = exact(value)
    except ValueError as error:
        raise BadValue(str(error)) from error
    if currency is None:
        return number
    allowed = currencies.digits(currency)
    if currencies.decimals(number) > allowed:
        raise BadValue(f"{shown(value)} has more than the {allowed} decimals of {currency}: correct it at its source")
    return number


def _comma_hint(value: str, notation: Notation) -> str:
    if not notation.decimal_comma and COMMA.fullmatch(value):
        return " (for amounts with a decimal comma give --decimal-comma)"
    return ""


@lru_cache(maxsize=10_000)
def day(value: str, date_format: str | None) -> dt.date:
    """Return the date, from 1900-01-01 to 2099-12-31; raise BadValue."""
    found = _iso_day(value) if date_format is None else _formatted_day(value, date_format)
    if not FIRST_DAY <= found <= LAST_DAY:
        raise BadValue(f"{shown(value)} is not between {FIRST_DAY} and {LAST_DAY}: correct the year")
    return found


def _iso_day(value: str) -> dt.date:
    try:
        if ISO_DAY.fullmatch(value):
            return dt.date.fromisoformat(value)
    except ValueError as error:
        raise BadValue(f"{shown(value)} is no day of the calendar") from error
    raise BadValue(f"{shown(value)} is not a date: write it as 2026-01-31, or give --date-format")


def _formatted_day(value: str, date_format: str) -> dt.date:
    # strptime takes digits of any script, so only ASCII gets as far as that.
    if len(value) <= MAX_DATE and value.isascii():
        try:
            moment = dt.datetime.strptime(value, date_format)  # noqa: DTZ007 - a day has no zone
        except ValueError:
            pass
        else:
            # 1122020 under %d%m%Y could be 1 December or 11 February: only full digits are one date.
            if not TOUCHING_DIRECTIVES.search(date_format) or moment.strftime(date_format) == value:
                return moment.date()
    example = dt.date(2026, 1, 31).strftime(date_format)
    raise BadValue(f"{shown(value)} is not a date in the format {date_format}: write it as {example}")


def currency_code(value: str) -> str:
    """Return an ISO 4217 code; raise BadValue."""
    if value not in currencies.codes():
        raise BadValue(f"{shown(value)} is not an ISO 4217 currency code: write it as EUR")
    return value


def status(value: str) -> str | None:
    """Return a status, None for an empty cell; raise BadValue."""
    if not value:
        return None
    if value not in Status.values:
        raise BadValue(f"{shown(value)} is not a status: write one of {', '.join(Status.values)}")
    return value
