"""What each ratio is of, and what it must reach on PostgreSQL."""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import Enum

from benchmarks.pairs import Ratio

MILLION = 1_000_000


class Verdict(Enum):
    """How a ratio compares with its bar."""

    HELD = "ok"
    NOISE = "within noise"
    MISSED = "MISSED"
    NONE = ""


@dataclass(frozen=True)
class Bar:
    """What is compared, and the most or the least that the ratio may be; neither where it is only reported."""

    what: str
    most: float | None = None
    least: float | None = None
    by_rows: bool = False
    """Whether ``least`` grows with the expenses, of which it means a million."""
    few: float | None = None
    """The most, or the least, where there are fewer than a million: what is done once then weighs more."""

    def at(self, rows: int) -> Bar:
        """Return the bar for that many expenses."""
        if self.by_rows and self.least is not None:
            return replace(self, least=max(self.least * rows / MILLION, 1.0))
        if rows >= MILLION or self.few is None:
            return self
        return replace(self, most=self.most and self.few, least=self.least and self.few)

    def verdict(self, ratio: Ratio) -> Verdict:
        """Return how a ratio compares: missed is beyond the bar by more than the noise, its near quartile."""
        if self.most is not None:
            return _verdict(held=ratio.median <= self.most, near=ratio.low <= self.most)
        if self.least is not None:
            return _verdict(held=ratio.median >= self.least, near=ratio.high >= self.least)
        return Verdict.NONE

    def __str__(self) -> str:
        if self.most is not None:
            return f"≤ {self.most:g}"
        return "" if self.least is None else f"≥ {self.least:g}"


def _verdict(*, held: bool, near: bool) -> Verdict:
    if held:
        return Verdict.HELD
    return Verdict.NOISE if near else Verdict.MISSED


BARS: dict[str, Bar] = {
    "insert": Bar("save() of a new expense / the same without totals", most=1.5),
    "update": Bar("save() with another amount / the same without totals", most=1.6),
    "note_update": Bar("save() with another description / the same without totals", most=1.4),
    "delete": Bar("delete() of one expense / the same without totals", most=1.8),
    "trail_insert": Bar("the service's save(), with its audit trail: new expense / the engine alone"),
    "trail_update": Bar("the service's save(), with its audit trail: another amount / the engine alone"),
    "naive_insert": Bar("a textbook's receivers: new expense / without totals"),
    "naive_update": Bar("a textbook's receivers: another amount / without totals"),
    "trigger_insert": Bar("a hand-written row trigger: new expense / without totals"),
    "computedfields_insert": Bar("django-computedfields: new expense / without totals"),
    "matview_refresh": Bar("new expense and a refresh of a materialized view / without totals"),
    "bulk_create_10k": Bar("bulk_create() / the same without totals", most=1.25),
    "update_100k": Bar("update() of many rows / the same without totals", most=1.6),
    "delete_100k": Bar("delete() of many rows / the same without totals", most=4.0),
    "cascade_10k": Bar("a cascade / the same with receivers that do nothing", most=2.0),
    "hot16_vs_spread16": Bar("16 writers, one bucket: throughput / on a bucket each", least=0.95),
    "hot16_vs_plain16": Bar("16 writers, one bucket: throughput / without totals", least=0.60),
    "hot16_long_vs_plain16": Bar("the same with 5 ms of other work in each transaction", least=0.85, few=0.7),
    "owner16_vs_plain16": Bar("16 writers for one owner on one day, no slots: throughput / without totals"),
    "trigger16_vs_plain16": Bar("16 writers, a row trigger with slots: throughput / without totals"),
    "naive16_vs_plain16": Bar("16 writers, a textbook's receivers: throughput / without totals"),
    "read_1m": Bar("GROUP BY over the expenses / the same from totals", least=80.0, by_rows=True),
    "read_2m": Bar("the same at twice the expenses", least=160.0, by_rows=True),
    "read_after_heat": Bar("that read after 16 writers and a fold / before", most=1.3),
    "read_striped": Bar("that read after 16 writers, not yet folded / before"),
    "read_growth": Bar("that read / with far fewer expenses in as many coarse buckets", most=1.2),
    "verify_1m": Bar("verify / the bare SELECT … GROUP BY", most=1.5, few=2.5),
    "rebuild_1m": Bar("rebuild from nothing / INSERT … SELECT … GROUP BY", most=3.0, few=6.0),
    "rebuild_stall": Bar("a live writer's longest gap during a rebuild / without", most=2.0),
    "sparse_read": Bar("sparse data: GROUP BY / the same from totals"),
    "sparse_verify": Bar("sparse data: verify / the bare SELECT … GROUP BY"),
    "sparse_rebuild": Bar("sparse data: rebuild from nothing / INSERT … SELECT … GROUP BY"),
    "api_totals": Bar("GET /api/v1/totals/: requests a second / computed live", least=15.0, by_rows=True),
}

SQLITE = "sqlite_"


def bar(name: str, rows: int) -> Bar:
    """Return the bar of a ratio, for that many expenses; SQLite's are only reported."""
    if name.startswith(SQLITE):
        return Bar(BARS[name.removeprefix(SQLITE)].what)
    return BARS[name].at(rows)
