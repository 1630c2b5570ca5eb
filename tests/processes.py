"""Commands, and writers in processes of their own, on the database of the running test."""

from __future__ import annotations

import io
import os
import socket
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from django.core.management import CommandError, call_command
from django.db import connection

ROOT = Path(__file__).resolve().parent.parent
PATIENCE = 60.0


def environment() -> dict[str, str]:
    """Return an environment in which the service uses the database of the running test."""
    settings = connection.settings_dict
    name = settings["NAME"]
    url = f"sqlite:///{name}"
    if connection.vendor != "sqlite":
        scheme = {"postgresql": "postgres", "mysql": "mysql"}[connection.vendor]
        url = f"{scheme}://{settings['USER']}:{settings['PASSWORD']}@{settings['HOST']}:{settings['PORT']}/{name}"
    return {
        **os.environ,
        "DATABASE_URL": url,
        "LOG_FORMAT": "json",
        "DJANGO_SETTINGS_MODULE": os.environ["DJANGO_SETTINGS_MODULE"],
        "PYTHONPATH": os.pathsep.join([str(ROOT), os.environ.get("PYTHONPATH", "")]),
    }


def manage(*arguments: str, **given: str) -> subprocess.CompletedProcess[str]:
    """Run a management command to its end, with more of its environment given; return what it printed and its code."""
    return subprocess.run(
        [sys.executable, "manage.py", *arguments],
        cwd=ROOT,
        env={**environment(), **given},
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        check=False,
    )


def called(*arguments: str) -> tuple[str, int]:
    """Run a management command in this process, which spares a start; return what it printed and its exit code."""
    out = io.StringIO()
    try:
        call_command(*arguments, stdout=out)
    except SystemExit as ended:
        return out.getvalue(), int(ended.code or 0)
    except CommandError as error:
        return out.getvalue() + str(error), error.returncode
    return out.getvalue(), 0


@contextmanager
def running(*arguments: str) -> Iterator[subprocess.Popen[str]]:
    """Yield a running Python process; kill it in the end if it still runs."""
    with subprocess.Popen(
        [sys.executable, *arguments],
        cwd=ROOT,
        env=environment(),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        try:
            yield process
        finally:
            if process.poll() is None:
                process.kill()


@contextmanager
def served(*options: str, log: IO[str] | None = None, folder: Path = ROOT, **given: str) -> Iterator[str]:
    """Yield the address of the service, under gunicorn on the database of the running test.

    ``log`` is what it writes its standard error to, ``folder`` where its code is, ``given`` more of its environment.
    """
    with socket.create_server(("127.0.0.1", 0)) as listener:
        # The socket is handed over: a request waits in it until the service is there.
        number, address = listener.fileno(), "http://{}:{}".format(*listener.getsockname())
        command = [sys.executable, "-m", "gunicorn", "config.wsgi:application", f"--bind=fd://{number}", *options]
        env = {**environment(), **given}
        with subprocess.Popen(command, cwd=folder, env=env, pass_fds=[number], stderr=log) as process:
            try:
                urllib.request.urlopen(f"{address}/livez", timeout=PATIENCE).close()
                yield address
            finally:
                process.terminate()
