"""A bucket's identity: a digest of its rollup and dimension values, with its slot as last byte.

Python and PostgreSQL compute the same one.
"""

from __future__ import annotations

import datetime as dt
import hashlib
import uuid
from collections.abc import Iterable
from decimal import Decimal
from functools import lru_cache
from typing import Any

from django.db import models

from aggregates.deltas import EXACT

EPOCH = dt.date(1970, 1, 1)
# RFC 9562's marks of a UUID made in a way of one's own. MariaDB takes no UUID of a high version
# whose ninth byte is 80 or less; those it takes it sorts by their bytes, as Python does.
VERSION, VARIANT = "8", "a"
# Many buckets share few values. Not datetimes: equal ones may be an hour apart, when a clock is put back.
REMEMBERED = frozenset({type(None), bool, int, str, dt.date})


def bucket_key(rollup: str, values: Iterable[Any], slot: int = 0) -> uuid.UUID:
    """Return the key of one slot of a bucket.

    The slots of a bucket differ in the last byte alone. Values are encoded with their type and
    length, so that no two buckets share an encoding and NULL is a value like any other.
    """
    return uuid.UUID(bucket_digits(rollup, values, slot))


def bucket_digits(rollup: str, values: Iterable[Any], slot: int = 0) -> str:
    """Return the same key as 32 hexadecimal digits, which sort as keys do and take half as long to make."""
    text = "".join([_encoded(rollup), *[_encoded(value) for value in values]])
    digits = hashlib.sha256(text.encode()).hexdigest()
    return f"{digits[:12]}{VERSION}{digits[13:16]}{VARIANT}{digits[17:30]}{slot:02x}"


# How the types whose values Python gets as they are stored are tagged and written by PostgreSQL.
_WRITTEN: dict[type[models.Field[Any, Any]], tuple[str, str]] = {
    models.BooleanField: ("b", "CAST(CAST({} AS int) AS text)"),
    models.IntegerField: ("i", "CAST({} AS text)"),
    models.CharField: ("s", "CAST({} AS text)"),
    models.TextField: ("s", "CAST({} AS text)"),
    models.DateField: ("d", "CAST({} - DATE '1970-01-01' AS text)"),
    models.UUIDField: ("u", "REPLACE(CAST({} AS text), '-', '')"),
}


def is_written(field: models.Field[Any, Any]) -> bool:
    """Return whether PostgreSQL can encode the values of a column; a host's own type may give Python others."""
    return _written(field) is not None


def encoded(field: models.Field[Any, Any], value: str) -> str:
    """Return PostgreSQL's expression for the encoding of a dimension's value, which is SQL itself."""
    tag, written = _written(field) or ("", "")
    text = written.format(value)
    return f"COALESCE('{tag}' || CHAR_LENGTH({text}) || ':' || {text}, '{_encoded(None)}')"


def text(rollup: str, codes: Iterable[str]) -> str:
    """Return PostgreSQL's expression for the text of which a bucket's key is the digest, from encoded values."""
    return " || ".join([f"'{_encoded(rollup)}'", *codes])


def sql(text: str, slot: str) -> str:
    """Return PostgreSQL's expression for a key, from that text and the two digits of a slot, which are SQL too."""
    digits = f"ENCODE(SHA256(CONVERT_TO({text}, 'UTF8')), 'hex')"
    marked = f"OVERLAY(OVERLAY({digits} PLACING '{VERSION}' FROM 13) PLACING '{VARIANT}' FROM 17)"
    return f"CAST(OVERLAY({marked} PLACING {slot} FROM 31 FOR 34) AS uuid)"


def _written(field: models.Field[Any, Any]) -> tuple[str, str] | None:
    if not type(field).__module__.startswith("django.db.models.") or isinstance(field, models.DateTimeField):
        return None
    return next((written for kind, written in _WRITTEN.items() if isinstance(field, kind)), None)


def home(key: uuid.UUID) -> uuid.UUID:
    """Return the key of slot 0 of the same bucket."""
    return uuid.UUID(int=key.int & ~0xFF)


def _encoded(value: Any) -> str:
    return _remembered(value) if type(value) in REMEMBERED else _encode(value)


def _encode(value: Any) -> str:
    tag, text = _tagged(value)
    return f"{tag}{len(text)}:{text}"


_remembered = lru_cache(4_096, typed=True)(_encode)


def _tagged(value: Any) -> tuple[str, str]:  # noqa: C901, PLR0911 - one line a type
    if value is None:
        return "n", ""
    if isinstance(value, bool):
        return "b", str(int(value))
    if isinstance(value, int):
        return "i", str(int(value))
    if isinstance(value, str):
        return "s", str(value)
    if isinstance(value, dt.datetime):
        return "t", (value.astimezone(dt.UTC) if value.tzinfo else value).isoformat()
    if isinstance(value, dt.date):
        return "d", str((value - EPOCH).days)
    if isinstance(value, Decimal):
        return "m", f"{value.normalize(EXACT) or 0:f}"
    if isinstance(value, uuid.UUID):
        return "u", value.hex
    raise TypeError(f"A dimension value of type {type(value).__name__} cannot identify a bucket: {value!r}.")
