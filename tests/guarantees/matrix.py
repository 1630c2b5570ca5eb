"""From the markers on the tests to the document."""

from __future__ import annotations

import contextlib
import io
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from tests.guarantees.paths import PATHS

ROOT = Path(__file__).resolve().parent.parent.parent
TESTS = ROOT / "tests"
DOCUMENT = ROOT / "docs" / "guarantees.md"
PREFACE = Path(__file__).with_name("preface.md")
COMMAND = "python -m tests.guarantees > docs/guarantees.md"
OUTCOMES = ("exact", "refused: ", "found by verify")


@dataclass(frozen=True, order=True)
class Held:
    """One marker on one test: the path, what holds for it, and where it is shown."""

    path: str
    outcome: str
    test: str
    on: str = ""


@dataclass
class Collected:
    """A pytest plugin that takes down the markers of every collected test."""

    held: set[Held] = field(default_factory=set)
    unused: set[str] = field(default_factory=set)
    _used: set[str] = field(default_factory=set)

    @pytest.hookimpl(trylast=True)
    def pytest_collection_modifyitems(self, items: list[pytest.Item]) -> None:
        """Note which paths the tests hold, and the cases that no test has."""
        for item in items:
            for mark in item.iter_markers("guarantee"):
                self._note(item, *mark.args, **mark.kwargs)
        self.unused -= self._used

    def _note(self, item: pytest.Item, path: str, outcome: str, *, case: str = "", on: str = "") -> None:
        name = f"{item.path.name}::{item.originalname}" + (f"[{case}]" if case else "")  # type: ignore[attr-defined]
        cases = getattr(getattr(item, "callspec", None), "id", "")
        if case and not re.search(rf"(^|-){re.escape(case)}($|-)", cases):
            self.unused.add(name)
            return
        self._used.add(name)
        only = on or ("not SQLite" if item.get_closest_marker("row_locks") else "")
        self.held.add(Held(path, outcome, name + (f" ({only})" if only else ""), on))


def collect() -> Collected:
    """Collect every test file that has a marker, without running a test."""
    files = [str(path) for path in sorted(TESTS.rglob("test_*.py")) if "mark.guarantee(" in path.read_text()]
    collected, output = Collected(), io.StringIO()
    with contextlib.redirect_stdout(output):
        status = pytest.main(["--collect-only", "-q", "-p", "no:randomly", *files], plugins=[collected])
    if status != pytest.ExitCode.OK:
        raise RuntimeError(output.getvalue())
    return collected


def problems(collected: Collected) -> list[str]:
    """Return what keeps the matrix from being whole, in words; empty where nothing does."""
    return [
        *(f"{path!r} has no test: mark one." for path in _paths() if not _of(collected.held, path)),
        *(f"{held.test} holds {held.path!r}, of which tests/guarantees/paths.py knows nothing." for held in
          sorted(collected.held) if held.path not in set(_paths())),
        *(f"{held.test}: {held.outcome!r} begins with none of {OUTCOMES}." for held in
          sorted(collected.held) if not held.outcome.startswith(OUTCOMES)),
        *(f"{name} names a case that the test does not have." for name in sorted(collected.unused)),
        *(f"The tests of {path!r} disagree{f' on {on}' if on else ''}: {sorted(outcomes)}." for path in _paths()
          for on, outcomes in _outcomes(_of(collected.held, path)).items() if len(outcomes) > 1),
    ]  # fmt: skip


def document(collected: Collected) -> str:
    """Return the text of docs/guarantees.md."""
    return "\n".join([f"<!-- Written by `{COMMAND}` -->\n", PREFACE.read_text(), *_tables(collected.held)])


def _tables(held: set[Held]) -> Iterator[str]:
    for section, paths in PATHS.items():
        yield f"## {section}\n\n| Write path | What holds | Tests |\n| --- | --- | --- |"
        for path in paths:
            shown = sorted(_of(held, path))
            yield f"| {_code(path)} | {_outcome(shown)} | {'<br>'.join(f'`{test.test}`' for test in shown)} |"
        yield ""


def _outcomes(held: Iterable[Held]) -> dict[str, set[str]]:
    """Return the outcomes by the database they are true of; "" is every other one."""
    found: dict[str, set[str]] = {}
    for one in held:
        found.setdefault(one.on, set()).add(one.outcome)
    return dict(sorted(found.items()))


def _outcome(shown: list[Held]) -> str:
    return "; ".join(
        f"on {on} {outcome}" if on else outcome
        for on, outcomes in _outcomes(shown).items()
        for outcome in sorted(outcomes)
    )


def _code(path: str) -> str:
    """Return a path with what is code in it set as code."""
    return re.sub(r"(\w*\([\w=\[\]]+\)|\w+\.\w+(\(\))?|\b_\w+|\b[a-z]+(?:_[a-z]+)+\b|\b[A-Z]+_[A-Z]+\b)", r"`\1`", path)


def _paths() -> list[str]:
    return [path for paths in PATHS.values() for path in paths]


def _of(held: Iterable[Held], path: str) -> list[Held]:
    return [one for one in held if one.path == path]
