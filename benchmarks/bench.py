"""What every scenario is given: the sizes, the shape of the data, and where results go."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, field

from django.db import connection

from benchmarks.bars import BARS
from benchmarks.data import Shape
from benchmarks.pairs import Patience, Ratio, Sample, interleaved
from benchmarks.sizes import Sizes


@dataclass
class Bench:
    """One run on one database, and what it has found so far."""

    sizes: Sizes
    shape: Shape
    unbarred: bool
    """Whether what has no bar is measured too."""
    ratios: dict[str, Ratio] = field(default_factory=dict)
    series: dict[str, list[tuple[int, float]]] = field(default_factory=dict)
    """Points of the plots, by line: what lies on the x axis, and a figure of this run."""
    notes: dict[str, object] = field(default_factory=dict)
    """Figures that belong to the environment."""
    failures: list[str] = field(default_factory=list)
    """Scenarios that ended in an error."""
    began: float = field(default_factory=time.monotonic)

    @property
    def postgresql(self) -> bool:
        """Whether this run is on PostgreSQL."""
        return connection.vendor == "postgresql"

    def compare(
        self, name: str, base: Sample, other: Sample, *, times: float = 1.0, fewest: int = 3, warm: bool = True
    ) -> None:
        """Measure what ``other`` costs in units of ``base``, and keep it under a name.

        It may take ``times`` as long as others.
        """
        if not self.unbarred and not str(BARS[name]):
            return
        seconds = self.sizes.seconds * times
        self.keep(name, interleaved(base, other, Patience(seconds, fewest=fewest, warm=warm)))

    def keep(self, name: str, ratio: Ratio) -> None:
        """Keep a ratio under its name."""
        name = name if self.postgresql else f"sqlite_{name}"
        self.ratios[name] = ratio
        self.say(f"{name} {ratio.median:.3g} ({ratio.low:.3g} … {ratio.high:.3g}, {ratio.runs} runs)")

    def point(self, line: str, x: int, y: float) -> None:
        """Keep a point of a plot."""
        self.series.setdefault(line, []).append((x, y))

    def say(self, text: str) -> None:
        """Tell on standard error how far the run has come."""
        print(f"{time.monotonic() - self.began:6.0f} s  {connection.vendor:10}  {text}", file=sys.stderr, flush=True)


Scenario = Callable[[Bench], None]
