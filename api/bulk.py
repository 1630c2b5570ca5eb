"""Many new expenses in one request: all of them, or none."""

from __future__ import annotations

import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

from drf_spectacular.utils import OpenApiResponse, extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from api import expense_writes, idempotency, parameters
from api.expense_writes import CONTENT
from api.expenses import IDEMPOTENCY_KEY, ExpenseSerializer
from api.fields import CategoryField
from api.idempotency import Reply
from api.parameters import MAX_ID
from api.problems import MONTH_CLOSED, Problem, pointer
from api.serializers import body
from api.views import PrivateView
from expenses import months
from expenses.models import Category, Expense

MAX_ROWS = 1_000
REQUEST = {
    "type": "array",
    "minItems": 1,
    "maxItems": MAX_ROWS,
    "items": {"$ref": "#/components/schemas/ExpenseRequest"},
}


class KnownCategoryField(CategoryField):
    """A category by its id, among those that the context has: looked up once for all rows."""

    def to_internal_value(self, data: Any) -> Category:
        """Return the category."""
        if type(data) is not int:
            self.fail("invalid")
        known: Mapping[int, Category] = self.context["categories"]
        return known.get(data) or self.fail("unknown", id=data if abs(data) <= MAX_ID else "of that size")


class BulkRowSerializer(ExpenseSerializer):
    """One of many new expenses."""

    category = KnownCategoryField(default=None, allow_null=True)


class BulkResultSerializer(serializers.Serializer[Any]):
    """What came of a bulk write."""

    created = serializers.IntegerField(min_value=0, help_text="Expenses that are new.")
    unchanged = serializers.IntegerField(min_value=0, help_text="Expenses that were there already, with this content.")
    results = ExpenseSerializer(many=True, help_text="All of them, in the order sent.")


@dataclass(frozen=True)
class Row:
    """One expense as it was sent. ``recognisable``: with an id of the client's own."""

    expense: Expense
    recognisable: bool


class ExpenseBulkView(PrivateView):
    """Many new expenses."""

    @extend_schema(
        parameters=[IDEMPOTENCY_KEY],
        request={"application/json": REQUEST},
        responses={201: BulkResultSerializer, 200: OpenApiResponse(BulkResultSerializer, "All were there already.")},
    )
    def post(self, request: Request) -> Response:
        """Create up to 1,000 expenses, all or none. With ids or an Idempotency-Key, a client may repeat the request.

        The members and rules are those of one new expense; an error's pointer begins with the index of its row.
        """
        parameters.read(request.query_params, ())
        data = body(request)
        # First, since a repeat may name what is gone by now.
        if (known := idempotency.earlier(request, data)) is not None:
            return known.response()
        # Read outside the transaction: a thousand rows take a while, and SQLite has one writer.
        rows = _read(data, request)
        if idempotency.HEADER not in request.headers:
            return _reply(request, *expense_writes.run(lambda: _stored(rows))).response()
        once = partial(idempotency.once, request, data, lambda: _reply(request, *_stored(rows)))
        return expense_writes.run(once).response()


def _read(data: Any, request: Request) -> list[Row]:
    """Return the rows; raise the 400 that names every member at fault by the index of its row."""
    if not isinstance(data, list) or not 1 <= len(data) <= MAX_ROWS:
        there = f"an array of {len(data):,}" if isinstance(data, list) else "something else"
        raise serializers.ValidationError(f"Send a JSON array of 1 to {MAX_ROWS:,} expenses; this is {there}.")
    serializer = BulkRowSerializer(context={"request": request, "categories": _categories(data)})
    owner: Any = request.user
    rows: list[Row] = []
    errors: dict[str, Any] = {}
    first: dict[uuid.UUID, int] = {}
    for index, item in enumerate(data):
        try:
            values = serializer.run_validation(item)
        except serializers.ValidationError as error:
            errors[str(index)] = error.detail
            continue
        rows.append(Row(Expense(owner=owner, **values), "id" in values))
        if (earlier := first.setdefault(rows[-1].expense.pk, index)) != index:
            errors[str(index)] = {"id": [f"Rows {earlier} and {index} have the same id: send each expense once."]}
    if errors:
        raise serializers.ValidationError(errors)
    return rows


def _categories(data: Sequence[Any]) -> dict[int, Category]:
    """Return the categories that rows name and that exist: one statement."""
    named = [row.get("category") for row in data if isinstance(row, Mapping)]
    return Category.objects.in_bulk({key for key in named if type(key) is int and 0 <= key <= MAX_ID})


def _stored(rows: Sequence[Row]) -> tuple[list[Expense], int]:
    """Store what is new; return all expenses in the order sent, and how many are new.

    Within a transaction. Raises the 409 for ids that are taken by something else.
    """
    there = _locked([row.expense.pk for row in rows if row.recognisable])
    _refuse_taken(rows, there)
    _refuse_closed(rows, there)
    # In the order of their ids, so that two requests with the same ones wait for each other in turn.
    fresh = sorted((row.expense for row in rows if row.expense.pk not in there), key=lambda expense: expense.pk)
    Expense.objects.bulk_create(fresh)
    return [_as_stored(row.expense, there) for row in rows], len(fresh)


def _reply(request: Request, expenses: list[Expense], created: int) -> Reply:
    """Return what a request is answered whose expenses are stored."""
    results = ExpenseSerializer(expenses, many=True, context={"request": request}).data
    answer = {"created": created, "unchanged": len(expenses) - created, "results": results}
    return Reply(answer, 201 if created else 200)


def _locked(keys: Sequence[uuid.UUID]) -> dict[uuid.UUID, Expense]:
    if not keys:
        return {}
    found = Expense.objects.select_for_update().filter(pk__in=keys).order_by("pk")
    return {expense.pk: expense for expense in found}


def _refuse_taken(rows: Sequence[Row], there: Mapping[uuid.UUID, Expense]) -> None:
    """Raise the 409 that names every row whose id is that of another owner's expense or of other content."""
    errors = [
        {
            "pointer": pointer(index, "id"),
            "detail": f"The id {row.expense.pk} is taken by another expense.",
        }
        for index, row in enumerate(rows)
        if row.expense.pk in there and not _same(row.expense, there[row.expense.pk])
    ]
    if errors:
        detail = " ".join(f"{error['pointer']}: {error['detail']}" for error in errors)
        raise Problem(409, f"Nothing was written. {detail}", errors=errors)


def _refuse_closed(rows: Sequence[Row], there: Mapping[uuid.UUID, Expense]) -> None:
    """Raise the 409 that names every new row whose month is closed."""
    fresh = [(index, row.expense) for index, row in enumerate(rows) if row.expense.pk not in there]
    closed = months.hold({expense.spent_on for _, expense in fresh})
    errors = [
        {"pointer": pointer(index, "spent_on"), "detail": f"{months.name(expense.spent_on)} is closed."}
        for index, expense in fresh
        if months.of(expense.spent_on) in closed
    ]
    if errors:
        raise Problem(409, f"Nothing was written. {months.MonthClosed(closed)}", kind=MONTH_CLOSED, errors=errors)


def _same(wanted: Expense, existing: Expense) -> bool:
    return all(getattr(wanted, name) == getattr(existing, name) for name in ("owner_id", *CONTENT))


def _as_stored(wanted: Expense, there: Mapping[uuid.UUID, Expense]) -> Expense:
    """Return the stored expense, with the owner and category at hand that the wanted one names as well."""
    existing = there.get(wanted.pk)
    if existing is None:
        return wanted
    existing.owner, existing.category = wanted.owner, wanted.category
    return existing
