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
