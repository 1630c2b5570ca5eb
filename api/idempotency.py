"""``Idempotency-Key``: a request that may be repeated, and is carried out once."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from rest_framework.renderers import JSONRenderer
from rest_framework.request import Request
from rest_framework.response import Response

from api.models import IdempotencyKey
from api.problems import Problem

HEADER = "Idempotency-Key"
MAX_LENGTH = 255


@dataclass(frozen=True)
class Reply:
    """What a request is answered: its body as JSON can hold it."""

    body: Any
    status: int = 200
    headers: dict[str, str] = field(default_factory=dict)

    def response(self) -> Response:
        """Return it as a response."""
        return Response(self.body, status=self.status, headers=self.headers)


def once(request: Request, data: Any, operation: Callable[[], Reply]) -> Reply:
    """Return the reply of ``operation``, or, to a request that was answered before, the one it got then.

    Within a transaction, which the caller runs again after an IntegrityError: of two requests at once
    with one key the second then finds the reply of the first. Raises the 400 for a key that cannot be
    kept, the 422 for one that was sent with another request.
    """
    if (known := earlier(request, data)) is not None:
        return known
    reply = operation()
    if (key := _key(request)) is not None:
        user: Any = request.user
        IdempotencyKey.objects.create(
            user=user,
            key=key,
            digest=_digest(request, data),
            status=reply.status,
            headers=reply.headers,
            body=json.dumps(reply.body),
        )
    return reply


def earlier(request: Request, data: Any) -> Reply | None:
    """Return the reply that this request got before, None where it has no key or was not carried out yet.

    Raises as ``once`` does. Needs no transaction: what it finds stays.
    """
    key = _key(request)
    if key is None:
        return None
    user: Any = request.user
    known = IdempotencyKey.objects.filter(user=user, key=key).first()
    if known is None:
        return None
    if known.digest != _digest(request, data):
        raise Problem(422, f"{HEADER} {key!r} was sent with another request: take a new key for a new request.")
    return Reply(json.loads(known.body), known.status, known.headers)


def _digest(request: Request, data: Any) -> str:
    """Return what tells requests apart: method, path and body."""
    return hashlib.sha256(json.dumps([request.method, request.path, data], sort_keys=True).encode()).hexdigest()


def shown(data: Any) -> Any:
    """Return a serializer's data as it is sent."""
    return json.loads(JSONRenderer().render(data))


def _key(request: Request) -> str | None:
    key: str | None = request.headers.get(HEADER)
    if key is not None and not (0 < len(key) <= MAX_LENGTH and key.isascii() and key.isprintable()):
        raise Problem(400, f"{HEADER} has 1 to {MAX_LENGTH} printable ASCII characters.")
    return key
