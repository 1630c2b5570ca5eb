"""The resource of totals: sums by any keys, each with the link to the very expenses behind it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from django.db import router
from django.http import Http404, HttpResponseBase
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter, OpenApiResponse, extend_schema
from rest_framework import serializers
from rest_framework.renderers import JSONRenderer
from rest_framework.request import Request
from rest_framework.response import Response

from aggregates import runs
from api import etags, pagination, parameters, totals_export
from api.access import own_scope
from api.negotiation import CsvRenderer, JsonLinesRenderer
from api.parameters import Parameter
from api.problems import invalid_parameters
from api.totals_rows import Shown, TotalSerializer
from api.views import PrivateView
from expenses import comparison, months, reports
from expenses.models import ExpenseTotals
from expenses.reports import KEYS, MEASURES, Answer, Question

COLUMNS = (*KEYS, "owner_name", "category_name", *MEASURES, *comparison.COLUMNS)
FORMATS = ("json", *totals_export.FORMATS)
EXPORTED = ("expenses", "previous_sum", "previous_average", "previous_count", "previous_expenses", "change")
PARAMETERS = (
    Parameter(
        "group_by",
        parameters.choices(KEYS),
        f"Of {', '.join(KEYS)}, comma-separated. The currency always is.",
        parameters.names(KEYS),
    ),
    *parameters.SELECTION,
    Parameter(
        "compare",
        parameters.choices(("previous",)),
        "previous puts the same keys' figures of the period before beside each row: of as many months before `from` "
        "where the range is of whole months, else of as many days. Needs `from` and `to`, and no period in `group_by`.",
        {"type": "string", "enum": ["previous"]},
    ),
    Parameter(
        "ordering",
        parameters.choices(COLUMNS, descending=True),
        "Columns of the answer, comma-separated, `-` before one for descending order; else the keys in their order. "
        f"A comparison has {', '.join(comparison.COLUMNS)} too.",
        parameters.names(COLUMNS, descending=True),
    ),
    *pagination.PARAMETERS,
    Parameter(
        "format",
        lambda text: text,
        "csv and jsonl are the whole answer, not one page.",
        {"type": "string", "enum": list(FORMATS)},
    ),
)
HEADERS = (
    OpenApiParameter(
        "If-None-Match", str, OpenApiParameter.HEADER, description="Tags of the answers that the client has, or `*`."
    ),
    OpenApiParameter(
        "ETag",
        str,
        OpenApiParameter.HEADER,
        response=[200, 304],
        description="Of the rows, of what is around them but for `as_of`, and of who asks. Streams have none.",
    ),
)


class TotalsPageSerializer(serializers.Serializer[Any]):
    """A page of totals."""

    count = serializers.IntegerField(help_text="Rows on all pages.")
    next = serializers.URLField(allow_null=True)
    previous = serializers.URLField(allow_null=True)
    as_of = serializers.DateTimeField(help_text="The database's time; everything committed before it is in the sums.")
    verified_at = serializers.DateTimeField(
        allow_null=True, help_text="Start of the last complete comparison of all totals that found no drift."
    )
    closed_months = serializers.ListField(
        child=serializers.CharField(), help_text="Months of the range that are closed, as in 2026-01."
    )
    results = TotalSerializer(many=True)


RESPONSES = {
    (200, "application/json"): TotalsPageSerializer,
    (200, "text/csv"): OpenApiTypes.STR,
    (200, "application/jsonl"): OpenApiTypes.STR,
    304: OpenApiResponse(None, "The client has this answer already."),
}


class TotalsView(PrivateView):
    """Sums, counts and averages of expenses that are not drafts."""

    renderer_classes = (JSONRenderer, CsvRenderer, JsonLinesRenderer)

    @extend_schema(parameters=[*parameters.openapi(PARAMETERS), *HEADERS], responses=RESPONSES)
    def get(self, request: Request) -> HttpResponseBase:
        """Return totals by any keys. Currencies are never added together."""
        values = parameters.read(request.query_params, PARAMETERS)
        question = Question(
            **own_scope(request, parameters.selection(values)), group_by=tuple(values.get("group_by", ()))
        )
        before = _before(question) if "compare" in values else None
        ordering = _ordering(values, (*question.columns, *(comparison.COLUMNS if before else ())))
        answers = comparison.compare if before else reports.answer
        answer = answers(question, ordering, using=router.db_for_read(ExpenseTotals))
        shown = Shown(request, question, before)
        format_ = getattr(request.accepted_renderer, "format", "json")
        if format_ in totals_export.FORMATS:
            columns = (*question.columns, *(EXPORTED if before else EXPORTED[:1]))
            return totals_export.response(format_, columns, map(shown.row, answer.stream()))
        return _page(request, values, answer, shown)


def _before(question: Question) -> Question:
    """Return the question about the period before; raise the 400 where there is none to compare with."""
    try:
        return comparison.before(question)
    except ValueError as error:
        raise invalid_parameters({"compare": str(error)}) from error


def _ordering(values: Mapping[str, Any], columns: Sequence[str]) -> tuple[str, ...]:
    """Return the order asked for; raise the 400 that names what is not a column of this answer."""
    ordering: tuple[str, ...] = values.get("ordering", ())
    if absent := [term for term in ordering if term.removeprefix("-") not in columns]:
        raise invalid_parameters(
            {"ordering": f"{', '.join(absent)}: not a column of this answer, which has {', '.join(columns)}."}
        )
    return ordering


def _page(request: Request, values: Mapping[str, Any], answer: Answer, shown: Shown) -> HttpResponseBase:
    """Return a page of the answer, or that the client has it already."""
    using = answer.queryset.db
    page, size = values.get("page", 1), values.get("page_size", pagination.PAGE_SIZE)
    # Read first, so that whatever was committed before that time is in the sums.
    as_of = reports.database_time(request.user.pk, using)
    rows, count = answer.page((page - 1) * size, size)
    if not rows and page > 1:
        raise Http404
    around = {"count": count, **pagination.links(request, page, size, count)}
    verified_at = runs.verified_at(ExpenseTotals, using=using)
    results = [shown.row(row) for row in rows]
    # Weak, since the same totals come with another as_of each time.
    closed = list(map(months.name, months.closed(answer.question.date_from, answer.question.date_to, using)))
    tag = etags.weak(etags.etag(_asker(request, answer.question), around, verified_at, closed, results))
    body = {**around, "as_of": as_of, "verified_at": verified_at, "closed_months": closed, "results": results}
    return etags.conditional(request, Response(body), tag)


def _asker(request: Request, question: Question) -> list[Any]:
    """Return who asks, and whose expenses he is shown: None for everybody's."""
    owners = question.owners
    return [request.user.pk, None if owners is None else sorted(owners)]
