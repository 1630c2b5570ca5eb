"""Load the service: ``python -m benchmarks.load.run [--seconds 300] [--clients 50] [--rows 100000] [--seed 0]``.

It fails on any answer that is an error and no deliberate refusal, on drift in any snapshot, on an
acknowledged write that is missing in the end and a refused one that is there, and on memory that is not flat.
"""

from __future__ import annotations

import argparse
import json
import logging
import os
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

import django

from benchmarks.load import figures, memory, service
from benchmarks.load.figures import ALONE, BESIDE, OFF, Found
from benchmarks.load.journal import NEVER, REFUSED, Content, wrong
from benchmarks.load.service import ROOT, Service
from tests import postgres, programs

RESULT = ROOT / "build" / "load.json"
LOGS = ROOT / "build" / "load"
PAGE = ROOT / "docs" / "performance.md"
FULL = (300, 50, 100_000)
STOP_SECONDS = 60
"""In which requests that are under way when the time is up are answered."""
COMPARED_FOR = 5
"""The loads that are compared last this part of the whole one's time."""


def main(arguments: Sequence[str]) -> int:
    """Load, print what was found, write the files, and return the exit status."""
    options = _parser().parse_args(arguments)
    programs.unwind_on_signals(signal.SIGTERM, signal.SIGHUP)
    shutil.rmtree(LOGS, ignore_errors=True)
    LOGS.mkdir(parents=True)
    found = Found(options.clients, options.seconds, options.rows)
    busy = round(os.getloadavg()[0], 1)
    with postgres.server(postgres.DURABLE) as url, tempfile.TemporaryDirectory(prefix="load-") as folder:
        environment = service.settings(url, Path(folder))
        os.environ.clear()
        os.environ.update(environment)
        django.setup()
        logging.disable(logging.INFO)  # a line a request is the service's to write
        measure(found, options, Path(folder))
    found.environment["load average before"] = busy  # of other work on the machine
    RESULT.write_text(json.dumps(vars(found), indent=2) + "\n")
    if not found.failures and (options.seconds, options.clients, options.rows) == FULL:
        PAGE.write_text(figures.within(PAGE.read_text(), figures.section(found)))
    _print(found)
    return int(bool(found.failures))


def measure(found: Found, options: argparse.Namespace, folder: Path) -> None:
    """Prepare the databases, load the service, and take what was found into ``found``."""
    from benchmarks.load import books

    plan, main_ = folder / "plan.json", os.environ["DATABASE_URL"]
    password = books.prepare(options.rows, options.clients, plan)
    found.environment = _environment()
    copies = {} if options.only else {name: books.copy(word) for name, word in ((ALONE, "alone"), (OFF, "off"))}
    with service.serving(options.entry, os.environ, LOGS / "service.log") as served:
        beside_all(found, served, password, plan, options)
    for name, database in copies.items():
        module = service.NO_TOTALS if name == OFF else service.TOTALS
        environment = {**os.environ, "DATABASE_URL": f"{main_.rpartition('/')[0]}/{database}"}
        with service.serving(module, environment, LOGS / f"{database}.log") as served:
            locust(found, name, served, plan, options, options.seconds // COMPARED_FOR)


def beside_all(found: Found, served: Service, password: str, plan: Path, options: argparse.Namespace) -> None:
    """Let clients load the service beside all that goes on, and compare what is left with what they were told."""
    from benchmarks.load import snapshots
    from benchmarks.load.duties import Administrator, Operator
    from benchmarks.load.loops import Loop, beside

    watch = memory.Watch(served.process)
    loops = (
        Loop("a snapshot was compared", snapshots.compare, pause=1.0),
        Loop("a command verified, rebuilt or folded", Operator(os.environ).act, pause=3.0),
        Loop("an administrator decided on many", Administrator(served.address, password).act, pause=1.0),
        Loop("memory was looked at", watch.look, pause=1.0),
    )
    with beside(*loops):
        states = locust(found, BESIDE, served, plan, options, options.seconds)
    found.times = {loop.name: loop.times for loop in loops}
    found.failures += [failure for loop in loops for failure in loop.failures]
    found.memory = memory.growth(watch.samples, options.seconds)
    found.failures += memory.grown(found.memory, options.seconds)
    settle(found, states)


def locust(
    found: Found, name: str, served: Service, plan: Path, options: argparse.Namespace, seconds: int
) -> dict[str, list[Content | None]]:
    """Run the clients; return the states that each of their expenses may have."""
    result = plan.with_name("result.json")
    result.unlink(missing_ok=True)
    command = [
        *(sys.executable, "-m", "locust", "-f", "benchmarks/load/clients.py", "--headless", "--only-summary"),
        *("--users", str(options.clients), "--spawn-rate", str(options.clients), "--run-time", f"{seconds}s"),
        *("--stop-timeout", str(STOP_SECONDS), "--host", served.address, "--loglevel", "WARNING"),
    ]
    given = {"LOAD_PLAN": str(plan), "LOAD_RESULT": str(result), "LOAD_SEED": str(options.seed)}
    with (LOGS / "clients.log").open("a") as log:
        programs.wait(subprocess.Popen(command, cwd=ROOT, env={**os.environ, **given}, stdout=log, stderr=log))
    if not result.exists():
        found.failures.append(f"{name}: the clients ended without a result: see {LOGS / 'clients.log'}")
        return {}
    load = json.loads(result.read_text())
    states = load.pop("states")
    found.loads[name] = load
    found.failures += [f"{name}: {error} ({times} times)" for error, times in load["errors"].items()]
    return {key: [state and Content(*state) for state in allowed] for key, allowed in states.items()}


def settle(found: Found, states: dict[str, list[Content | None]]) -> None:
    """Compare what there is in the end with what clients were told."""
    from benchmarks.load import books, snapshots

    there, remembered = books.found(), books.remembered()
    lines = list(wrong(states, there))
    made = {key for key, allowed in states.items() if len(allowed) == 1 and allowed != NEVER}
    lines += [f"{key}: was acknowledged and its idempotency key is gone" for key in sorted(made - remembered)]
    lines += [f"{key}: has an idempotency key of nobody's" for key in sorted(remembered - states.keys())]
    found.failures += lines
    try:
        snapshots.compare()
    except AssertionError as error:
        found.failures.append(f"in the end: {error}")
    refused = sum(key.endswith(REFUSED) for key in states)
    found.writes = {
        "expenses there": len(there),
        "deleted": len(states) - len(there) - refused,
        "refused": refused,
    }


def _environment() -> dict[str, object]:
    from benchmarks import environment

    return {**environment.of_machine(), **environment.of_database()}


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=__doc__, allow_abbrev=False)
    parser.add_argument("--seconds", type=int, default=FULL[0], help="how long the clients come")
    parser.add_argument("--clients", type=int, default=FULL[1])
    parser.add_argument("--rows", type=int, default=FULL[2], help="expenses that are there before")
    parser.add_argument("--seed", type=int, default=0, help="of what the clients do")
    parser.add_argument("--entry", default=service.TOTALS, help="the entry point of the service that is loaded")
    parser.add_argument("--only", action="store_true", help="nothing to compare the figures with")
    return parser


def _print(found: Found) -> None:
    lines = list(figures.table(found)) if found.loads else []
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    for line in lines:
        print("  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip())
    if found.failures:
        print(f"\nFAILED, {len(found.failures)} things:", *found.failures[:30], sep="\n")
    else:
        print(f"\n{' '.join(figures.said(found))}")


if __name__ == "__main__":
    try:
        sys.exit(main(sys.argv[1:]))
    except KeyboardInterrupt:
        sys.exit(128 + signal.SIGINT)
