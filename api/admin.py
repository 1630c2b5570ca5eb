"""The tokens of the API in the admin."""

from __future__ import annotations

from typing import Any

from django.contrib import admin
from knox.admin import AuthTokenAdmin
from knox.models import AuthToken
from unfold.admin import ModelAdmin

admin.site.unregister(AuthToken)


@admin.register(AuthToken)
class TokenAdmin(AuthTokenAdmin, ModelAdmin):  # type: ignore[misc]  # neither has types
    """Tokens, with the forms of the admin's theme. A new one is shown once."""

    def lookup_allowed(self, lookup: str, value: Any, *request: Any) -> bool:
        """Let nobody find out a digest letter by letter, as users' hashes cannot be either."""
        return not lookup.startswith("digest") and bool(super().lookup_allowed(lookup, value, *request))
