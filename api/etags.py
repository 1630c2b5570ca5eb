"""Entity tags: what a client was told of a row, and whether that is still so (RFC 9110, section 13)."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping
from typing import Any

from rest_framework.utils.encoders import JSONEncoder

from api.problems import Problem

_TAG = re.compile(r'(W/)?("[^"]*")')


def etag(*parts: Any) -> str:
    """Return the strong tag of what is shown: of anything that can be sent as JSON."""
    text = json.dumps(parts, cls=JSONEncoder, sort_keys=True, ensure_ascii=False)
    return f'"{hashlib.sha256(text.encode()).hexdigest()[:32]}"'


def matches(header: str, current: str, *, weakly: bool = False) -> bool:
    """Return whether a list of tags, or ``*``, has the current one; a weak one only where that is enough."""
    if header.strip() == "*":
        return True
    return any(tag == current and (weakly or not weak) for weak, tag in _TAG.findall(header))


def require(headers: Mapping[str, str], current: str | None) -> None:
    """Raise the 412 where the row is not as the client believes; ``current`` is None where there is none.

    ``If-Match`` names what the client last saw, ``If-None-Match: *`` says that it saw nothing.
    """
    wanted, unwanted = headers.get("If-Match"), headers.get("If-None-Match")
    if wanted is not None and (current is None or not matches(wanted, current)):
        raise Problem(412, "This was changed since you read it. Nothing was written: read it again, then repeat.")
    if unwanted is not None and current is not None and matches(unwanted, current, weakly=True):
        raise Problem(412, "This is there already. Nothing was written.")
