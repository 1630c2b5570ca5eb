"""A drift report that comes back: which buckets it names. Of its numbers nothing is believed, nor even read."""

from __future__ import annotations

import io
import tempfile
from collections import Counter
from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, BinaryIO

from aggregates import deltas, given
from aggregates.definitions import Definition, Rollup
from aggregates.exceptions import AggregatesError
from aggregates.pieces import Malformed, Pieces

HELD = 8 * 2**20  # bytes kept in memory; what is more goes to a temporary file
LARGEST = 2**30  # bytes
MOST = 1_000_000  # buckets


class NoReport(AggregatesError):
    """This is no report that can be worked off. The message says where it is wrong, or what to do instead."""


@dataclass(frozen=True)
class Bucket:
    """One bucket that is reported to have drifted."""

    definition: Definition
    rollup: Rollup
    values: deltas.Values


class Reported:
    """A report that was read to its end once, and found to name buckets that can be."""

    def __init__(self, spooled: BinaryIO, definitions: Collection[Definition], using: str) -> None:
        self._spooled = spooled
        self._definitions = {definition.label: definition for definition in definitions}
        self._using = using
        self.error = ""
        """What cut the report short, as it says itself; empty where it is complete."""
        self.counts: Mapping[tuple[Definition, Rollup], int] = Counter(
            (bucket.definition, bucket.rollup) for bucket in self.buckets()
        )

    def buckets(self) -> Iterator[Bucket]:
        """Yield the buckets in the order of the report; raise NoReport."""
        self._spooled.seek(0)
        text = io.TextIOWrapper(self._spooled, encoding="utf-8-sig")
        try:
            yield from self._read(Pieces(text))
        except Malformed as error:
            raise NoReport(f"This is no drift report in JSON: {error}") from error
        finally:
            text.detach()

    def _read(self, pieces: Pieces) -> Iterator[Bucket]:
        if not pieces.next():
            raise NoReport("The report is empty: what was to write it could not run.")
        names: list[str] = []
        for name in pieces.entries():
            if name in names:
                raise Malformed(pieces.line, f'"{name}" stands here for the second time.')
            names.append(name)
            yield from self._entry(name, pieces)
        if "drift" not in names:
            raise Malformed(pieces.line, 'it has no list "drift".')
        if more := pieces.next():
            raise Malformed(pieces.line, f"it goes on after its end, with {more}")

    def _entry(self, name: str, pieces: Pieces) -> Iterator[Bucket]:
        """Take one entry; yield the buckets where it is the one that has them."""
        if pieces.next() == "[":
            for number, line in enumerate(pieces.elements(), 1):
                element = pieces.value()
                if name == "drift":
                    yield self._found(element, number, line)
        elif name == "drift":
            raise Malformed(pieces.line, '"drift" has to be a list.')
        else:
            value = pieces.value()
            self.error = str(value) if name == "error" else self.error

    def _found(self, element: Any, number: int, line: int) -> Bucket:
        if number > MOST:
            raise NoReport(f"More than {MOST:,} buckets are reported: run rebuild_totals for all instead.")
        try:
            return self._bucket(element)
        except given.Unusable as error:
            raise Malformed(line, f"finding {number}: {error}.") from error

    def _bucket(self, element: Any) -> Bucket:
        if not isinstance(element, dict) or not isinstance(element.get("bucket"), dict):
            raise given.Unusable('it has to be {"totals": …, "rollup": …, "bucket": {…}, …}')
        name, bucket = element.get("rollup"), element["bucket"]
        definition = self._definition(element.get("totals"), name, bucket)
        rollup = definition.rollup(str(name))
        if set(bucket) != set(rollup.dimensions):
            own, others = ", ".join(rollup.dimensions), ", ".join(bucket) or "nothing"
            raise given.Unusable(f"a bucket of {definition.label} {name} has {own}, not {others}")
        values = [self._value(definition, each, bucket[each]) for each in rollup.dimensions]
        return Bucket(definition, rollup, tuple(values))

    def _definition(self, label: Any, rollup: Any, bucket: Mapping[str, Any]) -> Definition:
        """Return the declaration that is meant; without a label, the one that has such a rollup."""
        if label is not None and (not isinstance(label, str) or label not in self._definitions):
            raise given.Unusable(f"there are no totals {label!r}; there are: {', '.join(self._definitions)}")
        candidates = [self._definitions[label]] if label is not None else list(self._definitions.values())
        having = [one for one in candidates if isinstance(rollup, str) and rollup in one.fingerprints]
        if not having:
            there = sorted({name for one in candidates for name in one.fingerprints})
            raise given.Unusable(f"{label or 'no totals'} has no rollup {rollup!r}; there are: {', '.join(there)}")
        alike = [one for one in having if set(one.rollup(rollup).dimensions) == set(bucket)] or having
        if len(alike) > 1:
            raise given.Unusable(f'several totals have a rollup {rollup!r}: say which, in "totals"')
        return alike[0]

    def _value(self, definition: Definition, name: str, written: Any) -> Any:
        try:
            return given.from_report(definition.column(name), written, using=self._using)
        except given.Unusable as error:
            raise given.Unusable(f"{name}: {error}") from error


@contextmanager
def received(stream: BinaryIO, definitions: Collection[Definition], *, using: str) -> Iterator[Reported]:
    """Yield the report that a stream has, which may be a pipe; raise NoReport before anything else is done.

    It is kept in a temporary file meanwhile, so that it can be read twice and is what was looked through.
    """
    with tempfile.SpooledTemporaryFile(max_size=HELD) as spooled:
        size = 0
        while piece := stream.read(2**16):
            size += len(piece)
            if size > LARGEST:
                raise NoReport(f"The report has more than {LARGEST:,} bytes: run rebuild_totals for all instead.")
            spooled.write(piece)
        yield Reported(spooled, definitions, using)  # type: ignore[arg-type]  # a binary file in all but name
