"""Where the bars of a chart stand. Pure: amounts go in, places in a box of WIDTH by HEIGHT come out.

No text is part of the drawing, so that it can be stretched to any width: labels stand beside it.
"""

from __future__ import annotations

import math
from collections.abc import Hashable, Sequence
from dataclasses import dataclass
from decimal import Decimal

WIDTH, HEIGHT = 1000.0, 220.0
FILLED = 0.62
"""How much of its place a bar takes; the rest is the gap to the next."""
TICKS = 4
STEPS = (1.0, 2.0, 2.5, 5.0, 10.0)
LARGE = ((1e12, "T"), (1e9, "bn"), (1e6, "M"), (1e3, "k"))


@dataclass(frozen=True)
class Bar:
    """One rectangle: what a series has in a period."""

    series: int
    period: int
    x: str
    y: str
    width: str
    height: str


@dataclass(frozen=True)
class Chart:
    """A chart of stacked bars."""

    bars: Sequence[Bar]
    ticks: Sequence[str]
    """Labels of the axis, the highest first, at equal distances from the top to the bottom."""
    lines: Sequence[str]
    """Where the lines of the ticks are."""
    zero: str
    """Where the line is from which bars grow, upwards or, below zero, downwards."""


def stacked(series: Sequence[Sequence[Decimal]]) -> Chart:
    """Return the chart of series that have an amount for each period; of no periods it is empty."""
    periods = list(zip(*series, strict=True))
    highest = max((float(sum(amount for amount in period if amount > 0)) for period in periods), default=0.0)
    lowest = min((float(sum(amount for amount in period if amount < 0)) for period in periods), default=0.0)
    ticks = scale(lowest, highest)
    bottom, top = ticks[0], ticks[-1]

    def place(amount: float) -> float:
        return (top - amount) / (top - bottom) * HEIGHT

    bars = [
        _bar(number, index, len(periods), place(start), place(end))
        for index, period in enumerate(periods)
        for number, start, end in _stack(period)
    ]
    falling = ticks[::-1]
    lines = [_number(place(tick)) for tick in falling]
    return Chart(bars, [compact(tick) for tick in falling], lines, _number(place(0)))


def _stack(period: Sequence[Decimal]) -> list[tuple[int, float, float]]:
    """Return number, start and end of each amount but zeros, as they lie upon each other away from zero."""
    up, down, found = 0.0, 0.0, []
    for number, amount in enumerate(period):
        if amount > 0:
            found.append((number, up, up + float(amount)))
            up += float(amount)
        elif amount < 0:
            found.append((number, down, down + float(amount)))
            down += float(amount)
    return found


def _bar(series: int, period: int, periods: int, start: float, end: float) -> Bar:
    place = WIDTH / periods
    x = place * period + place * (1 - FILLED) / 2
    return Bar(series, period, _number(x), _number(min(start, end)), _number(place * FILLED), _number(abs(end - start)))


def scale(lowest: float, highest: float) -> list[float]:
    """Return round numbers at equal distances, zero among them, from at most ``lowest`` to at least ``highest``."""
    span = highest - lowest
    if not span:
        return [0.0, 1.0]
    magnitude = 10.0 ** math.floor(math.log10(span / TICKS))
    step = next(factor * magnitude for factor in STEPS if factor * magnitude * TICKS >= span)
    first, last = math.floor(lowest / step), math.ceil(highest / step)
    return [number * step for number in range(first, last + 1)]


def compact(amount: float) -> str:
    """Return a number as short as an axis wants it: 1.5k, −20M, 0.25."""
    size, sign = abs(amount), "−" if amount < 0 else ""
    for unit, letter in LARGE:
        if size >= unit:
            return f"{sign}{size / unit:g}{letter}"
    return f"{sign}{size:g}"


def colours(charts: Sequence[Sequence[Hashable]], number: int) -> list[dict[Hashable, int]]:
    """Return the colour, one of ``number``, of each key in each chart: the same in all charts, as far as can be.

    No chart has more keys than there are colours; no two keys of one have the same.
    """
    known: dict[Hashable, int] = {}
    found = []
    for keys in charts:
        kept: dict[Hashable, int] = {}
        for key in keys:
            if key in known and known[key] not in kept.values():
                kept[key] = known[key]
        free = iter([colour for colour in range(number) if colour not in kept.values()])
        found.append({key: kept[key] if key in kept else next(free) for key in keys})
        known = {**found[-1], **known}
    return found


def share(amount: Decimal, largest: Decimal) -> str:
    """Return how long a bar is, in percent of the longest one; none is too short to be seen."""
    if not amount or not largest:
        return "0"
    return _number(max(float(abs(amount) / abs(largest)) * 100, 0.6))


def _number(place: float) -> str:
    return f"{place:.2f}"
