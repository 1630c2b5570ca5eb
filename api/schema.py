"""The OpenAPI schema where it cannot be told from the views: credentials, errors, closed bodies."""

from __future__ import annotations

from typing import Any

from drf_spectacular.extensions import OpenApiAuthenticationExtension

from api.authentication import TokenAuthentication
from api.problems import CONTENT_TYPE, TYPES

PROBLEM = {
    "type": "object",
    "description": "An error (RFC 9457).",
    "required": ["type", "title", "status", "detail"],
    "properties": {
        "type": {"type": "string", "description": "Stable; tells the kinds of error apart."},
        "title": {"type": "string"},
        "status": {"type": "integer"},
        "detail": {"type": "string"},
        "errors": {
            "type": "array",
            "items": {
                "type": "object",
                "required": ["pointer", "detail"],
                "properties": {
                    "pointer": {"type": "string", "description": "JSON pointer into the body or the parameters."},
                    "parameter": {"type": "string", "description": "The query parameter at fault."},
                    "detail": {"type": "string"},
                },
            },
        },
    },
}


class TokenScheme(OpenApiAuthenticationExtension):  # type: ignore[no-untyped-call]
    """The token in the Authorization header."""

    target_class = TokenAuthentication
    name = "token"

    def get_security_definition(self, auto_schema: Any) -> dict[str, str]:
        """Return the scheme: OpenAPI knows no other way to say ``Token …``."""
        return {
            "type": "apiKey",
            "in": "header",
            "name": "Authorization",
            "description": "`Token …` with the token that `/api/v1/auth/login/` returns.",
        }


def complete(result: dict[str, Any], generator: Any, **kwargs: Any) -> dict[str, Any]:
    """Add what every operation may answer, that bodies are closed and that answers are whole."""
    schemas = result["components"]["schemas"]
    schemas["Problem"] = PROBLEM
    for name, schema in schemas.items():
        if name.endswith("Request"):
            schema["additionalProperties"] = False
    schemas["Expense"]["required"] = sorted(schemas["Expense"]["properties"])
    for path, methods in result["paths"].items():
        for method, operation in methods.items():
            for status in _problems(path, method):
                operation["responses"].setdefault(str(status), _problem(status))
    return result


def _problems(path: str, method: str) -> list[int]:
    """Return the statuses of the problems that an operation may answer."""
    statuses = [400, 401, 403, 406, 429, 503]
    if "{" in path or method == "get":
        statuses.append(404)  # no such row, or a page past the end
    if method in ("post", "put", "patch"):
        statuses += [413, 415]
    if _writes_expenses(path, method) or (method != "get" and _is_a_run(path)):
        statuses.append(409)
    return sorted(statuses)


def _is_a_run(path: str) -> bool:
    """Return whether an operation works on a run, of which another may be in the way."""
    return "/totals/rebuild/" in path or "/totals/verify/{" in path


def _writes_expenses(path: str, method: str) -> bool:
    """Return whether an operation changes expenses, and so may run into another or into the range of a total."""
    if "/categories/" in path:
        return method == "delete" or path.endswith("/merge/")
    return method != "get" and "/expenses/" in path


def _problem(status: int) -> dict[str, Any]:
    return {
        "description": TYPES[status][1],
        "content": {CONTENT_TYPE: {"schema": {"$ref": "#/components/schemas/Problem"}}},
    }
