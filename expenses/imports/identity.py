"""The id of an imported expense: the same input is the same expense, however often it comes."""

from __future__ import annotations

import json
import uuid

# Never to be changed: with another namespace, each import would add everything once more.
NAMESPACE = uuid.UUID("55915b60-d7b5-4d27-9937-16ae19f5ae59")


def expense_id(source: str, owner: str, external_id: str) -> uuid.UUID:
    """Return the UUIDv5 (RFC 9562) of the three names.

    They are encoded as a JSON list, so that no two triples share a text: ("a", "b,c") is not
    ("a,b", "c").
    """
    return uuid.uuid5(NAMESPACE, json.dumps([source, owner, external_id], separators=(",", ":")))
