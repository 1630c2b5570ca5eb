"""How long a live writer has to wait for a rebuild."""

from __future__ import annotations

import statistics

from benchmarks import data
from benchmarks.bench import Bench
from benchmarks.crew import Crew, crew
from benchmarks.pairs import summary
from expenses.models import ExpenseTotals

WINDOW = 1.0  # seconds
WRITER, REBUILDER = 0, 1


def measure(bench: Bench) -> None:
    """Compare the writer's longest gaps in windows during rebuilds with those in as many without one."""
    with crew(2) as team:
        gap(team)  # warm
        rebuilding, alone = windows(bench, team)
        base = statistics.median(alone)
        bench.keep("rebuild_stall", summary([longest / base for longest in rebuilding]))
        bench.notes["longest_gap_ms"] = {
            "during a rebuild": round(statistics.median(rebuilding) * 1000, 1),
            "without": round(base * 1000, 1),
        }


def windows(bench: Bench, team: Crew) -> tuple[list[float], list[float]]:
    """Return the longest gap of each window: during rebuilds from nothing, and between them."""
    rebuilding: list[float] = []
    alone: list[float] = []
    while len(rebuilding) < bench.sizes.windows:
        data.empty(ExpenseTotals)
        during = while_rebuilding(bench, team)
        rebuilding += during
        alone += [gap(team) for _ in during]
    return rebuilding, alone


def while_rebuilding(bench: Bench, team: Crew) -> list[float]:
    """Return the longest gaps while a rebuild runs, of whole windows."""
    began = data.now()
    team.tell(REBUILDER, "rebuild")
    found = []
    while not found or not data.rebuilt_since(began):
        found.append(gap(team))
    bench.notes["rebuild_megabytes"] = round(team.hear(REBUILDER))
    return found[:-1] or found  # the last may have outlasted the rebuild


def gap(team: Crew) -> float:
    """Return the longest gap of one window, in seconds."""
    team.tell(WRITER, "gap", seconds=WINDOW)
    longest: float = team.hear(WRITER)
    return longest
