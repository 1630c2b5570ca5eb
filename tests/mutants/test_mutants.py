"""The tests can fail: each deliberate fault in the engine makes some of them do so."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest
from _pytest.mark import ParameterSet
from django.db import connection

from tests.mutants.mutants import MUTANTS, STATES, Mutant

ROOT = Path(__file__).resolve().parent.parent.parent
COPIED = ("aggregates", "api", "config", "expenses", "tests", "manage.py", "pyproject.toml")
PATIENCE = 240.0

pytestmark = [pytest.mark.mutants, pytest.mark.long]


def _case(mutant: Mutant) -> ParameterSet:
    elsewhere = pytest.mark.skipif(connection.vendor not in mutant.on, reason=f"shown on {', '.join(mutant.on)}")
    return pytest.param(mutant, id=mutant.name, marks=elsewhere)


@pytest.fixture(scope="module")
def tree(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a copy of the project."""
    copy = tmp_path_factory.mktemp("mutants")
    for name in COPIED:
        if (ROOT / name).is_dir():
            shutil.copytree(ROOT / name, copy / name)
        else:
            shutil.copy2(ROOT / name, copy / name)
    return copy


def run(tree: Path, tests: Sequence[str]) -> subprocess.CompletedProcess[str]:
    """Run tests in the copy, in databases of its own."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("PYTEST_", "COVERAGE_"))}
    environment["TEST_RUN"] = f"mutants_{os.getpid()}"
    # The same order and the same examples each time.
    environment["PYTHONHASHSEED"] = "0"
    unneeded = [option for plugin in ("randomly", "xdist") for option in ("-p", f"no:{plugin}")]
    options = ["-x", "-q", *unneeded, "--hypothesis-seed=0", "--no-migrations"]
    return subprocess.run(
        [sys.executable, "-m", "pytest", *options, *tests],
        cwd=tree,
        env=environment,
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        check=False,
    )


def assert_noticed(tree: Path, mutant: Mutant, tests: Sequence[str]) -> None:
    path = tree / mutant.file
    sound = path.read_text()
    assert mutant.old in sound, f"{mutant.file} has changed: bring the mutant up to date"
    path.write_text(sound.replace(mutant.old, mutant.new))
    try:
        ended = run(tree, tests)
    finally:
        path.write_text(sound)
    assert ended.returncode == pytest.ExitCode.TESTS_FAILED, ended.stdout + ended.stderr
    assert "\nFAILED " in ended.stdout, ended.stdout


@pytest.mark.parametrize("mutant", [_case(mutant) for mutant in MUTANTS])
def test_a_fault_is_noticed(tree: Path, mutant: Mutant) -> None:
    assert_noticed(tree, mutant, mutant.tests)


@pytest.mark.parametrize("mutant", [_case(mutant) for mutant in MUTANTS if mutant.by_states])
def test_a_fault_is_noticed_by_writes_at_random(tree: Path, mutant: Mutant) -> None:
    assert_noticed(tree, mutant, [STATES])


def test_without_a_fault_the_same_tests_pass(tree: Path) -> None:
    here = [mutant for mutant in MUTANTS if connection.vendor in mutant.on]
    ended = run(tree, sorted({test for mutant in here for test in mutant.tests}))
    assert ended.returncode == pytest.ExitCode.OK, ended.stdout + ended.stderr


def test_each_mutant_has_a_name_of_its_own() -> None:
    assert len({mutant.name for mutant in MUTANTS}) == len(MUTANTS)
