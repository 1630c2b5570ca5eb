"""The page ``docs/performance.md``: what a user gains and pays, in the figures of the last full run."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from benchmarks import bars, plot
from benchmarks.load import figures
from benchmarks.report import Report, number

WRITERS, READ = "writers: ", "read: "

INTRODUCTION = (
    "A ratio compares two things that were timed side by side in one run, in the order A B B A, until the median was "
    "steady or the time was up: a machine that is slow for a moment is slow for both. Seconds would be true of one "
    "machine, ratios hold on others. “Without totals” is the same write, in `atomic()`, on the same model of which no "
    "totals are kept. Three rollups are kept throughout: by owner, category, currency, status and day; the same by "
    "month; and by category, currency, status and month in 16 slots."
)
LEGEND = (
    "Low and high are quartiles. A bar is what a ratio must reach; one that is missed by more than the noise, with its "
    "nearer quartile too, makes `make bench` fail. Names that begin with `sqlite_` are of SQLite, which has one "
    "writer; the others of PostgreSQL."
)
AGAIN = (
    "`make bench` measures it again, `make bench QUICK=1` the barred ratios on fewer rows in two minutes. The figures "
    "go to `build/bench.json` as well."
)


def write(report: Report, folder: Path) -> list[Path]:
    """Write the page and its plots into a folder; return their paths. The section of `make load` stays."""
    old = folder / "performance.md"
    load = figures.kept(old.read_text()) if old.exists() else ""
    texts = {
        "performance.md": figures.within(page(report), load) if load else page(report),
        "performance-reads.svg": _plot(
            report, READ, "A total by category and month", "expenses", "milliseconds", decades=True
        ),
        "performance-writers.svg": _plot(
            report, WRITERS, "Inserts a second, by writers", "writers", "commits a second", decades=False
        ),
    }
    paths = []
    for name, text in texts.items():
        if text:
            paths.append(folder / name)
            paths[-1].write_text(text)
    return paths


def page(report: Report) -> str:
    """Return the page."""
    return (
        "\n\n".join(
            [
                "<!-- Written by `make bench` -->",
                "# What running totals cost, and what they save",
                INTRODUCTION,
                "## What you gain",
                *_said(report, GAINS),
                *_picture(report, READ, "performance-reads.svg", "Reads by the number of expenses"),
                "## What you pay",
                *_said(report, COSTS),
                *_picture(report, WRITERS, "performance-writers.svg", "Throughput by the number of writers"),
                "## Every ratio",
                LEGEND,
                "\n".join(_table(report)),
                "## On what this was measured",
                "\n".join(
                    ["| | |", "| --- | --- |", *(f"| {k} | {_plain(v)} |" for k, v in report.environment.items())]
                ),
                AGAIN,
            ]
        )
        + "\n"
    )


# What is said of a ratio where there is one. {0} is its median, {1} its inverse.
GAINS = {
    "read_1m": "A total by category and month over {rows:,} expenses is read **{0} times faster** than it is computed.",
    "read_2m": "At twice the expenses it is {0} times faster, for what is read does not grow with them,",
    "read_growth": "only with the buckets: the read takes {0} times what it takes with far fewer expenses in as many.",
    "api_totals": "`GET /api/v1/totals/` answers **{0} times as many requests** a second as it would computing live.",
    "matview_refresh": "A materialized view that is refreshed after each write makes the write {0} times as dear; "
    "one that is not is out of date.",
}
COSTS = {
    "insert": "Saving a new expense takes **{0} times** what it takes without totals,",
    "update": "saving one with another amount {0} times,",
    "note_update": "with another description, which changes no total, {0} times,",
    "delete": "deleting one {0} times.",
    "trail_insert": "The service's own expenses leave an audit trail besides, which makes a new one {0} times as dear",
    "trail_update": "and a changed one {0} times.",
    "naive_insert": "A textbook's receivers cost {0} times for a new expense",
    "naive_update": "and {0} times for a changed one, and are wrong as soon as two writers meet.",
    "trigger_insert": "A trigger in the database costs {0} times, and has to be written by hand, for each database.",
    "bulk_create_10k": "`bulk_create()` takes {0} times what it takes without totals,",
    "update_100k": "`update()` {0} times,",
    "delete_100k": "`delete()` of many rows {0} times,",
    "cascade_10k": "and a cascade {0} times the same cascade to rows with delete receivers that do nothing.",
    "hot16_vs_plain16": "Sixteen writers on one busy bucket get **{0}** of the throughput that they would have without "
    "totals,",
    "hot16_vs_spread16": "and {0} of what they get on buckets of their own;",
    "hot16_long_vs_plain16": "with 5 ms of other work in each transaction it is {0} of that without totals.",
    "owner16_vs_plain16": "Where all sixteen write for one owner on one day, into buckets without slots, it is {0}.",
    "rebuild_stall": "While a rebuild runs, the longest wait of a writer is {0} times what it is without one.",
    "rebuild_1m": "The rebuild takes {0} times as long as a bare `INSERT … SELECT … GROUP BY`, which would shut "
    "writers out;",
    "verify_1m": "a verify takes {0} times as long as the bare `SELECT … GROUP BY`.",
}


def _said(report: Report, sentences: dict[str, str]) -> list[str]:
    found = [
        text.format(number(report.ratios[name].median), rows=report.rows)
        for name, text in sentences.items()
        if name in report.ratios
    ]
    return [" ".join(found)] if found else []


def _table(report: Report) -> Iterator[str]:
    verdicts = report.verdicts()
    yield "| Name | What | Median | Low | High | Rounds | Bar | |"
    yield "| --- | --- | ---: | ---: | ---: | ---: | ---: | --- |"
    for name, ratio in report.ordered():
        bar = bars.bar(name, report.rows)
        figures = " | ".join(map(number, (ratio.median, ratio.low, ratio.high)))
        yield f"| `{name}` | {bar.what} | {figures} | {ratio.runs} | {bar} | {verdicts[name].value} |"


def _lines(report: Report, prefix: str) -> dict[str, list[tuple[float, float]]]:
    return {
        name.removeprefix(prefix): [(float(x), y) for x, y in points]
        for name, points in report.series.items()
        if name.startswith(prefix)
    }


def _plot(report: Report, prefix: str, title: str, x: str, y: str, *, decades: bool) -> str:
    lines = _lines(report, prefix)
    return plot.line_chart(title, x, y, lines, decades=decades) if lines else ""


def _picture(report: Report, prefix: str, file: str, what: str) -> list[str]:
    return [f"![{what}]({file})"] if _lines(report, prefix) else []


def _plain(value: object) -> str:
    if isinstance(value, dict):
        return ", ".join(f"{name}: {figure}" for name, figure in value.items())
    return f"{value:,}" if isinstance(value, int) else str(value)
