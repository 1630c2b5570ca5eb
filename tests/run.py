"""Run the suite on each database: ``python -m tests.run [--databases NAMES] [--coverage] [pytest arguments]``."""

from __future__ import annotations

import argparse
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from xml.etree import ElementTree

from tests import chromium, mariadb, postgres, programs
from tests.programs import NotRun

ROOT = Path(__file__).resolve().parent.parent
BUILD = ROOT / "build" / "test"
COVERAGE = ROOT / "build" / "coverage"
WORKERS = 2
# One test at a time, so that a worker that is done takes the next: the long ones come first, see conftest.py.
WORKLOAD = (f"--numprocesses={WORKERS}", "--dist=load", "--maxschedchunk=1")
BROWSER = "tests.browser"  # on SQLite alone, within its run
REQUIRED = 100  # per cent of the engine's lines and branches


@dataclass(frozen=True)
class Outcome:
    """How the suite ended on one database."""

    database: str
    passed: bool
    detail: str

    def __str__(self) -> str:
        return f"{self.database}: {'passed' if self.passed else 'FAILED'} ({self.detail})"


@contextmanager
def sqlite() -> Iterator[str]:
    """Yield the DATABASE_URL of an SQLite file that holds nothing yet."""
    yield f"sqlite:///{BUILD / 'sqlite.db'}"


DATABASES: dict[str, Callable[[], AbstractContextManager[str]]] = {
    "SQLite": sqlite,
    "PostgreSQL": postgres.server,
    "MariaDB": mariadb.server,
}


def main(arguments: Sequence[str]) -> int:
    """Run the suite on the chosen databases and return the exit status: 0 where every run passed."""
    options, pytest_arguments = _parser().parse_known_args(arguments)
    programs.unwind_on_signals(signal.SIGTERM, signal.SIGHUP)
    BUILD.mkdir(parents=True, exist_ok=True)
    if options.coverage:
        shutil.rmtree(COVERAGE, ignore_errors=True)
    outcomes: list[Outcome] = []
    absent: list[str] = []
    missing = prepare_browser(options.databases, pytest_arguments)
    for name in options.databases:
        try:
            with DATABASES[name]() as url:
                outcomes.append(run(name, url, pytest_arguments, measured=options.coverage))
        except NotRun as reason:
            absent.append(f"{name}: not run ({reason})")
        except postgres.PostgresError as error:
            outcomes.append(Outcome(name, passed=False, detail=str(error)))
    covered = True
    if options.coverage:
        covered = report_coverage(required=len(outcomes) == len(DATABASES) and not pytest_arguments)
    _say("\n".join(["Databases", "---------", *map(str, outcomes), *absent, browser_tests(missing)]))
    return 0 if covered and outcomes and all(outcome.passed for outcome in outcomes) else 1


def run(name: str, url: str, pytest_arguments: Sequence[str], *, measured: bool = False) -> Outcome:
    """Run pytest on one database, its output passed through, and return how it ended, as ``ended`` tells it."""
    report = BUILD / f"{name.lower()}.xml"
    report.unlink(missing_ok=True)
    _say(f"=== {name} ===")
    pytest = ["coverage", "run", "-m", "pytest"] if measured else ["pytest"]
    command = [sys.executable, "-m", *pytest, *WORKLOAD, f"--junit-xml={report}", *pytest_arguments]
    status = programs.wait(subprocess.Popen(command, cwd=ROOT, env=programs.environment(url, "tests.settings")))
    return ended(name, status, report)


def ended(name: str, status: int, report: Path) -> Outcome:
    """Return how a run ended, from pytest's exit status and its report.

    Raises NotRun where each of the chosen tests was skipped: it has shown nothing on this database. A run in
    which none was chosen has failed.
    """
    if not report.exists():
        return Outcome(name, passed=False, detail=f"pytest exited {status} and left no report")
    counts = _counts(report)
    if status == 0 and counts["skipped"] == sum(counts.values()):
        raise NotRun(f"each of its {counts['skipped']} tests was skipped")
    detail = [f"{number} {word}" for word, number in counts.items() if number]
    return Outcome(name, passed=status == 0, detail=", ".join(detail or ["no test was chosen"]))


def prepare_browser(databases: Sequence[str], pytest_arguments: Sequence[str]) -> str:
    """Install the browser where it is missing, can be had, and is asked for; return why there will be none, or "".

    It is asked for by a run of the whole suite on SQLite, or of the browser tests.
    """
    if "SQLite" not in databases:
        return "they run on SQLite, which was left out"
    if pytest_arguments and not any("tests/browser" in argument for argument in pytest_arguments):
        return ""
    try:
        chromium.install()
    except NotRun as reason:
        return str(reason)
    return ""


def browser_tests(missing: str) -> str:
    """Return how the browser tests ended within the run on SQLite, which counts them too."""
    report = BUILD / "sqlite.xml"
    if missing or not report.exists():
        return f"Browser: not run ({missing or 'pytest left no report'})"
    cases = [case for case in ElementTree.parse(report).iter("testcase") if BROWSER in case.get("classname", "")]
    failed = sum(case.find("failure") is not None or case.find("error") is not None for case in cases)
    skipped = [case for case in cases if case.find("skipped") is not None]
    if len(skipped) == len(cases):
        reasons = {case.find("skipped").get("message") for case in skipped}  # type: ignore[union-attr]  # found above
        return f"Browser: not run ({', '.join(map(str, reasons)) or 'none of its tests was chosen'})"
    passed = len(cases) - failed - len(skipped)
    return str(Outcome("Browser", passed=not failed, detail=f"{passed} passed, {failed} failed, on SQLite"))


def report_coverage(*, required: bool) -> bool:
    """Print what no database's run has reached of the engine, and return whether that is allowed.

    Some lines are for one database alone, so all of it is required only of the whole suite on all.
    """
    _say(f"Coverage: {REQUIRED} % required" + ("" if required else ", though only of the whole suite on all databases"))
    coverage = [sys.executable, "-m", "coverage"]
    combined = programs.wait(subprocess.Popen([*coverage, "combine", "--quiet"], cwd=ROOT))
    reported = programs.wait(subprocess.Popen([*coverage, "report", f"--fail-under={REQUIRED * required}"], cwd=ROOT))
    return not combined and not reported


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=__doc__, allow_abbrev=False)
    parser.add_argument(
        "--databases", type=_names, default=list(DATABASES), help=f"comma-separated, of {', '.join(DATABASES)}"
    )
    parser.add_argument("--coverage", action="store_true", help="also say which lines and branches of the engine ran")
    return parser


def _names(text: str) -> list[str]:
    known = {name.lower(): name for name in DATABASES}
    wanted = [name.strip().lower() for name in text.split(",")]
    if unknown := [name for name in wanted if name not in known]:
        raise argparse.ArgumentTypeError(f"unknown {', '.join(unknown)}: take of {', '.join(DATABASES)}")
    return [known[name] for name in wanted]


def _counts(report: Path) -> dict[str, int]:
    """Return how many tests passed, failed, could not run and were skipped, from a JUnit report."""
    suites = list(ElementTree.parse(report).iter("testsuite"))
    total, failed, errors, skipped = (
        sum(int(suite.get(name, "0")) for suite in suites) for name in ("tests", "failures", "errors", "skipped")
    )
    return {"passed": total - failed - errors - skipped, "failed": failed, "errors": errors, "skipped": skipped}


def _say(text: str) -> None:
    print(f"\n{text}", flush=True)


if __name__ == "__main__":
    try:
        sys.exit(main(sys.argv[1:]))
    except KeyboardInterrupt:
        sys.exit(128 + signal.SIGINT)
