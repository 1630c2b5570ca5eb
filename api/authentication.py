"""Who is asking: a knox token, or the session of the admin."""

from __future__ import annotations

from typing import Any

from django.utils import timezone
from knox.auth import TokenAuthentication as KnoxTokenAuthentication
from knox.crypto import hash_token
from knox.models import AuthToken
from rest_framework.exceptions import AuthenticationFailed


class TokenAuthentication(KnoxTokenAuthentication):  # type: ignore[misc]  # untyped
    """``Authorization: Token …`` with a token of ``/api/v1/auth/login/``.

    Unlike knox's own it looks the token up by its digest, one query however many tokens a user
    has, writes nothing on the way, and answers 401 to bytes that are no text.
    """

    def authenticate_credentials(self, token: bytes) -> tuple[Any, AuthToken]:
        """Return the user and the token; raise AuthenticationFailed for one unknown, revoked or expired."""
        if not token.isalnum() or not token.isascii():
            raise AuthenticationFailed("Invalid token.")
        found = AuthToken.objects.select_related("user").filter(digest=hash_token(token.decode("ascii"))).first()
        if found is None or not found.user.is_active or (found.expiry and found.expiry <= timezone.now()):
            raise AuthenticationFailed("Invalid token.")
        return found.user, found
