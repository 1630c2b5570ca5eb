"""Exact decimals, stored as integers."""

from __future__ import annotations

from decimal import Context, Decimal, DecimalException, Inexact, InvalidOperation, Overflow
from typing import TYPE_CHECKING, Any

from django import forms
from django.core import checks, exceptions, validators
from django.core.exceptions import FieldError
from django.db import models
from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.models.expressions import Combinable, register_combinable_fields
from django.utils.translation import gettext_lazy as _

DECIMAL_PLACES = 4
UNIT = Decimal(1)
QUANTUM = UNIT.scaleb(-DECIMAL_PLACES)
# Of our own: the host's decimal context may round, and a rounded amount is another amount.
EXACT = Context(prec=40, traps=[Inexact, InvalidOperation, Overflow])
MAX_VALUE = Decimal(2**63 - 1).scaleb(-DECIMAL_PLACES)
MIN_VALUE = -MAX_VALUE
# The longest plain notation of a value in range; anything longer is refused before it is parsed.
MAX_TEXT = 32


def exact(value: Any) -> Decimal:
    """Return ``value`` as a Decimal of at most four places, or raise ``ValueError``.

    Nothing is rounded: a float is taken for the decimal it prints as, and what does not fit is
    refused, because a rounded amount would be another amount.
    """
    if isinstance(value, bool) or not isinstance(value, (Decimal, int, str, float)):
        raise ValueError(f"{value!r} is not a number")  # noqa: TRY004 - the one error callers expect
    if isinstance(value, str) and len(value) > MAX_TEXT:
        raise ValueError(f"a number has at most {MAX_TEXT} characters, this has {len(value)}")
    try:
        number = Decimal(repr(value) if isinstance(value, float) else value)
    except DecimalException as error:
        raise ValueError(f"{value!r} is not a number") from error
    if not number.is_finite():
        raise ValueError(f"{value!r} is not a finite number")
    # adjusted() first: scaling 1E+1000000000 to an integer would burn minutes.
    if number and (number.adjusted() > MAX_VALUE.adjusted() or not MIN_VALUE <= number <= MAX_VALUE):
        raise ValueError(f"{value} is outside {MIN_VALUE} … {MAX_VALUE}")
    if number and number.adjusted() < -DECIMAL_PLACES:
        raise ValueError(f"{value} has more than {DECIMAL_PLACES} decimals")
    try:
        fixed = number.quantize(QUANTUM, context=EXACT)
    except Inexact as error:
        raise ValueError(f"{value} has more than {DECIMAL_PLACES} decimals") from error
    return fixed or abs(fixed)  # there is no -0


if TYPE_CHECKING:
    _Field = models.Field[Any, Any]
else:
    _Field = models.Field


class FixedDecimalField(_Field):
    """A Decimal with four exact places, kept as a 64-bit integer of ten-thousandths.

    Range: ±922,337,203,685,477.5807. SQLite stores Django's DecimalField as a float, so a thousand
    times 0.10 sums to 99.9999999999986 there; integers sum exactly on every database.

    An expression written to the field must itself be of this type: write
    ``F("amount") + Value(Decimal("1.50"), output_field=FixedDecimalField())``. A bare
    ``Decimal`` beside ``F()`` would reach the database unscaled and raises ``FieldError``.
    """

    description = _("Exact decimal with four places")
    empty_strings_allowed = False
    default_error_messages = {"invalid": _("“%(value)s”: %(reason)s.")}

    def db_type(self, connection: BaseDatabaseWrapper) -> str:
        """Store as the database's 64-bit integer."""
        return models.BigIntegerField().db_type(connection) or ""

    def cast_db_type(self, connection: BaseDatabaseWrapper) -> str:
        """Cast to what the database calls a 64-bit integer in a CAST."""
        return models.BigIntegerField().cast_db_type(connection) or ""

    def db_check(self, connection: BaseDatabaseWrapper) -> str | None:
        """On SQLite an overflowing integer turns into a float: refuse to store one."""
        if connection.vendor != "sqlite":
            return None
        column = connection.ops.quote_name(str(self.column))
        return f"typeof({column}) IN ('integer', 'null')"

    def check(self, **kwargs: Any) -> list[checks.CheckMessage]:
        """Refuse a default that the field could not store."""
        errors = list(super().check(**kwargs))
        if self.has_default() and not callable(self.default) and self.default is not None:
            try:
                exact(self.default)
            except ValueError as error:
                errors.append(
                    checks.Error(
                        f"The default cannot be stored: {error}.",
                        hint=f"Write a number of at most {DECIMAL_PLACES} decimals, from {MIN_VALUE} to {MAX_VALUE}.",
                        obj=self,
                        id="aggregates.E101",
                    )
                )
        return errors

    def to_python(self, value: Any) -> Any:
        """Return a Decimal, or None; raise ValidationError for what cannot be stored exactly."""
        if value is None:
            return None
        try:
            return exact(value)
        except ValueError as error:
            raise exceptions.ValidationError(
                self.error_messages["invalid"], code="invalid", params={"value": value, "reason": error}
            ) from error

    def from_db_value(self, value: Any, expression: Any, connection: Any) -> Decimal | None:
        """Return the stored ten-thousandths as a Decimal."""
        if value is None:
            return None
        if isinstance(value, Decimal) and value.same_quantum(UNIT):  # a sum, as PostgreSQL has it
            return value.scaleb(-DECIMAL_PLACES, context=EXACT)
        if isinstance(value, float) or value != int(value):
            raise TypeError("Averages of a FixedDecimalField are not exact: divide its sum by the count.")
        return Decimal(int(value)).scaleb(-DECIMAL_PLACES, context=EXACT)

    def get_prep_value(self, value: Any) -> Any:
        """Return the integer number of ten-thousandths; raise ValueError naming the field."""
        value = super().get_prep_value(value)
        if value is None or hasattr(value, "as_sql"):
            return value
        if isinstance(value, Decimal) and value.same_quantum(QUANTUM) and MIN_VALUE <= value <= MAX_VALUE:
            return int(value.scaleb(DECIMAL_PLACES, context=EXACT))  # as it was read: nothing to look into
        try:
            return int(exact(value).scaleb(DECIMAL_PLACES, context=EXACT))
        except ValueError as error:
            raise ValueError(f"{getattr(self, 'name', 'amount')}: {error}") from error

    def get_db_prep_save(self, value: Any, connection: BaseDatabaseWrapper) -> Any:
        """Prepare a value for storing; an expression must be of this field's type."""
        if hasattr(value, "as_sql"):
            self._refuse_other_types(value)
            return value
        return self.get_prep_value(value)

    def get_placeholder(self, value: Any, compiler: Any, connection: BaseDatabaseWrapper) -> str:
        """Return the plain placeholder; UPDATE asks for it with the resolved expression."""
        if hasattr(value, "as_sql"):
            self._refuse_other_types(value)
        return "%s"

    def _refuse_other_types(self, expression: Any) -> None:
        try:
            output_field = expression.output_field
        except FieldError:
            output_field = None
        if not isinstance(output_field, FixedDecimalField):
            raise FieldError(
                f"{self.name} takes only expressions of type FixedDecimalField: wrap each number, as in "
                "Value(Decimal('1.50'), output_field=FixedDecimalField())."
            )

    def value_to_string(self, obj: models.Model) -> str:
        """Return plain notation for serializers."""
        value = self.value_from_object(obj)
        return "" if value is None else str(self.to_python(value))

    @property
    def validators(self) -> list[Any]:
        """Range validators, for forms and serializers that copy them."""
        return [
            *super().validators,
            validators.MinValueValidator(MIN_VALUE),
            validators.MaxValueValidator(MAX_VALUE),
        ]

    def formfield(self, **kwargs: Any) -> Any:
        """Edit as a decimal number."""
        return super().formfield(
            **{"form_class": forms.DecimalField, "max_digits": 19, "decimal_places": DECIMAL_PLACES, **kwargs}
        )


# What stays exact: sums, differences, and whole multiples.
for _sign in (Combinable.ADD, Combinable.SUB):
    register_combinable_fields(FixedDecimalField, _sign, FixedDecimalField, FixedDecimalField)
register_combinable_fields(FixedDecimalField, Combinable.MUL, models.IntegerField, FixedDecimalField)
register_combinable_fields(models.IntegerField, Combinable.MUL, FixedDecimalField, FixedDecimalField)
