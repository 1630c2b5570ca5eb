"""Which currencies exist, and how many decimals each has (Unicode CLDR, through babel)."""

from __future__ import annotations

from decimal import Decimal
from functools import cache

from babel.core import get_global
from babel.numbers import get_currency_precision

# Codes of ISO 4217 that name no money: metals, units of account, tests.
NOT_MONEY = frozenset({"XAG", "XAU", "XBA", "XBB", "XBC", "XBD", "XDR", "XPD", "XPT", "XSU", "XTS", "XUA", "XXX"})


@cache
def codes() -> frozenset[str]:
    """Return the ISO 4217 codes in use today, as CLDR lists them by territory."""
    territories = get_global("territory_currencies").values()
    in_use = {code for currencies in territories for code, _start, end, _tender in currencies if end is None}
    return frozenset(in_use - NOT_MONEY)


@cache
def digits(currency: str) -> int:
    """Return the number of decimals of a currency: 2 for EUR, 0 for JPY, 3 for KWD."""
    return get_currency_precision(currency)


def quantum(currency: str) -> Decimal:
    """Return the smallest amount of a currency, such as ``Decimal("0.01")``."""
    return Decimal(1).scaleb(-digits(currency))


def decimals(amount: Decimal) -> int:
    """Return how many decimals an amount needs, trailing zeros aside."""
    exponent = amount.normalize().as_tuple().exponent
    return max(0, -exponent) if isinstance(exponent, int) else 0


def plain(amount: Decimal, currency: str) -> str:
    """Return an amount in plain notation with the currency's digits.

    An amount that was stored with more digits than its currency has keeps them: nothing shown is
    rounded.
    """
    places = max(digits(currency), decimals(amount))
    return f"{amount:.{places}f}"
