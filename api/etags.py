"""Entity tags (RFC 9110, section 8.8.3): whether a client already has an answer, or still means the row it read."""

from __future__ import annotations

import datetime as dt
import hashlib
import json
import uuid
from collections.abc import Mapping
from decimal import Decimal
from typing import Any

from django.http import HttpResponseBase, HttpResponseNotModified
from django.utils.http import parse_etags
from rest_framework.request import Request

from api.problems import Problem

DIGITS = 32


def etag(*parts: Any) -> str:
    """Return a strong entity tag, its quotes included, that is another as soon as a part is another.

    Parts are what an answer's JSON is made of: texts, numbers, decimals, dates, ids, lists, objects.
    Raises TypeError for what has no text of its own, such as a set, whose order is any.
    """
    text = json.dumps(parts, default=_text)
    return f'"{hashlib.sha256(text.encode()).hexdigest()[:DIGITS]}"'


def weak(tag: str) -> str:
    """Return the weak form of a strong tag: for answers that mean the same and are not the same bytes."""
    return f"W/{tag}"


def matches(header: str | None, tag: str) -> bool:
    """Return whether ``If-None-Match`` names the tag: ``*``, or a list that has it, weak or strong.

    What is no entity tag in the header names nothing.
    """
    named = parse_etags(header or "")
    return named == ["*"] or tag.removeprefix("W/") in {name.removeprefix("W/") for name in named}


def matches_strongly(header: str | None, tag: str) -> bool:
    """Return whether ``If-Match`` names the tag: ``*``, or a list that has it, both of them strong."""
    named = parse_etags(header or "")
    return named == ["*"] or (tag in named and not tag.startswith("W/"))


def conditional(request: Request, response: HttpResponseBase, tag: str) -> HttpResponseBase:
    """Return the answer to a GET with its tag, or 304 without a body where the client has it already."""
    has_it = matches(request.META.get("HTTP_IF_NONE_MATCH"), tag)
    answer = HttpResponseNotModified() if has_it else response
    answer["ETag"] = tag
    return answer


def require(headers: Mapping[str, str], current: str | None) -> None:
    """Raise the 412 where a row is not as the client believes; ``current`` is None where there is none.

    ``If-Match`` names what the client last saw, ``If-None-Match: *`` says that it saw nothing.
    """
    wanted, unwanted = headers.get("If-Match"), headers.get("If-None-Match")
    if wanted is not None and (current is None or not matches_strongly(wanted, current)):
        raise Problem(412, "This was changed since you read it. Nothing was written: read it again, then repeat.")
    if unwanted is not None and current is not None and matches(unwanted, current):
        raise Problem(412, "This is there already. Nothing was written.")


def _text(part: object) -> str:
    """Return the whole of a value; the encoders of Django and DRF round times and decimals."""
    if isinstance(part, (Decimal, dt.date, uuid.UUID)):
        return str(part)
    raise TypeError(f"An entity tag is not made of a {type(part).__name__}: make a list or a text of it.")
