"""The tokens of the API in the admin."""

from __future__ import annotations

from django.contrib import admin
from knox.admin import AuthTokenAdmin
from knox.models import AuthToken
from unfold.admin import ModelAdmin

admin.site.unregister(AuthToken)


@admin.register(AuthToken)
class TokenAdmin(AuthTokenAdmin, ModelAdmin):  # type: ignore[misc]  # neither has types
    """Tokens, with the forms of the admin's theme. A new one is shown once."""
