"""Drift reports as text, JSON and CSV, written as they come so that none is held in memory."""

from __future__ import annotations

import argparse
import csv
import datetime as dt
import json
from types import TracebackType
from typing import Any, Self

from aggregates import reports
from aggregates.definitions import Definition
from aggregates.drift import Comparison, Finding

FORMATS = ("text", "json", "csv")


def positive(text: str) -> int:
    """Return a positive whole number from the command line."""
    try:
        number = int(text)
    except ValueError:
        number = 0
    if number < 1:
        raise argparse.ArgumentTypeError(f"{text!r} is not a positive whole number")
    return number


class Report:
    """What a verify or rebuild found. A context: it is complete only when left without an error."""

    def __init__(self, out: Any, *, checked_at: dt.datetime, corrects: bool) -> None:
        self.out = out
        self.checked_at = checked_at
        self.corrects = corrects
        self.buckets = self.drifted = self.corrected = 0
        self._begun = False

    @property
    def clean(self) -> bool:
        """Whether no drift was found."""
        return not self.drifted

    def __enter__(self) -> Self:
        """Begin to take in findings."""
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        """Print what stands after the findings, unless an error cut them short."""
        if kind is None:
            self._begin_once()
            self.end()

    def add(self, definition: Definition, comparison: Comparison, *, corrected: int = 0) -> None:
        """Take in one chunk and print what drifted."""
        self._begin_once()
        self.buckets += comparison.buckets
        self.corrected += corrected
        for finding in comparison.drift:
            self.drifted += 1
            self.finding(definition, finding)

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

    def end(self) -> None:
        """Print what stands after the findings."""


class Text(Report):
    """One line a finding, and a line that sums up."""

    def finding(self, definition: Definition, finding: Finding) -> None:
        """Print one line."""
        row = reports.as_json(definition, finding)
        bucket = ", ".join(f"{name}={'none' if value is None else value}" for name, value in row["bucket"].items())
        kinds = ("stored", "expected", "difference")
        amounts = "; ".join(
            f"{name}: {', '.join(f'{kind} {row[kind][name]}' for kind in kinds)}" for name in definition.measures
        )
        self.out.write(f"drift in {definition.label} {row['rollup']}: {bucket}: {amounts}")

    def end(self) -> None:
        """Print the sum."""
        if self.clean:
            self.out.write(f"Clean: {self.buckets} buckets compared, none drifted.")
        elif self.corrects:
            self.out.write(
                f"Repaired: {self.drifted} of {self.buckets} buckets had drifted, {self.corrected} corrections."
            )
        else:
            self.out.write(f"Drift: {self.drifted} of {self.buckets} buckets. Run rebuild_totals to repair them.")


class Json(Report):
    """One JSON object, its findings in the array ``drift``."""

    def begin(self) -> None:
        """Open the array."""
        self.out.write('{"drift": [', ending="")

    def finding(self, definition: Definition, finding: Finding) -> None:
        """Print one element."""
        separator = "," if self.drifted > 1 else ""
        self.out.write(f"{separator}\n  {json.dumps(reports.as_json(definition, finding))}", ending="")

    def end(self) -> None:
        """Close the array and print the sums."""
        sums: dict[str, Any] = {"clean": self.clean, "buckets": self.buckets, "checked_at": self.checked_at.isoformat()}
        if self.corrects:
            sums["corrected"] = self.corrected
        self.out.write(f"],\n {json.dumps(sums)[1:]}")


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


def report(format: str, out: Any, *, checked_at: dt.datetime, corrects: bool = False) -> Report:  # noqa: A002 - the option's name
    """Return the report of a format, one of FORMATS, that prints to a command's ``stdout``."""
    kinds: dict[str, type[Report]] = {"text": Text, "json": Json, "csv": Csv}
    return kinds[format](out, checked_at=checked_at, corrects=corrects)
