"""Who may see and change which expenses, as a request asks for them."""

from __future__ import annotations

from typing import Any

from rest_framework.request import Request

from expenses.access import ONLY_READ, SEE_ALL, may, only_reads, sees_all, visible

__all__ = ["ONLY_READ", "SEE_ALL", "may", "only_reads", "own_scope", "sees_all", "visible"]


def own_scope(request: Request, arguments: dict[str, Any]) -> dict[str, Any]:
    """Return a selection's arguments, narrowed to what the user may see."""
    if sees_all(request.user):
        return arguments
    asked: frozenset[int] | None = arguments.get("owners")
    own = frozenset({request.user.pk})
    return {**arguments, "owners": own if asked is None else own & asked}
