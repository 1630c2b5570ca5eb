"""From text to values: taken is what can mean one thing only."""

from __future__ import annotations

import datetime as dt
import time
from decimal import Decimal

import pytest

from expenses.imports import values
from expenses.imports.exceptions import BadValue, CannotImport
from expenses.imports.identity import expense_id
from expenses.imports.options import Columns, Notation, Options

POINT, COMMA = Notation(), Notation(decimal_comma=True)
COLUMNS = Columns("owner", "category", "date", "amount", "id")


@pytest.mark.parametrize(
    ("text", "notation", "amount"),
    [
        ("12", POINT, "12"),
        ("-12.50", POINT, "-12.50"),
        ("0.00", POINT, "0"),
        ("-0.00", POINT, "0"),
        ("007.5", POINT, "7.5"),
        ("1.5000", POINT, "1.5"),
        ("922337203685477.58", POINT, "922337203685477.58"),
        ("122,62", COMMA, "122.62"),
        ("1000", COMMA, "1000"),
        ("1.234,56", COMMA, "1234.56"),
        ("-1.234.567", COMMA, "-1234567"),
    ],
)
def test_plain_decimal_notation_is_an_amount(text: str, notation: Notation, amount: str) -> None:
    found = values.amount(text, "EUR", notation)
    assert found == Decimal(amount)
    assert not found.is_signed() or found < 0


@pytest.mark.parametrize(
    "text",
    [
        "", "NaN", "sNaN", "-Infinity", "inf", "1e2", "1E+1000000000", "1_000", "\uff11\uff12", "\u0663", "0x10",
        "12,50", "1,234.56", "1.", ".5", "+5", "--5", "5-", "1 000", "€5", "1.005",
        "99999999999999999999", "922337203685477.59",
        "9" * 1001, "\u22125",
    ],
)  # fmt: skip
def test_everything_else_is_refused_with_its_value(text: str) -> None:
    with pytest.raises(BadValue, match=r".+"):
        values.amount(text, "EUR", POINT)


@pytest.mark.parametrize(
    "text", ["1.5", "0.123", "12.34,5", "1.23.456", "01.234,5", "1234.567,00", "1,234", "1,2,3", ",5"]
)
def test_with_a_decimal_comma_a_point_only_groups_thousands(text: str) -> None:
    with pytest.raises(BadValue):
        values.amount(text, "EUR", COMMA)


def test_an_exponent_is_refused_before_it_costs_anything() -> None:
    began = time.monotonic()
    with pytest.raises(BadValue):
        values.amount("1E+1000000000", "EUR", POINT)
    assert time.monotonic() - began < 1


@pytest.mark.parametrize(
    ("currency", "good", "bad"), [("JPY", "12", "12.5"), ("EUR", "1.25", "1.255"), ("KWD", "1.255", "1.2555")]
)
def test_an_amount_has_at_most_the_decimals_of_its_currency(currency: str, good: str, bad: str) -> None:
    assert values.amount(good, currency, POINT) == Decimal(good)
    with pytest.raises(BadValue, match=currency):
        values.amount(bad, currency, POINT)


def test_a_decimal_comma_that_was_not_announced_is_hinted_at() -> None:
    with pytest.raises(BadValue, match="--decimal-comma"):
        values.amount("12,50", "EUR", POINT)


@pytest.mark.parametrize(
    ("text", "date_format", "day"),
    [
        ("2026-01-31", None, dt.date(2026, 1, 31)),
        ("1900-01-01", None, dt.date(1900, 1, 1)),
        ("2099-12-31", None, dt.date(2099, 12, 31)),
        ("05/05/2020", "%d/%m/%Y", dt.date(2020, 5, 5)),
        ("5/5/2020", "%d/%m/%Y", dt.date(2020, 5, 5)),
        ("20200505", "%Y%m%d", dt.date(2020, 5, 5)),
        ("3 Feb 21", "%d %b %y", dt.date(2021, 2, 3)),
        ("2020-05-05T13:30:00", "%Y-%m-%dT%H:%M:%S", dt.date(2020, 5, 5)),
    ],
)
def test_dates_are_read_in_their_format(text: str, date_format: str | None, day: dt.date) -> None:
    assert values.day(text, date_format) == day


@pytest.mark.parametrize(
    ("text", "date_format"),
    [
        ("", None), ("0000-00-00", None), ("2026-02-30", None), ("20260102", None), ("2026-W01-1", None),
        ("2026-1-2", None), ("2026-01-02T00:00", None), ("10000-01-01", None), ("0202-05-05", None),
        ("9999-12-31", None), ("1899-12-31", None), ("2100-01-01", None), ("\uff12\uff10\uff12\uff16-01-01", None),
        (" 2026-01-01", None), ("05/05/0202", "%d/%m/%Y"), ("05/05/202", "%d/%m/%Y"), ("31/02/2020", "%d/%m/%Y"),
        ("05/05/2020x", "%d/%m/%Y"), ("05/05/\u0662\u0660\u0662\u0660", "%d/%m/%Y"), ("0" * 1000, "%d/%m/%Y"),
        ("1122020", "%d%m%Y"), ("a sentence.", "%d/%m/%Y"),
    ],
)  # fmt: skip
def test_what_is_no_date_of_an_expense_is_refused(text: str, date_format: str | None) -> None:
    with pytest.raises(BadValue):
        values.day(text, date_format)


@pytest.mark.parametrize("date_format", ["%d/%m", "%Y", "%Y-%m", "%H:%M", "", "day", "%Y-%m-%q", "%d.%m.%Y %", "%"])
def test_a_format_without_year_month_and_day_is_refused(date_format: str) -> None:
    with pytest.raises(CannotImport, match="whole date"):
        Notation(date_format=date_format)


@pytest.mark.parametrize("text", ["", "a b", "a" * 151, "x\0y", "tab\there", "<script>"])
def test_an_owner_is_a_username(text: str) -> None:
    with pytest.raises(BadValue):
        values.owner(text)


def test_an_owner_is_normalised_as_at_login() -> None:
    assert values.owner("\uff41\uff44\uff41") == "ada"


@pytest.mark.parametrize("text", ["XXX", "eur", "€", "", "EURO", "XAU"])
def test_a_currency_is_a_code_of_money_in_use(text: str) -> None:
    with pytest.raises(BadValue):
        values.currency_code(text)


def test_a_status_is_one_of_the_list_and_the_message_names_them() -> None:
    assert values.status("approved") == "approved"
    assert values.status("") is None
    with pytest.raises(BadValue, match="draft, submitted, approved"):
        values.status("Approved")


def test_a_message_is_bounded_and_shows_control_characters_escaped() -> None:
    with pytest.raises(BadValue) as error:
        values.currency_code("\x1b[31m" + "x" * 10_000)
    assert len(str(error.value)) < 200
    assert "\x1b" not in str(error.value)


def test_an_id_is_the_same_forever() -> None:
    assert str(expense_id("import", "S31", "2141820")) == "ad152ea4-9a5f-5e12-8b2a-660cbeac4fff"


def test_no_two_triples_share_an_id() -> None:
    triples = [
        ("a", "b", "c"),
        ("a", "b,c", ""),
        ("ab", "", "c"),
        ("a", 'b","c', ""),
        ("a", "", "bc"),
        ("", "a", "bc"),
        ("b", "a", "c"),
    ]
    assert len({expense_id(*triple) for triple in triples}) == len(triples)


def test_either_a_currency_or_its_column_is_asked_for() -> None:
    for currency, column in ((None, None), ("EUR", "currency")):
        with pytest.raises(CannotImport, match="--currency-column"):
            Options(Columns("o", "c", "d", "a", "i", currency=column), currency=currency)
    with pytest.raises(CannotImport, match="ISO 4217"):
        Options(COLUMNS, currency="XXX")


@pytest.mark.parametrize("source", ["", "  ", "x" * 256, "a\0"])
def test_a_source_has_a_name(source: str) -> None:
    with pytest.raises(CannotImport, match="source"):
        Options(COLUMNS, source=source, currency="EUR")
