"""The figures of a load: printed, and written into ``docs/performance.md`` between two marks."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

BEGIN, END = "<!-- load: begin, written by `make load` -->", "<!-- load: end -->"
BESIDE, ALONE, OFF = "beside all that", "alone", "totals switched off"
KINDS = (
    "totals of all",
    "totals of one owner",
    "list of expenses",
    "one expense",
    "create",
    "create again",
    "change",
    "delete",
    "refused",
    "stale",
)
LARGE = 100


@dataclass
class Found:
    """What a run has found."""

    clients: int
    seconds: int
    rows: int
    environment: dict[str, object] = field(default_factory=dict)
    loads: dict[str, dict[str, Any]] = field(default_factory=dict)
    """What clients saw of each load, by its name: see ``benchmarks.load.clients``."""
    times: dict[str, int] = field(default_factory=dict)
    """How often each thing was done beside the clients."""
    memory: dict[int, tuple[int, int]] = field(default_factory=dict)
    """What each worker held, early and late, in bytes."""
    writes: dict[str, int] = field(default_factory=dict)
    """How many expenses are there, gone and refused, as they should be."""
    failures: list[str] = field(default_factory=list)

    @property
    def busy(self) -> int:
        """Return how many requests of clients were refused with 429 or 503."""
        return sum(sum(load["busy"].values()) for load in self.loads.values())


def said(found: Found) -> Iterator[str]:
    """Yield the sentences about a run."""
    yield (
        f"{found.clients} clients, each of which asks again as soon as it is answered, 70 % reads and 30 % writes, "
        f"half of them for one owner on one day, for {found.seconds} seconds: against the service under gunicorn with "
        f"the settings of production and PostgreSQL, of {found.rows:,} expenses, all on one machine, the clients too."
    )
    beside = ", ".join(f"{name} {times:,} times" for name, times in found.times.items())
    yield f"Beside them: {beside}."
    yield (
        "No answer was an error, no snapshot drifted, no acknowledged write was missing and no refused one there: "
        + ", ".join(f"{number:,} {what}" for what, number in found.writes.items())
        + f". {found.busy or 'None'} of the requests {'were' if found.busy else 'was'} refused with 429 or 503."
    )
    if found.memory:
        held = "; ".join(f"{early / 2**20:.1f} and {late / 2**20:.1f} MB" for early, late in found.memory.values())
        yield f"The workers held, in the second fifth of the time and in the last: {held}."


def table(found: Found) -> Iterator[tuple[str, ...]]:
    """Yield the lines of the table: of each load requests a second, median and 99th percentile in milliseconds."""
    yield ("Request", *(f"{word} ({name})" for name in found.loads for word in ("a second", "median", "p99")))
    for kind in (*KINDS, "all"):
        yield (kind, *(cell for load in found.loads.values() for cell in _cells(load, kind)))


def _cells(load: Mapping[str, Any], kind: str) -> Sequence[str]:
    figures = load["kinds"].get(kind)
    if not figures:
        return ("", "", "")
    return (_number(figures["requests"] / load["seconds"]), _number(figures["median"]), _number(figures["p99"]))


def _number(value: float) -> str:
    return f"{value:,.0f}" if value >= LARGE else f"{value:.3g}"


def section(found: Found) -> str:
    """Return the section of the page, with its marks."""
    head, *lines = table(found)
    ruler = ("---", *["---:"] * (len(head) - 1))
    return "\n\n".join(
        [
            BEGIN,
            "## Under load",
            " ".join(said(found)),
            f"The table has three loads: the one above; a fifth of its time with nothing beside it (“{ALONE}”); and "
            f"the same against the service with “{OFF}”, in which reads are computed from the expenses and writes "
            "leave their audit trail alone. Milliseconds are those of clients who outnumber the threads that "
            "answer them, so most of each is waiting.",
            "\n".join(f"| {' | '.join(cells)} |" for cells in (head, ruler, *lines)),
            "\n".join(["| | |", "| --- | --- |", *(f"| {k} | {v} |" for k, v in found.environment.items())]),
            "`make load` measures it again and fails where any of this does not hold; `make load SECONDS=30` is a "
            "short one, which leaves this page alone.",
            END,
        ]
    )


def within(page: str, new: str) -> str:
    """Return a page with the section in the place of its old one, or at its end."""
    before, mark, rest = page.partition(BEGIN)
    if not mark:
        return f"{page.rstrip()}\n\n{new}\n"
    return f"{before}{new}{rest.partition(END)[2]}"


def kept(page: str) -> str:
    """Return the section that a page has, with its marks; nothing where it has none."""
    _before, mark, rest = page.partition(BEGIN)
    return f"{mark}{rest.partition(END)[0]}{END}" if mark else ""
