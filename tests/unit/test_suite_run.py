"""What a run of the suite on one database has shown, from what pytest left."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests import run
from tests.programs import NotRun

pytestmark = pytest.mark.once


@pytest.fixture
def report(tmp_path: Path) -> Path:
    return tmp_path / "report.xml"


def told(report: Path, tests: int, *, failures: int = 0, skipped: int = 0) -> Path:
    """Write a report as pytest does."""
    report.write_text(
        f'<testsuites><testsuite tests="{tests}" failures="{failures}" errors="0" skipped="{skipped}"/></testsuites>'
    )
    return report


def test_a_run_has_passed_where_pytest_says_so(report: Path) -> None:
    assert str(run.ended("SQLite", 0, told(report, 5, skipped=2))) == "SQLite: passed (3 passed, 2 skipped)"
    assert str(run.ended("SQLite", 1, told(report, 5, failures=1))) == "SQLite: FAILED (4 passed, 1 failed)"


def test_a_run_in_which_every_test_was_skipped_is_none(report: Path) -> None:
    with pytest.raises(NotRun, match="each of its 5 tests was skipped"):
        run.ended("MariaDB", 0, told(report, 5, skipped=5))


def test_a_run_that_chose_no_test_has_failed(report: Path) -> None:
    assert str(run.ended("SQLite", 5, told(report, 0))) == "SQLite: FAILED (no test was chosen)"


def test_a_run_that_left_no_report_has_failed(report: Path) -> None:
    assert str(run.ended("SQLite", 3, report)) == "SQLite: FAILED (pytest exited 3 and left no report)"


def test_the_suite_has_failed_where_it_was_run_on_no_database(monkeypatch: pytest.MonkeyPatch) -> None:
    def skipped(*_arguments: object, **_options: object) -> None:
        raise NotRun("each of its 5 tests was skipped")

    monkeypatch.setattr(run.programs, "unwind_on_signals", lambda *_signals: None)
    monkeypatch.setattr(run, "run", skipped)
    assert run.main(["--databases", "sqlite", "tests/faults"]) == 1
