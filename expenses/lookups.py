"""Searching without regard to case where the database itself compares texts exactly."""

from __future__ import annotations

from typing import Any

from django.db import models
from django.db.models import lookups

FOLDED = "utf8mb4_uca1400_as_ci"  # case alone: é is not e


class _Folded:
    """Django leaves the case of ``icontains`` and its like to MariaDB's collation, which here tells case."""

    def as_mysql(self, compiler: Any, connection: Any) -> tuple[str, Any]:
        """Compile to a LIKE whose pattern brings its own collation."""
        sql, params = super().as_sql(compiler, connection)  # type: ignore[misc]
        return f"{sql} COLLATE {FOLDED}", params


class Contains(_Folded, lookups.IContains):
    """``icontains``."""


class StartsWith(_Folded, lookups.IStartsWith):
    """``istartswith``."""


class EndsWith(_Folded, lookups.IEndsWith):
    """``iendswith``."""


class Exact(_Folded, lookups.IExact):
    """``iexact``."""


def register() -> None:
    """Let every text column be searched so."""
    for field in (models.CharField, models.TextField):
        for lookup in (Contains, StartsWith, EndsWith, Exact):
            field.register_lookup(lookup)
