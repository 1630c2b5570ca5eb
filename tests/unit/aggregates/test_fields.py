"""Exact decimals."""

from __future__ import annotations

from decimal import Decimal, localcontext
from typing import Any

import pytest
from django.core.exceptions import FieldError, ValidationError
from django.db import models
from django.db.models import F, Value
from hypothesis import given
from hypothesis import strategies as st

from aggregates.fields import MAX_VALUE, MIN_VALUE, FixedDecimalField, exact
from tests.testapp.models import Ticket

STORED = st.integers(-(2**63 - 1), 2**63 - 1)


@given(stored=STORED)
def test_every_stored_number_comes_back_as_it_was(stored: int) -> None:
    field = FixedDecimalField()
    value = field.from_db_value(stored, None, None)
    assert field.get_prep_value(value) == stored
    assert field.get_prep_value(str(value)) == stored
    assert field.to_python(str(value)) == value


@given(stored=STORED)
def test_the_caller_s_decimal_context_does_not_round(stored: int) -> None:
    field = FixedDecimalField()
    with localcontext() as context:
        context.prec = 2
        assert field.get_prep_value(field.from_db_value(stored, None, None)) == stored


@given(number=st.decimals(allow_nan=True, allow_infinity=True) | st.floats() | st.integers() | st.text(max_size=40))
def test_a_number_is_kept_exactly_or_refused(number: Any) -> None:
    try:
        kept = exact(number)
    except ValueError:
        return
    assert kept == (Decimal(repr(number)) if isinstance(number, float) else Decimal(number))
    assert kept.as_tuple().exponent == -4


REFUSED = [
    "NaN", "sNaN", "-Infinity", "inf", "1e999", "1e-999", "1E+1000000000", "1E-1000000000", "12,50", "0x10", "", " ",
    "1.00005", "0.00001", "-0.00001", "9" * 20, "9" * 1001, "0." + "0" * 1000, "abc", "1 2", "--1", "½",
    "922337203685477.5808", "-922337203685477.5808", True, False, None, [], {}, (0, (1,), 0), b"1", 1j, object(),
    float("nan"), float("inf"), 1e300, 1e-5, 10**15, -(10**15), 10**5000, Decimal("NaN"), Decimal("sNaN"),
    Decimal("Infinity"), Decimal("1E+1000000000"), Decimal("1E-1000000000"), Decimal("0.33333"),
]  # fmt: skip


@pytest.mark.parametrize("value", REFUSED, ids=lambda value: type(value).__name__)
def test_what_cannot_be_kept_exactly_is_refused(value: Any) -> None:
    with pytest.raises(ValueError):  # noqa: PT011 - each has its own words
        exact(value)


@pytest.mark.parametrize(
    "value", [value for value in REFUSED if value is not None], ids=lambda value: type(value).__name__
)
def test_what_is_refused_is_a_validation_error_to_forms(value: Any) -> None:
    with pytest.raises(ValidationError):
        FixedDecimalField().to_python(value)


class Unconvertible(Decimal):
    """A number that must not be turned into an integer or scaled: that would take minutes."""

    def _forbidden(self, *_arguments: Any, **_options: Any) -> Any:
        raise AssertionError("converted before it was refused")

    __int__ = __trunc__ = __round__ = __floor__ = quantize = scaleb = to_integral_value = _forbidden


@pytest.mark.parametrize("text", ["1E+1000000000", "-1E+1000000000", "1E+16", "1E-1000000000", "NaN", "Infinity"])
def test_a_number_out_of_range_is_refused_before_any_conversion(text: str) -> None:
    with pytest.raises(ValueError, match=r"outside|decimals|finite"):
        exact(Unconvertible(text))


@pytest.mark.parametrize(
    ("given_", "kept"),
    [("-0.00", "0"), (Decimal("-0"), "0"), (-0.0, "0"), (0.1, "0.1"), ("7.5", "7.5"), (Decimal("1E+2"), "100"),
     ("0E+1000", "0"), (MAX_VALUE, str(MAX_VALUE)), (str(MIN_VALUE), str(MIN_VALUE)), ("1.5000000000000000000", "1.5")],
)  # fmt: skip
def test_a_number_is_kept_with_four_places(given_: Any, kept: str) -> None:
    assert f"{exact(given_):f}" == f"{Decimal(kept):.4f}"


def test_a_stored_fraction_of_a_ten_thousandth_is_refused() -> None:
    for value in (1.5, Decimal("1.5")):
        with pytest.raises(TypeError, match="divide its sum by the count"):
            FixedDecimalField().from_db_value(value, None, None)


def test_null_stays_null() -> None:
    field = FixedDecimalField(null=True)
    assert field.from_db_value(None, None, None) is field.to_python(None) is field.get_prep_value(None) is None


@pytest.mark.parametrize(
    "expression",
    [
        F("price") + 1,
        F("price") + Decimal("1.50"),
        Decimal("1.50") + F("price"),
        F("price") - 1.5,
        F("price") * F("price"),
        F("price") * Decimal("1.1"),
        F("price") / 2,
        F("price") % 2,
        Value(1),
        Value(Decimal(1)),
        F("gate"),
    ],
    ids=str,
)
def test_an_expression_that_would_change_the_scale_is_refused(expression: Any) -> None:
    with pytest.raises(FieldError):
        str(_update(price=expression))


@pytest.mark.parametrize(
    "expression",
    [
        F("price"),
        F("price") + F("price"),
        F("price") * 2,
        3 * F("price"),
        F("price") - Value(Decimal("1.50"), output_field=FixedDecimalField()),
    ],
    ids=str,
)
def test_an_expression_of_the_same_scale_is_taken(expression: Any) -> None:
    assert "price" in str(_update(price=expression))


def _update(**values: Any) -> models.sql.UpdateQuery:
    query = models.sql.UpdateQuery(Ticket)
    query.add_update_values(values)
    return query


def test_a_comparison_is_made_at_the_field_s_scale() -> None:
    assert "15000" in str(models.QuerySet(Ticket).filter(price__gt=Decimal("1.5")).query)


def test_a_default_that_cannot_be_stored_is_reported() -> None:
    field = FixedDecimalField(default=Decimal("0.00001"))
    field.set_attributes_from_name("price")
    assert [message.id for message in field.check() if message.id == "aggregates.E101"] == ["aggregates.E101"]


def test_a_form_edits_it_as_a_decimal_with_four_places() -> None:
    form_field = FixedDecimalField().formfield()
    assert form_field.clean("1.2500") == Decimal("1.25")
    with pytest.raises(ValidationError):
        form_field.clean("1.00005")


def test_a_serializer_gets_plain_notation() -> None:
    field = Ticket._meta.get_field("price")
    assert field.value_to_string(Ticket(price=Decimal("1E+2"))) == "100.0000"
    assert field.value_to_string(Ticket(price=None)) == ""
