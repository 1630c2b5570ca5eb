"""The OpenAPI schema where it cannot be told from the views: credentials, errors, closed bodies."""

from __future__ import annotations

from http import HTTPStatus
from typing import Any, ClassVar

from django.http import HttpResponse
from drf_spectacular.extensions import OpenApiAuthenticationExtension
from drf_spectacular.utils import extend_schema
from drf_spectacular.views import SpectacularAPIView
from rest_framework.request import Request

from api import examples
from api.authentication import TokenAuthentication
from api.parameters import TEXT
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


class SchemaView(SpectacularAPIView):
    """The schema, written once a process: it is the same for everybody, and anybody may ask for it."""

    written: ClassVar[dict[str, HttpResponse]] = {}

    @extend_schema(exclude=True)
    def get(self, request: Request, *args: Any, **kwargs: Any) -> HttpResponse:
        """Return the schema in the media type that was asked for."""
        media_type = request.accepted_renderer.media_type
        if media_type not in self.written:
            made = self._get_schema_response(request)  # type: ignore[no-untyped-call]  # the library leaves it so
            self.written[media_type] = self.finalize_response(request, made).render()
        made = self.written[media_type]
        named = {name: made[name] for name in ("Content-Type", "Content-Disposition")}
        return HttpResponse(made.content, headers=named)


# Which problems an operation may answer because it takes a header.
BY_HEADER = {"If-Match": 412, "If-None-Match": 412, "Idempotency-Key": 422}
NOT_BLANK = "^[^\\u0000]*[^\\s\\u0000][^\\u0000]*$"


def complete(result: dict[str, Any], generator: Any, **kwargs: Any) -> dict[str, Any]:
    """Add what every operation may answer, that bodies are closed, answers are whole and texts have no NUL."""
    schemas = result["components"]["schemas"]
    schemas["Problem"] = PROBLEM
    for name, schema in schemas.items():
        if name.endswith("Request"):
            schema["additionalProperties"] = False
            _close_texts(schema)
    for name in ("CategoryRequest", "PatchedCategoryRequest"):
        schemas[name]["properties"]["name"]["pattern"] = NOT_BLANK
    schemas["Expense"]["required"] = sorted(schemas["Expense"]["properties"])
    for path, methods in result["paths"].items():
        for method, operation in methods.items():
            _complete_operation(path, method, operation)
    examples.add(result)
    return result


def _complete_operation(path: str, method: str, operation: dict[str, Any]) -> None:
    if "requestBody" in operation and not path.endswith("/rebuild/"):
        operation["requestBody"]["required"] = True
    for parameter in operation.get("parameters", ()):
        if parameter["in"] == "query" and not parameter.get("required"):
            parameter["allowEmptyValue"] = True  # the same as none
    for status in _problems(path, method, operation):
        operation["responses"].setdefault(str(status), _problem(status))


def _close_texts(schema: dict[str, Any]) -> None:
    """Say of each text that has no rules of its own that NUL is not in it."""
    for member in schema["properties"].values():
        if "string" in member.get("type", ()) and not {"pattern", "format", "enum"} & member.keys():
            member["pattern"] = TEXT


def _problems(path: str, method: str, operation: dict[str, Any]) -> list[int]:
    """Return the statuses of the problems that an operation may answer."""
    statuses = {400, 401, 403, 406, 429, 503}
    if "{" in path or method == "get":
        statuses.add(404)  # no such row, or a page past the end
    if method in ("post", "put", "patch"):
        statuses |= {413, 415}
    if path.endswith("/import/"):
        statuses.add(507)
    if _writes_expenses(path, method) or (method != "get" and _is_a_run(path)):
        statuses.add(409)
    if method != "get":
        statuses |= {BY_HEADER[p["name"]] for p in operation.get("parameters", ()) if p["name"] in BY_HEADER}
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
        "description": TYPES[status][1] if status in TYPES else HTTPStatus(status).phrase,
        "content": {CONTENT_TYPE: {"schema": {"$ref": "#/components/schemas/Problem"}}},
    }
