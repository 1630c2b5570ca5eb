"""How many requests a client may send."""

from __future__ import annotations

import logging
import math
import time
from typing import Any

from django.conf import settings
from django.core.cache import cache
from rest_framework.request import Request
from rest_framework.throttling import BaseThrottle

from api.clients import address_of

logger = logging.getLogger(__name__)


class ClientThrottle(BaseThrottle):
    """So many requests of a user, or of an address without one, within each period of RATE_LIMIT.

    Every request counts, refused ones as well. Periods are those of the clock, so that one number a
    client is all that is kept; around the turn of one, twice as many can come.
    """

    seconds_left: float | None = None

    def allow_request(self, request: Request, view: Any) -> bool:
        """Count the request; return whether it is within the limit."""
        client = _client(request)
        if settings.RATE_LIMIT is None or client is None:
            return True
        limit, seconds = settings.RATE_LIMIT
        now = time.time()
        period = int(now // seconds)
        try:
            count = _counted(f"rate:{client}:{seconds}:{period}", seconds)
        except Exception:  # each cache has errors of its own, and none of them is a reason not to serve
            logger.warning("Requests are not counted: the cache cannot be used.", exc_info=True)
            return True
        self.seconds_left = math.ceil((period + 1) * seconds - now)
        return count <= limit

    def wait(self) -> float | None:
        """Return in how many seconds the next period begins."""
        return self.seconds_left


def _client(request: Request) -> str | None:
    """Return who is counted; None for a client of whom nothing is known."""
    if request.user and request.user.is_authenticated:
        return f"user:{request.user.pk}"
    address = address_of(request._request)  # noqa: SLF001 - the headers as the server has them
    return address and f"address:{address}"


def _counted(key: str, seconds: int) -> int:
    """Return how often the key was counted, this time included."""
    try:
        return int(cache.incr(key))
    except ValueError:  # it is the first time, here or in another worker
        return 1 if cache.add(key, 1, timeout=seconds) else int(cache.incr(key))
