"""The MariaDB that a test run uses, where there is one and its driver can be had."""

from __future__ import annotations

import importlib
import os
import re
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from environ import Env

from tests.programs import NotRun

ROOT = Path(__file__).resolve().parent.parent
DRIVER = ROOT / "requirements" / "mariadb.txt"
LOG = ROOT / "build" / "test" / "mariadb-driver.log"
URL = "mysql://root@127.0.0.1:3306/expenses"
OLDEST = (10, 11)
CONNECT_SECONDS = 5
INSTALL_SECONDS = 300


@contextmanager
def server() -> Iterator[str]:
    """Yield the DATABASE_URL of the server that MARIADB_URL names, else of the one on 127.0.0.1:3306.

    Raises NotRun where none answers, lets us in or is new enough, or where its driver is missing
    and cannot be installed: it is compiled, which takes headers that not every machine has.
    """
    url = os.environ.get("MARIADB_URL") or URL
    address: dict[str, Any] = Env.db_url_config(url)
    host, port = address["HOST"] or "127.0.0.1", int(address["PORT"] or 3306)
    try:
        socket.create_connection((host, port), CONNECT_SECONDS).close()
    except OSError as error:
        raise NotRun(f"no server answers on {host}:{port}") from error
    if find_spec("MySQLdb") is None:
        _install_driver()
    version = _version(host=host, port=port, user=address["USER"], password=address["PASSWORD"])
    numbers = re.match(r"(\d+)\.(\d+)", version)
    if "mariadb" not in version.lower() or numbers is None or tuple(map(int, numbers.groups())) < OLDEST:
        raise NotRun(f"the server on {host}:{port} is {version}, not MariaDB {'.'.join(map(str, OLDEST))} or newer")
    yield url


def _install_driver() -> None:
    """Install the pinned driver beside the interpreter that runs this."""
    LOG.parent.mkdir(parents=True, exist_ok=True)
    pip = (sys.executable, "-m", "pip", "--no-input", "--disable-pip-version-check")
    with LOG.open("wb") as log:
        try:
            subprocess.run(
                [*pip, "install", "--requirement", str(DRIVER)],
                stdout=log, stderr=log, stdin=subprocess.DEVNULL, timeout=INSTALL_SECONDS, check=True,
            )  # fmt: skip
        except (OSError, subprocess.SubprocessError) as error:
            raise NotRun(
                "a server answers, but its driver mysqlclient could not be installed: on Debian it needs a C compiler, "
                f"pkg-config and libmariadb-dev; what pip said is in {LOG.relative_to(ROOT)}"
            ) from error
    importlib.invalidate_caches()


def _version(**address: Any) -> str:
    try:
        driver: Any = importlib.import_module("MySQLdb")
    except ImportError as error:
        raise NotRun(f"its driver mysqlclient does not work here: {error}") from error
    try:
        connection = driver.connect(connect_timeout=CONNECT_SECONDS, **address)
    except driver.Error as error:
        raise NotRun(f"the server does not let us in: {error.args[-1]}") from error
    try:
        with connection.cursor() as cursor:
            cursor.execute("SELECT VERSION()")
            return str(cursor.fetchone()[0])
    finally:
        connection.close()
