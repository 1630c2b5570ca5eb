"""The resource of expenses: its form, its list, its members."""

from __future__ import annotations

import copy
import uuid
from dataclasses import replace
from decimal import Decimal
from typing import Any

from django.core.exceptions import ValidationError as ModelValidationError
from django.http import Http404, HttpResponseBase
from django.urls import reverse
from drf_spectacular.utils import OpenApiParameter, OpenApiResponse, extend_schema
from rest_framework import serializers
from rest_framework.generics import GenericAPIView
from rest_framework.request import Request
from rest_framework.response import Response

from api import cursors, etags, expense_writes, idempotency, pagination, parameters
from api.access import own_scope, visible
from api.fields import AmountField, CategoryField, CurrencyField, DayField, IdField, TextField, WholeNumberField
from api.idempotency import Reply
from api.keyset import Column
from api.parameters import Parameter
from api.serializers import StrictSerializer, body
from api.views import PrivateView
from expenses import currencies
from expenses.models import Expense, Status
from expenses.reports import Selection

ORDER = {
    "spent_on": Column("spent_on"),
    "amount": Column("amount"),
    "currency": Column("currency"),
    "status": Column("status"),
    "category": Column("category_id", nullable=True),
    "category_name": Column("category__name", nullable=True),
    "owner": Column("owner_id"),
    "owner_name": Column("owner__username"),
    "created_at": Column("created_at"),
    "updated_at": Column("updated_at"),
    "id": Column("id"),
}
DEFAULT_ORDER = ("-spent_on", "-id")
PARAMETERS = (
    *parameters.SELECTION,
    Parameter(
        "search",
        parameters.search_text,
        "Text that the description contains.",
        {"type": "string", "maxLength": parameters.MAX_SEARCH, "pattern": parameters.TEXT},
    ),
    Parameter(
        "ordering",
        parameters.choices(tuple(ORDER), descending=True),
        f"Of {', '.join(ORDER)}, each at most once, comma-separated, `-` before one for descending order.",
        parameters.names(ORDER, descending=True),
    ),
    *pagination.PARAMETERS,
    *cursors.PARAMETERS,
)


IF_MATCH = OpenApiParameter(
    "If-Match", str, OpenApiParameter.HEADER, description="The ETag last seen: 412 where the expense has another now."
)
IF_NONE_MATCH = OpenApiParameter(
    "If-None-Match", str, OpenApiParameter.HEADER, description="`*`: 412 where there is such an expense already."
)
IDEMPOTENCY_KEY = OpenApiParameter(
    idempotency.HEADER,
    {"type": "string", "minLength": 1, "maxLength": idempotency.MAX_LENGTH, "pattern": "^[ -~]+$"},
    OpenApiParameter.HEADER,
    description="A repeat with the same key and body gets the same answer, and there is one expense.",
)


class ExpenseSerializer(StrictSerializer):
    """One expense."""

    id = IdField(required=False, help_text="Made by the client if it likes, so that a repeat is recognised.")
    owner = WholeNumberField(source="owner_id", required=False, help_text="The user's id; it cannot be changed.")
    owner_name = serializers.CharField(source="owner.username", read_only=True)
    category = CategoryField(default=None, allow_null=True, help_text="The category's id; null for none.")
    category_name = serializers.CharField(source="category.name", read_only=True, allow_null=True)
    amount = AmountField(help_text="In major units of the currency, with its digits. A refund is negative.")
    currency = CurrencyField(min_length=3, max_length=3, trim_whitespace=False, help_text="ISO 4217 code, such as EUR.")
    spent_on = DayField()
    status = serializers.ChoiceField(Status.choices, default=Status.SUBMITTED, help_text="Drafts are in no total.")
    description = TextField(default="", allow_blank=True, max_length=10_000, trim_whitespace=False)
    created_at = serializers.DateTimeField(read_only=True)
    updated_at = serializers.DateTimeField(read_only=True)

    def validate_id(self, value: uuid.UUID) -> uuid.UUID:
        """Refuse another id than the address has."""
        if value != self.context.get("key", value):
            raise serializers.ValidationError("The address has another id.")
        return value

    def validate_owner(self, value: int) -> int:
        """Refuse another owner than the row has, or than a new row will have."""
        owner = self.instance.owner_id if self.instance else self.context["request"].user.pk
        if value != owner:
            raise serializers.ValidationError("An expense belongs to who created it.")
        return value

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        """Refuse an amount written with more decimals than its currency has, and what the model refuses."""
        attrs.pop("owner_id", None)
        expense = copy.copy(self.instance) if self.instance else Expense()
        currency = attrs.get("currency", expense.currency)
        amount: Decimal | None = attrs.get("amount")
        if amount is not None and currency in currencies.codes():
            allowed = currencies.digits(currency)
            if -int(amount.as_tuple().exponent) > allowed:
                raise serializers.ValidationError({"amount": f"{currency} has {allowed} decimals."})
        for name, value in attrs.items():
            setattr(expense, name, value)
        try:
            expense.clean_fields(exclude=("owner", "category"))  # known to exist; asking again costs a query
            expense.clean()
        except ModelValidationError as error:
            raise serializers.ValidationError(error.message_dict) from error
        return attrs


class ExpenseListView(PrivateView, GenericAPIView[Expense]):
    """Expenses that the user may see."""

    serializer_class = ExpenseSerializer
    pagination_class = cursors.Pages
    queryset = Expense.objects.none()  # for the schema; the rows depend on who asks

    @extend_schema(parameters=parameters.openapi(PARAMETERS), responses=ExpenseSerializer(many=True))
    def get(self, request: Request) -> Response:
        """Return a page of expenses. The filters are those of the totals."""
        values = parameters.read(request.query_params, PARAMETERS)
        selection = Selection(**own_scope(request, parameters.selection(values)))
        found = Expense.objects.filter(selection.condition("spent_on")).select_related("owner", "category")
        if "search" in values:
            found = found.filter(description__icontains=values["search"])
        columns = _order(values.get("ordering", DEFAULT_ORDER))
        if cursors.asked(values):
            rows, around = cursors.CursorPages[Expense](request, values, columns).page(found)
            return Response({**around, "results": self.get_serializer(rows, many=True).data})
        page = self.paginate_queryset(found.order_by(*(column.order() for column in columns)))
        return self.get_paginated_response(self.get_serializer(page, many=True).data)

    @extend_schema(
        parameters=[IDEMPOTENCY_KEY],
        responses={201: ExpenseSerializer, 200: OpenApiResponse(ExpenseSerializer, "It was there already.")},
    )
    def post(self, request: Request) -> Response:
        """Create an expense. With an id or an Idempotency-Key of its own, a client may repeat the request."""
        parameters.read(request.query_params, ())
        data = body(request)

        def operation() -> Reply:
            expense, created = expense_writes.create(request.user, data, self.get_serializer)
            return _reply(self.get_serializer(expense).data, request, created=created)

        return expense_writes.run(lambda: idempotency.once(request, data, operation)).response()


class ExpenseView(PrivateView, GenericAPIView[Expense]):
    """One expense. One that the user may not see does not exist to him."""

    serializer_class = ExpenseSerializer
    queryset = Expense.objects.none()
    lookup_field = "id"

    def get_serializer_context(self) -> dict[str, Any]:
        """Add the id that the address has."""
        return {**super().get_serializer_context(), "key": self.kwargs.get("id")}

    def get(self, request: Request, id: uuid.UUID) -> HttpResponseBase:  # noqa: A002 - the name in the address
        """Return the expense."""
        parameters.read(request.query_params, ())
        expense = visible(request.user).select_related("owner", "category").filter(pk=id).first()
        if expense is None:
            raise Http404
        reply = _reply(self.get_serializer(expense).data, request)
        return etags.conditional(request, reply.response(), reply.headers["ETag"])

    @extend_schema(
        parameters=[IF_MATCH, IF_NONE_MATCH],
        responses={200: ExpenseSerializer, 201: OpenApiResponse(ExpenseSerializer, "It is new.")},
    )
    def put(self, request: Request, id: uuid.UUID) -> Response:  # noqa: A002 - as above
        """Create the expense with this id, or replace it."""
        parameters.read(request.query_params, ())
        data = body(request)

        def operation() -> Reply:
            expense, created = expense_writes.put(id, request.user, data, self.get_serializer, self._as_expected)
            return _reply(self.get_serializer(expense).data, request, created=created)

        return expense_writes.run(operation).response()

    @extend_schema(parameters=[IF_MATCH])
    def patch(self, request: Request, id: uuid.UUID) -> Response:  # noqa: A002 - as above
        """Change the members given."""
        parameters.read(request.query_params, ())
        data = body(request)

        def operation() -> Reply:
            expense = expense_writes.change(id, request.user, data, self.get_serializer, self._as_expected)
            return _reply(self.get_serializer(expense).data, request)

        return expense_writes.run(operation).response()

    @extend_schema(parameters=[IF_MATCH], responses={204: None})
    def delete(self, request: Request, id: uuid.UUID) -> Response:  # noqa: A002 - as above
        """Delete the expense."""
        parameters.read(request.query_params, ())
        expense_writes.run(lambda: expense_writes.delete(id, request.user, self._as_expected))
        return Response(status=204)

    def _as_expected(self, expense: Expense | None) -> None:
        """Raise the 412 where the request is about another version of the row."""
        if {"If-Match", "If-None-Match"} & self.request.headers.keys():
            shown = None if expense is None else idempotency.shown(self.get_serializer(expense).data)
            etags.require(self.request.headers, shown and etags.etag(shown))


def _reply(data: Any, request: Request, *, created: bool = False) -> Reply:
    shown = idempotency.shown(data)
    headers = {"ETag": etags.etag(shown)}
    if created:
        headers["Location"] = request.build_absolute_uri(reverse("expense", kwargs={"id": shown["id"]}))
    return Reply(shown, 201 if created else 200, headers)


def _order(terms: tuple[str, ...]) -> list[Column]:
    """Return the columns that sort the rows, the last of them the id, which settles the rest."""
    named = [term.removeprefix("-") for term in terms]
    columns = [replace(ORDER[name], descending=term.startswith("-")) for name, term in zip(named, terms, strict=True)]
    return columns[: named.index("id") + 1] if "id" in named else [*columns, ORDER["id"]]
