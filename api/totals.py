"""The resource of totals: sums by any keys, each with the link to the very expenses behind it."""

from __future__ import annotations

import csv
import datetime as dt
from collections.abc import Callable, Iterable, Iterator, Mapping
from decimal import Decimal
from typing import Any
from urllib.parse import urlencode

from django.contrib.auth import get_user_model
from django.db import router
from django.db.models.functions import Now
from django.http import Http404, HttpResponseBase, StreamingHttpResponse
from django.urls import reverse
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.renderers import BaseRenderer, JSONRenderer
from rest_framework.request import Request
from rest_framework.response import Response

from aggregates import runs
from api import pagination, parameters
from api.access import own_scope
from api.parameters import Parameter
from api.problems import invalid_parameters
from api.views import PrivateView
from expenses import currencies, reports
from expenses.models import ExpenseTotals, Status
from expenses.reports import KEYS, MEASURES, Question

COLUMNS = (*KEYS, "owner_name", "category_name", *MEASURES)
FORMATS = ("json", "csv")
# What a spreadsheet takes for the start of a formula.
FORMULA_STARTS = ("=", "+", "-", "@", "\t", "\r")
TEXT_COLUMNS = frozenset({"owner_name", "category_name"})
LABELS: Mapping[str, Callable[[dt.date], str]] = {
    "day": dt.date.isoformat,
    "month": lambda first: f"{first:%Y-%m}",
    "quarter": lambda first: f"{first.year}-Q{(first.month + 2) // 3}",
    "year": lambda first: f"{first.year}",
}
PARAMETERS = (
    Parameter("group_by", parameters.choices(KEYS), f"Of {', '.join(KEYS)}, comma-separated. The currency always is."),
    *parameters.SELECTION,
    Parameter(
        "ordering",
        parameters.choices(COLUMNS, descending=True),
        "Columns of the answer, comma-separated, `-` before one for descending order; else the keys in their order.",
    ),
    *pagination.PARAMETERS,
    Parameter("format", lambda text: text, "csv is the whole answer, not one page.", {"enum": list(FORMATS)}),
)


class TotalSerializer(serializers.Serializer[Any]):
    """One total. Of the keys it has those of `group_by`, and the currency."""

    owner = serializers.IntegerField(required=False)
    owner_name = serializers.CharField(required=False)
    category = serializers.IntegerField(required=False, allow_null=True, help_text="null is uncategorised.")
    category_name = serializers.CharField(required=False, allow_null=True)
    currency = serializers.CharField()
    status = serializers.ChoiceField(Status.choices, required=False)
    day = serializers.CharField(required=False, help_text="As in 2026-01-31.")
    month = serializers.CharField(required=False, help_text="As in 2026-01.")
    quarter = serializers.CharField(required=False, help_text="As in 2026-Q1.")
    year = serializers.CharField(required=False, help_text="As in 2026.")
    sum = serializers.CharField(help_text="Decimal, with the currency's digits.")
    average = serializers.CharField(help_text="Decimal, with the currency's digits, half to even.")
    count = serializers.IntegerField()
    expenses = serializers.URLField(help_text="The expenses that were summed.")


class TotalsPageSerializer(serializers.Serializer[Any]):
    """A page of totals."""

    count = serializers.IntegerField(help_text="Rows on all pages.")
    next = serializers.URLField(allow_null=True)
    previous = serializers.URLField(allow_null=True)
    as_of = serializers.DateTimeField(help_text="The database's time; everything committed before it is in the sums.")
    verified_at = serializers.DateTimeField(
        allow_null=True, help_text="Start of the last complete comparison of all totals that found no drift."
    )
    results = TotalSerializer(many=True)


class CsvRenderer(BaseRenderer):
    """Stands for text/csv in the negotiation; the view streams it itself."""

    media_type = "text/csv"
    format = "csv"


RESPONSES = {(200, "application/json"): TotalsPageSerializer, (200, "text/csv"): OpenApiTypes.STR}


class TotalsView(PrivateView):
    """Sums, counts and averages of expenses that are not drafts."""

    renderer_classes = (JSONRenderer, CsvRenderer)

    @extend_schema(parameters=parameters.openapi(PARAMETERS), responses=RESPONSES)
    def get(self, request: Request) -> HttpResponseBase:
        """Return totals by any keys. Currencies are never added together."""
        values = parameters.read(request.query_params, PARAMETERS)
        question = Question(
            **own_scope(request, parameters.selection(values)), group_by=tuple(values.get("group_by", ()))
        )
        ordering = values.get("ordering", ())
        if absent := [term for term in ordering if term.removeprefix("-") not in question.columns]:
            raise invalid_parameters({"ordering": f"{', '.join(absent)}: not a column of this answer; group by it."})
        using = router.db_for_read(ExpenseTotals)
        # Read first, so that whatever was committed before that time is in the sums.
        as_of = _database_time(request.user.pk, using)
        answer = reports.answer(question, ordering, using=using)
        shown = _Shown(question, request)
        if getattr(request.accepted_renderer, "format", "json") == "csv":
            return _csv(question, map(shown.row, answer.stream()))
        page, size = values.get("page", 1), values.get("page_size", pagination.PAGE_SIZE)
        rows, count = answer.page((page - 1) * size, size)
        if not rows and page > 1:
            raise Http404
        return Response(
            {
                "count": count,
                **pagination.links(request, page, size, count),
                "as_of": as_of,
                "verified_at": runs.verified_at(ExpenseTotals, using=using),
                "results": [shown.row(row) for row in rows],
            }
        )


class _Shown:
    """How a row of an answer is shown to the client."""

    def __init__(self, question: Question, request: Request) -> None:
        self.question = question
        self.expenses = request.build_absolute_uri(reverse("expenses"))

    def row(self, row: Mapping[str, Any]) -> dict[str, Any]:
        """Return the row with labels for periods, decimal strings for amounts and its link."""
        shown = {column: LABELS[column](value) if column in LABELS else value for column, value in row.items()}
        selection = parameters.query(reports.behind(self.question, row))
        return {
            **shown,
            "sum": _amount(row["sum"], row["currency"]),
            "average": _amount(row["average"], row["currency"]),
            "expenses": f"{self.expenses}?{urlencode(selection, safe=',')}",
        }


def _amount(amount: Decimal, currency: str) -> str:
    return currencies.plain(amount, currency)


def _database_time(user_id: Any, using: str) -> dt.datetime:
    """Return the database's present time, asked beside a row that certainly exists: the user's own."""
    users = get_user_model()._default_manager.using(using).filter(pk=user_id)
    now: dt.datetime = users.values_list(Now(), flat=True).get()
    return now


def _csv(question: Question, rows: Iterable[Mapping[str, Any]]) -> StreamingHttpResponse:
    return StreamingHttpResponse(
        _lines(question, rows),
        content_type="text/csv; charset=utf-8",
        headers={"Content-Disposition": 'attachment; filename="totals.csv"'},
    )


class _Line:
    """A file whose write returns what it was given: csv.writer then returns each line."""

    def write(self, line: str) -> str:
        return line


def _lines(question: Question, rows: Iterable[Mapping[str, Any]]) -> Iterator[str]:
    """Yield the header line and a line for each row."""
    writer = csv.writer(_Line())
    columns = (*question.columns, "expenses")
    yield writer.writerow(columns)
    for row in rows:
        yield writer.writerow([_cell(column, row[column]) for column in columns])


def _cell(column: str, value: Any) -> Any:
    """Return a value for a spreadsheet, which must take no text for a formula. Amounts stay numbers."""
    if column in TEXT_COLUMNS and isinstance(value, str) and value.startswith(FORMULA_STARTS):
        return f"'{value}"
    return value
