"""Stops a PostgreSQL whose owner has ended, however that came about: ``left_behind.py FOLDER``, with a pipe of his.

A run that is killed, or gives up its workers, stops nothing itself.
"""

from __future__ import annotations

import os
import shutil
import signal
import sys
import time
from contextlib import suppress
from pathlib import Path

MOST_TRIES = 100


def main(home: Path) -> None:
    """Wait for the owner's end of the pipe to close, then stop the server, if it runs, and remove its files."""
    sys.stdin.read()
    with suppress(OSError):  # it was stopped, and is gone
        postmaster = int((home / "data" / "postmaster.pid").read_text().split()[0])
        os.kill(postmaster, signal.SIGQUIT)
    for _ in range(MOST_TRIES):  # while it ends, it still has files of its own
        shutil.rmtree(home, ignore_errors=True)
        if not home.exists():
            return
        time.sleep(0.1)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
