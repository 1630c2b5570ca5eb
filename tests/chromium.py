"""The browser of the browser tests: chromium, which on Debian is installed where it is missing."""

from __future__ import annotations

import os
import platform
import shutil
import subprocess
from pathlib import Path

from tests.programs import NotRun

ROOT = Path(__file__).resolve().parent.parent
LOG = ROOT / "build" / "test" / "chromium.log"
USUAL = "/usr/bin/chromium"
INSTALL_SECONDS = 300
# No network is no reason to wait for one, and another program's lock is waited for a little.
APT = ("apt-get", "-o", "Acquire::Retries=0", "-o", "Acquire::http::Timeout=15", "-o", "DPkg::Lock::Timeout=60")
MISSING = "chromium is not there; on Debian it is: apt-get install chromium"


def found() -> str | None:
    """Return where chromium is: on the PATH, or where Debian has it; None where it is not there."""
    return shutil.which("chromium") or shutil.which(USUAL)


def install() -> None:
    """Install chromium where it is missing and this is Debian and we are root. Raises NotRun where it stays missing.

    Tried once a run, for some minutes at most; what was printed is in a log.
    """
    if found():
        return
    if os.geteuid() != 0 or not _is_debian() or shutil.which("apt-get") is None:
        raise NotRun(MISSING)
    where = LOG.relative_to(ROOT)
    print(f"Installing chromium for the browser tests; {where} has what apt-get says.", flush=True)  # noqa: T201 - it takes a while
    LOG.parent.mkdir(parents=True, exist_ok=True)
    command = f"{' '.join(APT)} update && {' '.join(APT)} install --yes --no-install-recommends chromium"
    with LOG.open("wb") as log:
        try:
            subprocess.run(
                ["/bin/sh", "-c", command],
                stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                env={**os.environ, "DEBIAN_FRONTEND": "noninteractive"}, timeout=INSTALL_SECONDS, check=True,
            )  # fmt: skip
        except (OSError, subprocess.SubprocessError) as error:
            raise NotRun(f"chromium is not there, and apt-get could not install it: see {where}") from error
    if not found():
        raise NotRun(f"apt-get installed chromium, yet it is neither on the PATH nor {USUAL}: see {where}")


def _is_debian() -> bool:
    """Return whether this is Debian: elsewhere the package has another name, or is a stub."""
    try:
        return platform.freedesktop_os_release()["ID"] == "debian"
    except OSError:
        return False
