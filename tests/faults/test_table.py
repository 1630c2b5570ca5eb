"""The table of faults names the tests that hold it, and every test of faults stands in it."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

pytestmark = pytest.mark.once

ROOT = Path(__file__).resolve().parents[2]
TABLE = ROOT / "docs" / "explanation" / "faults.md"


def named() -> set[tuple[str, str]]:
    """Return the tests that the table names: file and function."""
    return set(re.findall(r"`(tests/[\w/]+\.py)::(\w+)`", TABLE.read_text()))


def _tests_in(path: Path) -> set[tuple[str, str]]:
    """Return the tests of a file."""
    functions = [node.name for node in ast.parse(path.read_text()).body if isinstance(node, ast.FunctionDef)]
    return {(str(path.relative_to(ROOT)), name) for name in functions if name.startswith("test_")}


def test_every_test_that_the_table_names_is_there() -> None:
    there = set().union(*(_tests_in(ROOT / path) for path, _name in named()))
    assert named() - there == set()


def test_every_test_of_a_fault_stands_in_the_table() -> None:
    of_faults = set().union(*(_tests_in(path) for path in Path(__file__).parent.glob("test_*.py")))
    assert of_faults - _tests_in(Path(__file__)) - named() == set()
