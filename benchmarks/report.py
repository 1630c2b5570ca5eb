"""What was found, as a table, as JSON and as the page ``docs/performance.md``."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

from benchmarks import bars
from benchmarks.bars import BARS, SQLITE, Verdict
from benchmarks.pairs import Ratio

Points = list[tuple[int, float]]


@dataclass
class Report:
    """Environment, ratios by name, points of plots by line, and scenarios that failed."""

    rows: int
    environment: dict[str, Any] = field(default_factory=dict)
    ratios: dict[str, Ratio] = field(default_factory=dict)
    series: dict[str, Points] = field(default_factory=dict)
    failures: list[str] = field(default_factory=list)

    def take(self, found: Mapping[str, Any]) -> None:
        """Take in what one database's run has found."""
        self.environment |= found["environment"]
        self.ratios |= {name: Ratio(**values) for name, values in found["ratios"].items()}
        self.series |= {name: [(x, y) for x, y in points] for name, points in found["series"].items()}
        self.failures += found["failures"]

    def as_json(self) -> dict[str, Any]:
        """Return ``{"environment": {…}, "ratios": {NAME: {"median", "low", "high", "runs"}}}``."""
        return {
            "environment": self.environment,
            "ratios": {name: asdict(ratio) for name, ratio in self.ordered()},
        }

    def ordered(self) -> Iterator[tuple[str, Ratio]]:
        """Yield the ratios, in the order in which their bars are listed, SQLite's last."""
        for prefix in ("", SQLITE):
            for name in BARS:
                if prefix + name in self.ratios:
                    yield prefix + name, self.ratios[prefix + name]

    def verdicts(self) -> dict[str, Verdict]:
        """Return how each ratio compares with its bar."""
        return {name: bars.bar(name, self.rows).verdict(ratio) for name, ratio in self.ordered()}

    @property
    def status(self) -> int:
        """Return the exit status: 1 where a bar is missed by more than the noise, or something failed."""
        nothing = not self.ratios
        return int(nothing or bool(self.failures) or Verdict.MISSED in self.verdicts().values())


def table(report: Report) -> str:
    """Return the ratios with bar and verdict, for the terminal."""
    lines = [("Name", "Median", "Quartiles", "Runs", "Bar", "Verdict", "What")]
    verdicts = report.verdicts()
    for name, ratio in report.ordered():
        bar = bars.bar(name, report.rows)
        quartiles = f"{number(ratio.low)} … {number(ratio.high)}"
        lines.append((name, number(ratio.median), quartiles, str(ratio.runs), str(bar), verdicts[name].value, bar.what))
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    rows = ["  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip() for line in lines]
    failed = [f"FAILED: {', '.join(report.failures)}; the errors are above."] if report.failures else []
    return "\n".join([*rows, *failed])


def number(value: float) -> str:
    """Return a ratio with three digits."""
    return f"{value:,.0f}" if abs(value) >= 100 else f"{value:.3g}"  # noqa: PLR2004 - three digits
