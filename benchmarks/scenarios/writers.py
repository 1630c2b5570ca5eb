"""Sixteen processes that insert side by side: on one bucket, on buckets of their own, without totals."""

from __future__ import annotations

from benchmarks.bench import Bench
from benchmarks.crew import WRITERS, Crew, crew
from benchmarks.pairs import Sample

OTHER_WORK = 0.005  # seconds
NUMBERS = (1, 2, 4, 8, 16)
LINES = {
    "without totals": ("plain", "hot"),
    "tracked, one bucket": ("expense", "hot"),
    "tracked, buckets of their own": ("expense", "spread"),
    "textbook, one bucket": ("naive", "hot"),
    "row trigger, one bucket": ("triggered", "hot"),
}


def measure(bench: Bench) -> None:
    """Measure throughput at 16 writers, then how it grows with their number."""
    with crew() as team:
        warm(bench, team)
        compare(bench, team)
        if bench.sizes.full:
            growth(bench, team)


def warm(bench: Bench, team: Crew) -> None:
    """Let each process connect and meet its buckets, one after another, so that none is made twice."""
    models = ("plain", "expense", "naive", "triggered") if bench.unbarred else ("plain", "expense")
    for model in models:
        for where in ("hot", "spread", "owner"):
            for number in range(WRITERS):
                team.tell(number, "once", model=model, where=where)
                team.hear(number)


def compare(bench: Bench, team: Crew) -> None:
    """Measure the ratios: throughput of the first over that of the second."""

    def cost(model: str, where: str, pause: float = 0.0) -> Sample:
        return lambda: 1 / team.throughput(model, where, seconds=bench.sizes.window, pause=pause)

    hot, plain = cost("expense", "hot"), cost("plain", "hot")
    bench.compare("hot16_vs_spread16", hot, cost("expense", "spread"), times=3.0)
    bench.compare("hot16_vs_plain16", hot, plain, times=3.0)
    long_hot, long_plain = cost("expense", "hot", OTHER_WORK), cost("plain", "hot", OTHER_WORK)
    bench.compare("hot16_long_vs_plain16", long_hot, long_plain, times=3.0)
    bench.compare("owner16_vs_plain16", cost("expense", "owner"), plain)
    bench.compare("trigger16_vs_plain16", cost("triggered", "hot"), plain)
    bench.compare("naive16_vs_plain16", cost("naive", "hot"), plain)


def growth(bench: Bench, team: Crew) -> None:
    """Measure the throughput of few and many writers, for the plot."""
    for writers in NUMBERS:
        for line, (model, where) in LINES.items():
            found = team.throughput(model, where, seconds=bench.sizes.window, writers=writers)
            bench.point(f"writers: {line}", writers, found)
