"""Pages by number, with ``count``, ``next`` and ``previous`` around them."""

from __future__ import annotations

from typing import Any

from rest_framework.pagination import PageNumberPagination
from rest_framework.request import Request
from rest_framework.utils.urls import remove_query_param, replace_query_param

from api.parameters import MAX_ID, Parameter, integer, page_number

PAGE_SIZE = 100
MAX_PAGE_SIZE = 1000

PARAMETERS = (
    Parameter("page", page_number, "Number of the page, from 1.", {"type": "integer", "minimum": 1, "maximum": MAX_ID}),
    Parameter(
        "page_size",
        integer(1, MAX_PAGE_SIZE),
        f"Rows a page, at most {MAX_PAGE_SIZE}.",
        {"type": "integer", "minimum": 1, "maximum": MAX_PAGE_SIZE, "default": PAGE_SIZE},
    ),
)


class Pages(PageNumberPagination):
    """DRF's pages, once the parameters were read strictly: their values can be trusted here."""

    page_size = PAGE_SIZE
    page_size_query_param = "page_size"
    max_page_size = MAX_PAGE_SIZE
    last_page_strings = ()

    def get_page_number(self, request: Request, paginator: Any) -> int:
        """Return the number asked for, in range of every database."""
        return page_number(request.query_params.get("page") or "1")

    def get_paginated_response_schema(self, schema: dict[str, Any]) -> dict[str, Any]:
        """Return the envelope as OpenAPI 3.1 writes it; DRF's is of 3.0."""
        address = {"type": ["string", "null"], "format": "uri"}
        return {
            "type": "object",
            "required": ["count", "next", "previous", "results"],
            "properties": {"count": {"type": "integer"}, "next": address, "previous": address, "results": schema},
        }


def links(request: Request, page: int, page_size: int, count: int) -> dict[str, str | None]:
    """Return the addresses of the pages after and before this one."""
    url = request.build_absolute_uri()
    following = replace_query_param(url, "page", page + 1) if page * page_size < count else None
    previous = replace_query_param(url, "page", page - 1) if page > 2 else remove_query_param(url, "page")  # noqa: PLR2004 - page 1 needs no number
    return {"next": following, "previous": previous if page > 1 else None}
