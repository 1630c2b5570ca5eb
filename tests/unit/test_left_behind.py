"""No server of a test's is left behind by a run that is killed."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from tests import programs
from tests.concurrency.threads import wait_until
from tests.processes import ROOT

START = """
from tests import postgres
with postgres.cluster() as cluster:
    print(cluster.account.home, flush=True)
    input()
"""

pytestmark = pytest.mark.once


def test_a_server_ends_with_the_process_that_started_it_even_if_that_is_killed() -> None:
    with subprocess.Popen(
        [sys.executable, "-c", START], cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as owner:
        assert owner.stdout
        home = Path(owner.stdout.readline().strip())
        postmaster = int((home / "data" / "postmaster.pid").read_text().split()[0])
        assert programs.runs(postmaster)
        owner.kill()
    wait_until(lambda: not programs.runs(postmaster) and not home.exists(), "the server has ended, and left nothing")


def test_whoever_starts_processes_all_the_while_leaves_none_when_it_is_killed_with_them() -> None:
    mark = "600.20261127"  # seconds that nobody else sleeps
    with subprocess.Popen(["/bin/sh", "-c", f"while :; do sleep {mark} & sleep 0.001; done"]) as parent:
        wait_until(lambda: len(programs.children(parent.pid)) > 3, "it has begun")
        programs.kill_with_children(parent.pid)
    # What was just begun has not taken its name yet.
    left = [path for path in Path("/proc").glob("[0-9]*/cmdline") if mark in _text(path)]
    assert left == []


def _text(path: Path) -> str:
    try:
        return path.read_text()
    except OSError:  # it has ended meanwhile
        return ""
