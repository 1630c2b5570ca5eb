"""A bucket's identity: a digest of its rollup and dimension values, with its slot as last byte."""

from __future__ import annotations

import datetime as dt
import hashlib
import uuid
from collections.abc import Iterable
from decimal import Decimal
from typing import Any

from aggregates.deltas import EXACT

DIGEST_BYTES = 15  # and one byte for the slot
# RFC 9562's marks of a UUID made in a way of one's own, and one bit more. MariaDB takes no UUID of
# a high version whose ninth byte is 80 or less; those it takes it sorts by their bytes, as Python does.
VERSION_8 = uuid.UUID("00000000-0000-8000-a000-000000000000").int
MARKS = uuid.UUID("00000000-0000-f000-e000-000000000000").int


def bucket_key(rollup: str, values: Iterable[Any], slot: int = 0) -> uuid.UUID:
    """Return the key of one slot of a bucket.

    The slots of a bucket differ in the last byte alone. Values are encoded with their type and
    length, so that no two buckets share an encoding and NULL is a value like any other.
    """
    digest = hashlib.blake2b(digest_size=DIGEST_BYTES)
    digest.update(_encoded(rollup))
    for value in values:
        digest.update(_encoded(value))
    return uuid.UUID(int=int.from_bytes((*digest.digest(), slot)) & ~MARKS | VERSION_8)


def home(key: uuid.UUID) -> uuid.UUID:
    """Return the key of slot 0 of the same bucket."""
    return uuid.UUID(int=key.int & ~0xFF)


def _encoded(value: Any) -> bytes:
    tag, text = _tagged(value)
    payload = text.encode()
    return tag + len(payload).to_bytes(4, "big") + payload


def _tagged(value: Any) -> tuple[bytes, str]:  # noqa: C901, PLR0911 - one line a type
    if value is None:
        return b"n", ""
    if isinstance(value, bool):
        return b"b", str(int(value))
    if isinstance(value, int):
        return b"i", str(int(value))
    if isinstance(value, str):
        return b"s", str(value)
    if isinstance(value, dt.datetime):
        return b"t", (value.astimezone(dt.UTC) if value.tzinfo else value).isoformat()
    if isinstance(value, dt.date):
        return b"d", value.isoformat()
    if isinstance(value, Decimal):
        return b"m", f"{value.normalize(EXACT) or 0:f}"
    if isinstance(value, uuid.UUID):
        return b"u", value.hex
    raise TypeError(f"A dimension value of type {type(value).__name__} cannot identify a bucket: {value!r}.")
