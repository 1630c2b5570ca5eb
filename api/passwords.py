"""What a changed password ends."""

from __future__ import annotations

from typing import Any

from knox.models import AuthToken


class EndTokens:
    """One of AUTH_PASSWORD_VALIDATORS, for it is they who are told: refuses no password.

    Django ends a user's sessions by itself; whoever has learned the old password may hold a token.
    """

    def validate(self, password: str, user: Any = None) -> None:
        """Accept the password."""

    def get_help_text(self) -> str:
        """Return what stands beside the field."""
        return "Changing the password ends all sessions and revokes all tokens."

    def password_changed(self, password: str, user: Any = None) -> None:
        """Revoke the tokens of the user, whose new password was just stored."""
        AuthToken.objects.filter(user_id=user.pk).delete()
