"""The settings, read in one place: ``AGGREGATES = {"RETRIES": 8}`` in Django's settings."""

from __future__ import annotations

from dataclasses import dataclass, fields

from django.conf import settings
from django.core.exceptions import ImproperlyConfigured


@dataclass(frozen=True)
class Settings:
    """What a host may set, with the defaults."""

    RETRIES: int = 8
    """How often the outermost transaction is tried again after a conflict."""
    RETRY_SECONDS: float = 30.0
    """After how long a conflict is no longer tried again."""
    BATCH_SIZE: int = 500_000
    """Source rows that one verify or rebuild statement looks at, at most, where ranges allow."""
    STEP_ROWS: int = 50_000
    """Source rows that a chunk of a run in steps looks at, about; what ranges do not part is not split."""
    STEP_SECONDS: float = 5.0
    """After how long a step of a run begins no further chunk."""


def current() -> Settings:
    """Return the settings in force; raise ImproperlyConfigured for one that does not exist."""
    given = getattr(settings, "AGGREGATES", {})
    if unknown := set(given) - {field.name for field in fields(Settings)}:
        raise ImproperlyConfigured(f"AGGREGATES has unknown settings: {', '.join(sorted(unknown))}.")
    return Settings(**given)
