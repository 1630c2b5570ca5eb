"""What the service wants before it answers anybody. Commands and development want none of it."""

from __future__ import annotations

from typing import Any

from django.conf import settings
from django.core.exceptions import ImproperlyConfigured

from config import databases

INSECURE = "django-insecure-"
LEAST_LENGTH = 50
LEAST_CHARACTERS = 5
ADVICE = (
    "Make one, and keep it for as long as sessions shall last: "
    "python -c 'import secrets; print(secrets.token_urlsafe(50))'"
)


def prepare() -> None:
    """Refuse settings that are not safe to serve with, bound how long the database is waited for, limit clients.

    Called by the entry points of a server, before anything is connected. Raises ImproperlyConfigured.
    """
    if not settings.DEBUG:
        refuse_weak_key(settings.SECRET_KEY)
    for database in settings.DATABASES.values():
        databases.limit_waits(database)
    settings.RATE_LIMIT = settings.SERVED_RATE_LIMIT
    settings.AGGREGATES = {**databases.retries(), **getattr(settings, "AGGREGATES", {})}


def refuse_weak_key(key: Any) -> None:
    """Raise ImproperlyConfigured for a SECRET_KEY with which sessions could be forged."""
    text = key.decode(errors="replace") if isinstance(key, bytes) else str(key or "")
    if not text or text.startswith(INSECURE):
        raise ImproperlyConfigured(f"SECRET_KEY is not set, or to one made for development. {ADVICE}")
    if len(text) < LEAST_LENGTH or len(set(text)) < LEAST_CHARACTERS:
        raise ImproperlyConfigured(
            f"SECRET_KEY can be guessed: it has {len(text)} characters, {len(set(text))} of them different; "
            f"take {LEAST_LENGTH} and {LEAST_CHARACTERS} at least. {ADVICE}"
        )
