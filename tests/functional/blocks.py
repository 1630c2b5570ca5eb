"""The fenced blocks of docs/, taken by tests as they are printed. What no test has taken shows.

A test module takes its blocks while it is imported, so that whoever imports all of them knows of every block.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from tests.processes import ROOT

DOCS = ROOT / "docs"
BLOCK = re.compile(r"^(?:(?P<lead>[^\n]+)\n\n)?```(?P<language>\w+)\n(?P<text>.*?)^```$", re.MULTILINE | re.DOTALL)
FILE = re.compile(r"(?P<how>At the end of |In )?`(?P<path>[\w./-]+\.(?:py|csv|jsonl))`:$")


@dataclass(frozen=True)
class Block:
    """A block, the line before it, and whether that names it as a file of the reader's."""

    lead: str
    language: str
    text: str

    @property
    def file(self) -> re.Match[str] | None:
        """Return how and which file it becomes, or None."""
        return FILE.search(self.lead)

    @property
    def is_step(self) -> bool:
        """Return whether whoever carries out the page as a whole carries out this."""
        return self.file is not None or self.language == "console"


TAKEN: set[tuple[str, Block]] = set()


def blocks(page: str) -> list[Block]:
    """Return the blocks of a page's text, in order."""
    return [Block(found["lead"] or "", found["language"], found["text"]) for found in BLOCK.finditer(page)]


def read(page: str) -> str:
    """Return the text of a page of docs/."""
    return (DOCS / page).read_text()


def printed(page: str, beginning: str = "", after: str = "") -> str:
    """Take the one block of a page that begins so, and stands after this line, and return its text."""
    found = [each for each in blocks(read(page)) if each.text.startswith(beginning) and after in ("", each.lead)]
    assert len(found) == 1, f"{len(found)} blocks of {page} begin with {beginning!r} after {after!r}"
    TAKEN.add((page, found[0]))
    return found[0].text


def steps_of(page: str, heading: str = "") -> str:
    """Take all that a page, or the part below a heading, tells its reader to do, and return its text."""
    text = read(page)
    if heading:
        _before, found, text = text.partition(f"\n## {heading}\n")
        assert found, f"{page} has no such heading"
        text = found + text.partition("\n## ")[0]
    TAKEN.update((page, each) for each in blocks(text) if each.is_step)
    return text
