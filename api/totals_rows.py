"""How a row of totals is shown to the client."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Mapping
from typing import Any
from urllib.parse import urlencode

from django.urls import reverse
from rest_framework import serializers
from rest_framework.request import Request

from api import parameters
from expenses import currencies, reports
from expenses.models import Status
from expenses.reports import Question

LABELS: Mapping[str, Callable[[dt.date], str]] = {
    "day": dt.date.isoformat,
    "month": lambda first: f"{first:%Y-%m}",
    "quarter": lambda first: f"{first.year}-Q{(first.month + 2) // 3}",
    "year": lambda first: f"{first.year}",
}
AMOUNTS = ("sum", "average", "change")


class MeasuresSerializer(serializers.Serializer[Any]):
    """What the expenses of one row come to."""

    sum = serializers.CharField(help_text="Decimal, with the currency's digits.")
    average = serializers.CharField(
        allow_null=True,
        help_text="Decimal, with the currency's digits, half to even. null where a comparison's row has no expenses.",
    )
    count = serializers.IntegerField()
    expenses = serializers.URLField(help_text="The expenses that were summed.")


class TotalSerializer(MeasuresSerializer):
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
    previous = MeasuresSerializer(required=False, help_text="With `compare=previous`: the same of the period before.")
    change = serializers.CharField(
        required=False, help_text="With `compare=previous`: the sum minus the sum of the period before."
    )


class Shown:
    """How the rows of an answer are shown: with labels for periods, and amounts as decimal strings."""

    def __init__(self, request: Request, question: Question, before: Question | None = None) -> None:
        self.question = question
        self.before = before
        self.expenses = request.build_absolute_uri(reverse("expenses"))

    def row(self, row: Mapping[str, Any]) -> dict[str, Any]:
        """Return the row with the link to the expenses behind it, and to those of the period before."""
        shown = {**_labelled(row), "expenses": self.link(self.question, row)}
        if self.before is None:
            return shown
        previous = {**_texts(row["previous"], row["currency"]), "expenses": self.link(self.before, row)}
        return {**shown, "previous": previous, "change": shown["change"]}

    def link(self, question: Question, row: Mapping[str, Any]) -> str:
        """Return the address that lists the expenses which the row sums for a question."""
        selection = parameters.query(reports.behind(question, row))
        return f"{self.expenses}?{urlencode(selection, safe=',')}"


def _labelled(row: Mapping[str, Any]) -> dict[str, Any]:
    shown = {column: LABELS[column](value) if column in LABELS else value for column, value in row.items()}
    return _texts(shown, row["currency"])


def _texts(row: Mapping[str, Any], currency: str) -> dict[str, Any]:
    """Return the row with its amounts as decimal strings."""
    return {
        column: currencies.plain(value, currency) if column in AMOUNTS and value is not None else value
        for column, value in row.items()
    }
