"""How amounts are written on the pages for people: with the currency's digits, grouped, linked to their expenses."""

from __future__ import annotations

from collections.abc import Iterable
from decimal import Decimal
from typing import Any

from django import template
from django.utils.html import format_html
from django.utils.safestring import SafeString

from expenses import currencies
from expenses.dashboard import charts
from expenses.dashboard.figures import Cell, Change, Series

register = template.Library()


@register.filter
def money(amount: Decimal, currency: str) -> str:
    """Return an amount with the currency's digits and a comma between thousands: −1,234.50."""
    whole, point, digits = currencies.plain(abs(amount), currency).partition(".")
    return f"{'−' if amount < 0 else ''}{int(whole):,}{point}{digits}"


@register.filter
def signed(amount: Decimal, currency: str) -> str:
    """Return a difference, which has a sign unless it is nothing."""
    return f"+{money(amount, currency)}" if amount > 0 else money(amount, currency)


@register.filter
def plain(amount: Decimal, currency: str) -> str:
    """Return an amount as a program reads it: -1234.50."""
    return currencies.plain(amount, currency)


@register.filter
def percent(change: Change) -> str:
    """Return a change in percent; nothing where there was nothing before."""
    value = change.percent
    if value is None:
        return ""
    return f"{'+' if value > 0 else '−' if value < 0 else ''}{abs(value):,} %"


@register.filter
def longest(cells: Iterable[Cell | Change]) -> Decimal:
    """Return the largest amount among cells or changes, whatever its sign."""
    return max((abs(cell.amount) for cell in cells), default=Decimal(0))


@register.filter
def both_largest(change: Change) -> Decimal:
    """Return the larger amount of a change's two months, whatever its sign."""
    return longest((change.now, change.before))


@register.filter
def largest_total(series: Iterable[Series]) -> Decimal:
    """Return the largest total among series."""
    return longest(one.total for one in series)


@register.filter
def largest_second(pairs: Iterable[tuple[Any, Cell]]) -> Decimal:
    """Return the largest amount among cells, each the second of a pair."""
    return longest(cell for _first, cell in pairs)


@register.filter
def share(amount: Decimal, largest: Decimal) -> str:
    """Return the length of a bar in percent of the longest."""
    return charts.share(amount, largest)


@register.simple_tag(takes_context=True)
def amount(context: Any, cell: Cell, name: str = "") -> SafeString | str:
    """Return a sum as a link to the expenses that it is of; a dash where there are none."""
    return _link(context, cell, money(cell.amount, cell.currency), name, currencies.plain(cell.amount, cell.currency))


@register.simple_tag(takes_context=True)
def number(context: Any, cell: Cell, name: str = "") -> SafeString | str:
    """Return how many expenses there are, as a link to them."""
    return _link(context, cell, f"{cell.count:,}", name, str(cell.count))


def _link(context: Any, cell: Cell, text: str, name: str, value: str) -> SafeString | str:
    if not cell.count:
        return format_html('<span class="t-none"{}>–</span>', _test_id(name))
    href = context["links"].to(cell)
    return format_html('<a class="t-number" href="{}" data-value="{}"{}>{}</a>', href, value, _test_id(name), text)


def _test_id(name: str) -> SafeString | str:
    return format_html(' data-testid="{}"', name) if name else ""


@register.simple_tag(takes_context=True)
def link_of(context: Any, cell: Cell) -> str:
    """Return the address of a cell's expenses."""
    address: str = context["links"].to(cell)
    return address
