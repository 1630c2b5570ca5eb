"""The content security policy: what a page may load and run."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from csp.constants import NONE, SELF, UNSAFE_EVAL, UNSAFE_INLINE
from csp.middleware import CSPMiddleware, PolicyParts
from django.http import HttpRequest, HttpResponseBase

POLICY: dict[str, list[str]] = {
    "default-src": [NONE],
    "script-src": [SELF],
    "style-src": [SELF],
    "img-src": [SELF, "data:"],
    "font-src": [SELF],
    "connect-src": [SELF],
    "form-action": [SELF],
    "frame-ancestors": [NONE],
    "base-uri": [NONE],
}
# No page runs a script that is written in it, which is what injected ones are.
# By the name of an application or of an address.
ADDED: dict[str, dict[str, list[str]]] = {
    # The admin's theme evaluates the expressions in its attributes (Alpine), and has its colours in the page.
    "admin": {"script-src": [UNSAFE_EVAL], "style-src": [UNSAFE_INLINE]},
    # Swagger UI has styles in the page.
    "docs": {"style-src": [UNSAFE_INLINE]},
}


class PolicyMiddleware(CSPMiddleware):
    """Sends the policy with every answer, and what ADDED allows with the pages that need it."""

    def get_policy_parts(
        self,
        request: HttpRequest,
        response: HttpResponseBase,
        report_only: bool = False,  # noqa: FBT001, FBT002 - the library's
    ) -> PolicyParts:
        """Return the parts of the policy for this answer."""
        parts = super().get_policy_parts(request, response, report_only)
        page = request.resolver_match
        added: dict[str, Any] = ADDED.get(page.app_name or page.url_name or "", {}) if page else {}
        return replace(parts, update={**added, **(parts.update or {})})
