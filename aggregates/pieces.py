"""A JSON document too large to hold, read a piece at a time."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any, TextIO

from aggregates.exceptions import AggregatesError

PIECE = 65_536  # characters
LONGEST = 65_536  # characters of one value; what is longer is none of a report's
SPACE = re.compile(r"[ \t\r\n]*")
ENDS = "it ends here, in the middle."


class Malformed(AggregatesError):
    """The text is not what it should be. The message begins with the line where that is seen."""

    def __init__(self, line: int, what: str) -> None:
        super().__init__(f"line {line}: {what}")


class Pieces:
    """Takes values and punctuation off the beginning of a stream. ``line`` is where the next one is."""

    def __init__(self, stream: TextIO) -> None:
        self.line = 1
        self._stream = stream
        self._held = ""
        self._at = 0
        self._decoder = json.JSONDecoder()

    def entries(self) -> Iterator[str]:
        """Yield the names of an object's entries; the caller takes the value of each before the next."""
        self._take("{")
        if self._taken("}"):
            return
        while True:
            self._require('"')
            name = self.value()
            self._take(":")
            yield str(name)
            if self._taken("}"):
                return
            self._take(",", "}")

    def elements(self) -> Iterator[int]:
        """Yield the line of each element of an array; the caller takes its value before the next."""
        self._take("[")
        if self._taken("]"):
            return
        while True:
            self.next()
            yield self.line
            if self._taken("]"):
                return
            self._take(",", "]")

    def next(self) -> str:
        """Return the next character that is not space, without taking it; empty at the end."""
        while True:
            self._pass_to(SPACE.match(self._held, self._at).end())  # type: ignore[union-attr]  # no space is a match too
            if self._at < len(self._held) or not self._more():
                return self._held[self._at : self._at + 1]

    def value(self) -> Any:
        """Take and return one value of any kind; raise Malformed."""
        self.next()
        while True:
            try:
                value, end = self._decoder.raw_decode(self._held, self._at)
            except json.JSONDecodeError as error:
                if self._is_long() or not self._more():
                    raise self._malformed(error) from error
            except (ValueError, RecursionError) as error:
                raise Malformed(self.line, "here is a number of too many digits, or too many brackets.") from error
            else:
                # A number may go on in the next piece.
                if end < len(self._held) or not self._more():
                    self._pass_to(end)
                    return value

    def _malformed(self, error: json.JSONDecodeError) -> Malformed:
        if self._is_long():
            return Malformed(self.line, f"no value begins here that ends within {LONGEST:,} characters.")
        if self._at == len(self._held):
            return Malformed(self.line, ENDS)
        return Malformed(self.line + self._held.count("\n", self._at, error.pos), f"this is no JSON: {error.msg}.")

    def _is_long(self) -> bool:
        return len(self._held) - self._at > LONGEST

    def _taken(self, character: str) -> bool:
        if self.next() != character:
            return False
        self._pass_to(self._at + 1)
        return True

    def _take(self, character: str, *others: str) -> None:
        """Take one character; raise Malformed where it is another. ``others`` might have stood there as well."""
        self._require(character, *others)
        self._pass_to(self._at + 1)

    def _require(self, character: str, *others: str) -> None:
        found = self.next()
        if not found:
            raise Malformed(self.line, ENDS)
        if found != character:
            raise Malformed(self.line, f"{' or '.join([character, *others])} should stand here, not {found}")

    def _pass_to(self, end: int) -> None:
        self.line += self._held.count("\n", self._at, end)
        self._at = end

    def _more(self) -> bool:
        """Read another piece; return whether there was one."""
        try:
            piece = self._stream.read(PIECE)
        except UnicodeDecodeError as error:
            raise Malformed(self.line, "after here comes text that is no UTF-8.") from error
        self._held, self._at = self._held[self._at :] + piece, 0
        return bool(piece)
