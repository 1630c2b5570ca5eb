"""Drift reports as text, JSON and CSV, written as they come so that none is held in memory."""

from __future__ import annotations

import argparse
import csv
import datetime as dt
import json
import shutil
import tempfile
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Self

from aggregates import interrupts, reports
from aggregates.definitions import Definition
from aggregates.drift import NOTHING, Comparison, Finding
from aggregates.extents import Selection
from aggregates.reported import Bucket

FORMATS = ("text", "json", "csv")
HELD = 2**20  # characters kept in memory; what is more goes to a temporary file


def positive(text: str) -> int:
    """Return a positive whole number from the command line."""
    try:
        number = int(text)
    except ValueError:
        number = 0
    if number < 1:
        raise argparse.ArgumentTypeError(f"{text!r} is not a positive whole number")
    return number


@dataclass(frozen=True)
class About:
    """What a report is of, and what is done about the drift: ``selection`` is None where it is of everything."""

    checked_at: dt.datetime
    corrects: bool = False
    selection: Selection | None = None
    reported: bool = False
    """Whether it is about buckets that another report names."""


class Report:
    """What a verify or rebuild found. A context: it is complete only when left without an error."""

    def __init__(self, out: Any, about: About) -> None:
        self.out = out
        self.about = about
        self.buckets = self.drifted = self.corrected = self.settled = 0
        self._begun = False

    @property
    def clean(self) -> bool:
        """Whether no drift was found."""
        return not self.drifted

    def __enter__(self) -> Self:
        """Begin to take in findings."""
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        """Print what stands after the findings, or what tells that an error cut them short."""
        if error is None:
            self._begin_once()
            self.end()
        elif self._begun:
            with suppress(OSError):  # it may be that nobody reads on
                self.cut_short("interrupted" if interrupts.caused(error) else f"{error}")

    def add(self, definition: Definition, comparison: Comparison, *, corrected: int = 0) -> None:
        """Take in one chunk and print what drifted."""
        if comparison is not NOTHING:
            self._begin_once()
        self.buckets += comparison.buckets
        self.corrected += corrected
        for finding in comparison.drift:
            self.drifted += 1
            self.finding(definition, finding)

    def settle(self, bucket: Bucket) -> None:
        """Take in a bucket that was reported to have drifted, and does not."""
        self.settled += 1
        self.no_finding(bucket)

    def _begin_once(self) -> None:
        # Not before there is something to report: what cannot run prints nothing.
        if not self._begun:
            self._begun = True
            self.begin()

    def begin(self) -> None:
        """Print what stands before the findings."""

    def finding(self, definition: Definition, finding: Finding) -> None:
        """Print one finding."""
        raise NotImplementedError  # pragma: no cover - each format has its own

    def no_finding(self, bucket: Bucket) -> None:
        """Print one bucket that was reported and does not drift."""
        raise NotImplementedError  # pragma: no cover - each format that rebuild has has its own

    def end(self) -> None:
        """Print what stands after the findings."""

    def cut_short(self, why: str) -> None:
        """Print what tells that there is no end."""


class Text(Report):
    """One line a finding, and a line that sums up."""

    def begin(self) -> None:
        """Print what was asked for, and what of it is not looked at."""
        if self.about.selection:
            self.out.write(f"Only {self.about.selection.extent}.")
            for skipped in self.about.selection.skipped:
                self.out.write(f"skipped {skipped}")

    def finding(self, definition: Definition, finding: Finding) -> None:
        """Print one line."""
        row = reports.as_json(definition, finding)
        kinds = ("stored", "expected", "difference")
        amounts = "; ".join(
            f"{name}: {', '.join(f'{kind} {row[kind][name]}' for kind in kinds)}" for name in definition.measures
        )
        self.out.write(f"drift in {definition.label} {row['rollup']}: {_bucket(row['bucket'])}: {amounts}")

    def no_finding(self, bucket: Bucket) -> None:
        """Print one line."""
        row = reports.named(bucket)
        self.out.write(f"no drift in {row['totals']} {row['rollup']}: {_bucket(row['bucket'])}")

    def end(self) -> None:
        """Print the sum."""
        buckets = f"{self.buckets} reported buckets" if self.about.reported else f"{self.buckets} buckets"
        if self.clean:
            self.out.write(f"Clean: {buckets} compared, none drifted.")
        elif self.about.corrects:
            self.out.write(f"Repaired: {self.drifted} of {buckets} had drifted, {self.corrected} corrections.")
        else:
            self.out.write(f"Drift: {self.drifted} of {buckets}. Run rebuild_totals to repair them.")


def _bucket(values: dict[str, Any]) -> str:
    return ", ".join(f"{name}={'none' if value is None else value}" for name, value in values.items())


class Json(Report):
    """One JSON object, its findings in the array ``drift``; ``clean`` is true only of what came to its end."""

    def begin(self) -> None:
        """Open the array."""
        self._settled = tempfile.SpooledTemporaryFile(max_size=HELD, mode="w+", encoding="utf-8")  # noqa: SIM115 - until the report ends
        self.out.write('{"drift": [', ending="")

    def finding(self, definition: Definition, finding: Finding) -> None:
        """Print one element."""
        separator = "," if self.drifted > 1 else ""
        self.out.write(f"{separator}\n  {json.dumps(reports.as_json(definition, finding))}", ending="")

    def no_finding(self, bucket: Bucket) -> None:
        """Keep one element for the second array, in a file where there are many."""
        separator = "," if self.settled > 1 else ""
        self._settled.write(f"{separator}\n  {json.dumps(reports.named(bucket))}")

    def end(self) -> None:
        """Close the arrays and print the sums."""
        self._close({"clean": self.clean})

    def cut_short(self, why: str) -> None:
        """Close the arrays and say why there is no more: whoever reads ``clean`` alone is not misled."""
        self._close({"clean": False, "error": why})

    def _close(self, outcome: dict[str, Any]) -> None:
        about = self.about
        self.out.write("],\n ", ending="")
        if about.reported:
            self.out.write('"settled": [', ending="")
            self._settled.seek(0)
            shutil.copyfileobj(self._settled, _Pieces(self.out))
            self.out.write("],\n ", ending="")
        self._settled.close()
        sums = {**outcome, "buckets": self.buckets, "checked_at": about.checked_at.isoformat()}
        if about.corrects:
            sums["corrected"] = self.corrected
        if about.selection:
            sums["scope"] = about.selection.extent.as_json()
            sums["skipped"] = [skipped.as_json() for skipped in about.selection.skipped]
        self.out.write(json.dumps(sums)[1:])


class _Pieces:
    """What shutil writes to: pieces of the command's output, without ends of lines of its own."""

    def __init__(self, out: Any) -> None:
        self._out = out

    def write(self, piece: str) -> None:
        """Write a piece."""
        self._out.write(piece, ending="")


class Csv(Report):
    """One row a finding; the bucket as JSON, because rollups differ in their dimensions."""

    HEADER = ("totals", "rollup", "bucket", "measure", "stored", "expected", "difference")

    def begin(self) -> None:
        """Print the header."""
        self.rows = csv.writer(_Lines(self.out), lineterminator="")
        self.rows.writerow(self.HEADER)

    def finding(self, definition: Definition, finding: Finding) -> None:
        """Print one row a measure."""
        row = reports.as_json(definition, finding)
        for name in definition.measures:
            amounts = [row[kind][name] for kind in ("stored", "expected", "difference")]
            self.rows.writerow([row["totals"], row["rollup"], json.dumps(row["bucket"]), name, *amounts])


class _Lines:
    """What csv.writer writes to: each row a line of the command's output."""

    def __init__(self, out: Any) -> None:
        self.write = out.write


def report(format: str, out: Any, **about: Any) -> Report:  # noqa: A002 - the option's name
    """Return the report of a format, one of FORMATS, that prints to a command's ``stdout``; see About for the rest."""
    kinds: dict[str, Callable[[Any, About], Report]] = {"text": Text, "json": Json, "csv": Csv}
    return kinds[format](out, About(**about))
