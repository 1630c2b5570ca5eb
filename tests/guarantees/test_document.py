"""The published matrix says what the tests hold, and every row has one."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from tests.guarantees.matrix import COMMAND, DOCUMENT, ROOT, Collected, Held, problems
from tests.guarantees.paths import PATHS


@pytest.mark.once
@pytest.mark.long
def test_the_document_is_what_the_tests_say() -> None:
    ended = subprocess.run(
        [sys.executable, "-m", "tests.guarantees"],
        cwd=ROOT,
        env={name: value for name, value in os.environ.items() if not name.startswith("PYTEST_")},
        capture_output=True,
        text=True,
        check=False,
    )
    assert ended.returncode == 0, ended.stderr
    assert DOCUMENT.read_text() == ended.stdout, f"run: {COMMAND}"


def _whole() -> set[Held]:
    return {Held(path, "exact", "test_a.py::test_b") for paths in PATHS.values() for path in paths}


def test_a_whole_matrix_has_no_problems() -> None:
    assert not problems(Collected(_whole()))


def test_a_path_without_a_test_is_a_problem() -> None:
    held = _whole()
    gone = held.pop()
    assert problems(Collected(held)) == [f"{gone.path!r} has no test: mark one."]


def test_a_marker_without_a_row_is_a_problem() -> None:
    assert "knows nothing" in problems(Collected(_whole() | {Held("telepathy", "exact", "test_a.py::test_b")}))[0]


def test_an_outcome_of_another_kind_is_a_problem() -> None:
    held = _whole()
    path = held.pop().path
    assert "begins with none" in problems(Collected(held | {Held(path, "probably fine", "test_a.py::test_b")}))[0]


def test_tests_that_disagree_are_a_problem() -> None:
    held = _whole()
    path = next(iter(held)).path
    assert "disagree" in problems(Collected(held | {Held(path, "found by verify", "test_a.py::test_c")}))[0]


def test_a_case_that_is_gone_is_a_problem() -> None:
    assert problems(Collected(_whole(), unused={"test_a.py::test_b[x]"})) == [
        "test_a.py::test_b[x] names a case that the test does not have."
    ]


def test_tests_that_disagree_on_one_database_are_a_problem() -> None:
    held = _whole()
    path = next(iter(held)).path
    others = {Held(path, outcome, "test_a.py::test_c", on="MariaDB") for outcome in ("refused: a", "refused: b")}
    assert "disagree on MariaDB" in problems(Collected(held | others))[0]
