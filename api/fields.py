"""Serializer fields that take one JSON type and one notation each, and convert nothing else."""

from __future__ import annotations

import datetime as dt
import re
import uuid
from decimal import Decimal
from typing import Any

from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers

from aggregates.fields import MAX_VALUE
from api.parameters import CODE, DATE, MAX_ID
from expenses import currencies
from expenses.models import FIRST_DAY, LAST_DAY, Category, Expense

# Whatever is longer or otherwise written is refused before it is converted.
AMOUNT = re.compile(r"-?[0-9]{1,15}(\.[0-9]{1,4})?")
UUID = re.compile(r"[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}")


@extend_schema_field({"type": "string", "pattern": f"^{AMOUNT.pattern}$", "examples": ["12.50"]})
class AmountField(serializers.Field[Decimal, Any, str, Any]):
    """An amount as a JSON string in plain decimal notation, because a JSON number may lose digits."""

    default_error_messages = {
        "number": 'Send the amount as a string, such as "12.50": a JSON number may lose digits on the way.',
        "invalid": 'Send a string in plain decimal notation, such as "12.50", "-3" or "0.005".',
        "range": f"Amounts lie between -{MAX_VALUE} and {MAX_VALUE}.",
    }

    def to_internal_value(self, data: Any) -> Decimal:
        """Return the amount with as many decimals as were written."""
        if isinstance(data, (int, float)) and not isinstance(data, bool):
            self.fail("number")
        if not isinstance(data, str) or not AMOUNT.fullmatch(data):
            self.fail("invalid")
        amount = Decimal(data)
        if abs(amount) > MAX_VALUE:
            self.fail("range")
        return amount + 0  # -0 becomes 0

    def get_attribute(self, instance: Expense) -> Any:
        """Return the expense: how an amount is written depends on the currency."""
        return instance

    def to_representation(self, value: Any) -> str:
        """Return the amount with the currency's digits."""
        return currencies.plain(value.amount, value.currency)


@extend_schema_field(
    {"type": "string", "format": "date", "description": f"From {FIRST_DAY} to {LAST_DAY}.", "examples": ["2026-01-31"]}
)
class DayField(serializers.Field[dt.date, Any, str, Any]):
    """A date as YYYY-MM-DD and nothing else that ISO 8601 knows."""

    default_error_messages = {"invalid": "Send a date that exists, as in 2026-01-31."}

    def to_internal_value(self, data: Any) -> dt.date:
        """Return the date."""
        try:
            if isinstance(data, str) and DATE.fullmatch(data):
                return dt.date.fromisoformat(data)
        except ValueError:
            pass
        return self.fail("invalid")

    def to_representation(self, value: dt.date) -> str:
        """Return YYYY-MM-DD."""
        return value.isoformat()


@extend_schema_field({"type": "string", "format": "uuid"})
class IdField(serializers.Field[uuid.UUID, Any, str, Any]):
    """A UUID in its canonical form."""

    default_error_messages = {"invalid": "Send a UUID, such as 0198b5a2-7c1e-7000-8000-000000000000."}

    def to_internal_value(self, data: Any) -> uuid.UUID:
        """Return the UUID."""
        if not isinstance(data, str) or not UUID.fullmatch(data):
            self.fail("invalid")
        return uuid.UUID(data)

    def to_representation(self, value: uuid.UUID) -> str:
        """Return the canonical form."""
        return str(value)


class TextField(serializers.CharField):
    """A text as a JSON string; DRF would also take numbers."""

    def to_internal_value(self, data: Any) -> str:
        """Return the text."""
        if not isinstance(data, str):
            self.fail("invalid")
        return super().to_internal_value(data)


@extend_schema_field({"type": "string", "pattern": f"^{CODE.pattern}$", "examples": ["EUR"]})
class CurrencyField(TextField):
    """An ISO 4217 code; which of them are in use is the model's business."""


class WholeNumberField(serializers.IntegerField):
    """A whole number as a JSON integer; DRF would also take "1", 1.0 and true."""

    def to_internal_value(self, data: Any) -> int:
        """Return the number."""
        if type(data) is not int:
            self.fail("invalid")
        return data


@extend_schema_field({"type": "integer", "minimum": 0, "maximum": MAX_ID})
class CategoryField(serializers.Field[Category, Any, int, Any]):
    """A category by its integer id."""

    default_error_messages = {
        "invalid": "Send the id of a category as an integer, or null.",
        "unknown": "There is no category {id}.",
    }

    def to_internal_value(self, data: Any) -> Category:
        """Return the category."""
        if type(data) is not int:
            self.fail("invalid")
        category = Category.objects.filter(pk=data).first() if 0 <= data <= MAX_ID else None
        return category or self.fail("unknown", id=data if abs(data) <= MAX_ID else "of that size")

    def to_representation(self, value: Category) -> int:
        """Return the id."""
        return value.pk
