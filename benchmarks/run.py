"""Measure on PostgreSQL and on SQLite: ``python -m benchmarks.run [--quick] [--databases NAMES] [--only WORD]``."""

from __future__ import annotations

import argparse
import json
import signal
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from importlib.util import find_spec
from pathlib import Path

from benchmarks import environment, page
from benchmarks.report import Report, table
from benchmarks.sizes import FULL, QUICK
from tests import postgres, programs

ROOT = Path(__file__).resolve().parent.parent
RESULT = ROOT / "build" / "bench.json"


@contextmanager
def postgresql() -> Iterator[str]:
    """Yield the DATABASE_URL of the tests' PostgreSQL, which waits for the disk here."""
    with postgres.server(postgres.DURABLE) as url:
        yield url


@contextmanager
def sqlite() -> Iterator[str]:
    """Yield the DATABASE_URL of an SQLite file, as the service has it."""
    with tempfile.TemporaryDirectory(prefix="bench-") as folder:
        yield f"sqlite:///{folder}/bench.sqlite3"


COMPUTEDFIELDS = "computedfields"  # on PostgreSQL, in a run of its own: it changes what every other model costs
DATABASES: dict[str, Callable[[], AbstractContextManager[str]]] = {
    "postgresql": postgresql,
    COMPUTEDFIELDS: postgresql,
    "sqlite": sqlite,
}


def main(arguments: Sequence[str]) -> int:
    """Measure, print the table, write the files, and return the exit status."""
    options = _parser().parse_args(arguments)
    programs.unwind_on_signals(signal.SIGTERM, signal.SIGHUP)
    sizes = QUICK if options.quick else FULL
    report = Report(sizes.rows, environment={"rows": sizes.rows, **environment.of_machine()})
    for name in options.databases or (["postgresql"] if options.quick else list(DATABASES)):
        if name == COMPUTEDFIELDS and find_spec("computedfields") is None:
            print("computedfields_insert is not measured: benchmarks/requirements.txt is not installed.", flush=True)
            continue
        with DATABASES[name]() as url:
            measure(url, options, report, computedfields=name == COMPUTEDFIELDS)
    RESULT.parent.mkdir(exist_ok=True)
    RESULT.write_text(json.dumps(report.as_json(), indent=2) + "\n")
    written = [RESULT]
    if not options.quick and not options.only and not options.databases:
        written += page.write(report, ROOT / "docs")
    if options.quick:
        print(f"\nA quick run, of {sizes.rows:,} expenses; the sizes in names are those of a full one.")
    print(f"\n{table(report)}\n\nWritten: {', '.join(str(path.relative_to(ROOT)) for path in written)}", flush=True)
    return report.status


def measure(url: str, options: argparse.Namespace, report: Report, *, computedfields: bool = False) -> None:
    """Measure on one database, in a process of its own, and take what it found into the report."""
    with tempfile.TemporaryDirectory(prefix="bench-") as folder:
        result = Path(folder) / "result.json"
        command = [sys.executable, "-m", "benchmarks.measure", str(result), f"--only={options.only}"]
        variables = programs.environment(url, "benchmarks.settings")
        if computedfields:
            variables["BENCH_COMPUTEDFIELDS"] = "1"
        status = programs.wait(subprocess.Popen([*command, *["--quick"] * options.quick], cwd=ROOT, env=variables))
        if status or not result.exists():
            report.failures.append(f"{url.partition(':')[0]} (exit status {status})")
        else:
            report.take(json.loads(result.read_text()))


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=__doc__, allow_abbrev=False)
    parser.add_argument("--quick", action="store_true", help="fewer rows and rounds: under two minutes")
    parser.add_argument(
        "--databases",
        type=_names,
        default=[],
        help=f"of {', '.join(DATABASES)}; there are no bars for sqlite, so a quick run leaves it out",
    )
    parser.add_argument("--only", default="", help="scenarios with this word in their name")
    return parser


def _names(text: str) -> list[str]:
    wanted = [name.strip().lower() for name in text.split(",")]
    if unknown := [name for name in wanted if name not in DATABASES]:
        raise argparse.ArgumentTypeError(f"unknown {', '.join(unknown)}: take of {', '.join(DATABASES)}")
    return wanted


if __name__ == "__main__":
    try:
        sys.exit(main(sys.argv[1:]))
    except KeyboardInterrupt:
        sys.exit(128 + signal.SIGINT)
