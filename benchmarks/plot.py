"""A line chart as SVG, in plain text: enough for two plots, and no dependency."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from html import escape

WIDTH, HEIGHT = 720, 400
LEFT, RIGHT, TOP, BOTTOM = 70, 20, 70, 50
COLOURS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#7f7f7f")  # told apart by the colour-blind (Okabe, Ito)
MARKS = ("circle", "square", "diamond", "triangle", "cross")
SHAPES = {
    "circle": "M-4 0a4 4 0 1 0 8 0a4 4 0 1 0 -8 0",
    "square": "M-4 -4h8v8h-8z",
    "diamond": "M0 -5l5 5l-5 5l-5 -5z",
    "triangle": "M0 -5l5 9h-10z",
    "cross": "M-4 -4l8 8M-4 4l8 -8",
}


@dataclass(frozen=True)
class Scale:
    """Maps values to a stretch of the page, by their logarithm or as they are."""

    low: float
    high: float
    start: float
    end: float
    logarithmic: bool

    def at(self, value: float) -> float:
        """Return where a value lies."""
        low, high, value = (math.log10(v) if self.logarithmic else v for v in (self.low, self.high, value))
        return self.start + (value - low) / (high - low) * (self.end - self.start)


def line_chart(
    title: str, x_title: str, y_title: str, lines: Mapping[str, Sequence[tuple[float, float]]], *, decades: bool
) -> str:
    """Return the text of an SVG with a line for each name; x is logarithmic, y too where ``decades``."""
    xs = sorted({x for points in lines.values() for x, _y in points})
    ys = [y for points in lines.values() for _x, y in points]
    ticks = _decades(min(ys), max(ys)) if decades else _steps(max(ys))
    x = Scale(xs[0], max(xs[-1], xs[0] * 1.001), LEFT + 20, WIDTH - RIGHT - 20, logarithmic=True)
    y = Scale(ticks[0], ticks[-1], HEIGHT - BOTTOM, TOP, logarithmic=decades)
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" font-family="sans-serif" '
        f'font-size="12" role="img" aria-label="{escape(title)}">',
        f'<rect width="{WIDTH}" height="{HEIGHT}" fill="#fff"/>',
        _text(WIDTH / 2, 20, title, size=14),
        _text(WIDTH / 2, HEIGHT - 10, x_title),
        f'<g transform="translate(16 {(TOP + HEIGHT - BOTTOM) / 2}) rotate(-90)">{_text(0, 0, y_title)}</g>',
    ]
    for tick in ticks:
        parts.append(f'<path d="M{LEFT} {y.at(tick):.1f}H{WIDTH - RIGHT}" stroke="#ddd"/>')
        parts.append(_text(LEFT - 8, y.at(tick) + 4, f"{tick:,g}", anchor="end"))
    parts += [_text(x.at(tick), HEIGHT - BOTTOM + 18, f"{tick:,g}") for tick in xs]
    for number, (name, points) in enumerate(lines.items()):
        parts += _line(number, name, [(x.at(a), y.at(b)) for a, b in sorted(points)])
    return "\n".join([*parts, "</svg>"]) + "\n"


def _line(number: int, name: str, points: Sequence[tuple[float, float]]) -> list[str]:
    colour, mark = COLOURS[number % len(COLOURS)], SHAPES[MARKS[number % len(MARKS)]]
    path = "M" + "L".join(f"{x:.1f} {y:.1f}" for x, y in points)
    left, top = LEFT + 215 * (number % 3), 40 + 16 * (number // 3)
    paint = f'fill="{colour}" stroke="{colour}"'
    return [
        f'<path d="{path}" fill="none" stroke="{colour}" stroke-width="2"/>',
        *(f'<path d="{mark}" {paint} transform="translate({x:.1f} {y:.1f})"/>' for x, y in points),
        f'<path d="{mark}" {paint} transform="translate({left} {top - 4})"/>',
        _text(left + 10, top, name, anchor="start"),
    ]


def _text(x: float, y: float, text: str, *, size: int = 12, anchor: str = "middle") -> str:
    return f'<text x="{x:.1f}" y="{y:.1f}" font-size="{size}" text-anchor="{anchor}">{escape(text)}</text>'


def _decades(low: float, high: float) -> list[float]:
    first, last = math.floor(math.log10(low)), math.ceil(math.log10(high))
    return [10.0**exponent for exponent in range(first, max(last, first + 1) + 1)]


def _steps(high: float) -> list[float]:
    step = 10.0 ** math.floor(math.log10(high))
    step = next(step * part for part in (0.1, 0.2, 0.5, 1.0) if high / (step * part) <= 10)  # noqa: PLR2004 - lines
    return [step * i for i in range(math.ceil(high / step) + 1)]
