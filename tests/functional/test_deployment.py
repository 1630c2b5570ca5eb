"""Deployment of ABUSE, and docs/how-to/deploy.md: its settings, its commands and its unit, used as they are printed."""

from __future__ import annotations

import configparser
import os
import re
import shutil
import socket
import subprocess
import sys
import urllib.request
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest
from django.db import connection

from tests import postgres, programs
from tests.functional.blocks import printed
from tests.processes import PATIENCE, ROOT, environment

PAGE = (ROOT / "docs" / "how-to" / "deploy.md").read_text()
SETTINGS, PREPARE, UNIT, BACK_UP, RESTORE = (
    printed("how-to/deploy.md", beginning) for beginning in ("SECRET_KEY=", "set -a;", "[Unit]", "pg_dump", "RESTORED=")
)
ALLOWED = 20  # requests
KEY = "a-key-for-this-test-alone-" + "0123456789" * 3
FILE = "id,user,category,date,amount\n1,ada,Travel,2026-02-03,12.50\n2,ada,Meals,2026-02-03,3.20\n"
COLUMNS = ["--id-column=id", "--owner-column=user", "--category-column=category", "--date-column=date"]


def bare(**added: str) -> dict[str, str]:
    """Return an environment in which nothing of the service is set but what is added."""
    kept = {name: value for name, value in os.environ.items() if name not in programs.OURS}
    return {**kept, "PYTHONPATH": str(ROOT), **added}


def ran(*arguments: str, env: Mapping[str, str], cwd: Path = ROOT) -> subprocess.CompletedProcess[str]:
    return subprocess.run(arguments, cwd=cwd, env=env, capture_output=True, text=True, timeout=PATIENCE, check=False)


def as_printed(text: str = SETTINGS, **replaced: str) -> dict[str, str]:
    """Return the settings of the page, with the values that are this machine's."""
    printed = dict(line.split("=", 1) for line in text.splitlines())
    assert replaced.keys() <= printed.keys()
    return {**printed, **replaced}


@pytest.mark.once
@pytest.mark.parametrize("entry", ["config.wsgi", "config.asgi"])
@pytest.mark.parametrize("key", [None, "", "short", "django-insecure-" + "0123456789" * 5])
def test_the_service_refuses_to_start_on_a_weak_key(key: str | None, entry: str) -> None:
    env = bare() if key is None else bare(SECRET_KEY=key)
    refused = ran(sys.executable, "-c", f"import {entry}", env=env)
    assert refused.returncode != 0
    assert "ImproperlyConfigured: SECRET_KEY" in refused.stderr


@pytest.mark.once
def test_gunicorn_starts_with_a_strong_key_and_not_without() -> None:
    check = [sys.executable, "-m", "gunicorn", "--config", "config/gunicorn.py", "--check-config", "config.wsgi"]
    assert ran(*check, env=bare(SECRET_KEY=KEY)).returncode == 0
    assert ran(*check, env=bare()).returncode != 0
    assert ran(*check, env=bare(DEBUG="1")).returncode == 0


@pytest.mark.once
@pytest.mark.parametrize(
    ("begin", "given", "limit"),
    [
        ("import config.wsgi", {}, "(1200, 60)"),
        ("import config.asgi", {"RATE_LIMIT": "5/s"}, "(5, 1)"),
        ("import config.wsgi", {"RATE_LIMIT": ""}, "None"),
        ("import os; os.environ.setdefault('DJANGO_SETTINGS_MODULE', 'config.settings')", {}, "None"),
    ],
)
def test_a_server_limits_its_clients_and_nothing_else_does(begin: str, given: dict[str, str], limit: str) -> None:
    tell = f"{begin}; from django.conf import settings; print(settings.RATE_LIMIT)"
    assert ran(sys.executable, "-c", tell, env=bare(SECRET_KEY=KEY, **given)).stdout == f"{limit}\n"


@pytest.mark.once
def test_a_pool_beside_kept_connections_is_refused() -> None:
    env = bare(SECRET_KEY=KEY, POOL_SIZE="2", DATABASE_URL="postgres://a@127.0.0.1/a?conn_max_age=60")
    refused = ran(sys.executable, "-c", "import config.wsgi", env=env)
    assert "POOL_SIZE and conn_max_age" in refused.stderr


@pytest.mark.once
def test_commands_need_no_key() -> None:
    assert ran(sys.executable, "manage.py", "check", env=bare()).returncode == 0


@pytest.mark.once
def test_the_deployment_check_is_clean_with_the_settings_of_the_page_and_not_without() -> None:
    check = [sys.executable, "manage.py", "check", "--deploy", "--fail-level", "WARNING"]
    clean = ran(*check, env=bare(**as_printed(SECRET_KEY=KEY)))
    assert (clean.returncode, clean.stderr) == (0, "")
    assert "no issues" in clean.stdout
    found = ran(*check, env=bare())
    assert found.returncode != 0
    assert {"W004", "W008", "W009", "W012", "W016"} <= set(re.findall(r"security\.(W\d+)", found.stderr))


@pytest.mark.once
def test_the_page_tells_every_variable_and_no_other() -> None:
    read = re.compile(r"(?:env\.\w+|number|whole|rate|os\.environ\.get)\(\s*\"([A-Z_]+)\"")
    files = (ROOT / "config").glob("*.py")
    told = re.findall(r"^\| `([A-Z_]+)` \|", PAGE, re.MULTILINE)
    assert sorted(told) == sorted({name for file in files for name in read.findall(file.read_text())})
    assert {*told, "DJANGO_SETTINGS_MODULE"} == programs.OURS


@contextmanager
def as_the_unit_serves(folder: Path, env: Mapping[str, str]) -> Iterator[httpx.Client]:
    """Yield a client of the service, started as the unit says; stop it in the end, and see that it stops well."""
    unit = configparser.ConfigParser(interpolation=None)
    unit.optionxform = str  # type: ignore[assignment,method-assign]
    unit.read_string(UNIT)
    command = unit["Service"]["ExecStart"].replace(unit["Service"]["WorkingDirectory"], str(folder)).split()
    with socket.create_server(("127.0.0.1", 0)) as listener:
        number, address = listener.fileno(), "http://{}:{}".format(*listener.getsockname())
        with subprocess.Popen(command, cwd=folder, env={**env, "BIND": f"fd://{number}"}, pass_fds=[number]) as process:
            try:
                request = urllib.request.Request(f"{address}/livez", headers={"Host": env["ALLOWED_HOSTS"]})
                urllib.request.urlopen(request, timeout=PATIENCE).close()
                with httpx.Client(base_url=address, headers={"Host": env["ALLOWED_HOSTS"]}, timeout=PATIENCE) as client:
                    yield client
            finally:
                process.terminate()
        assert process.returncode == 0


def tools() -> Path | None:
    """Return a folder with PostgreSQL's programs of the server's version, or None."""
    with connection.cursor() as cursor:
        cursor.execute("SHOW server_version_num")
        major = int(cursor.fetchone()[0]) // 10_000
    found = shutil.which("pg_dump")
    for folder in [*([Path(found).parent] if found else []), postgres.installed()]:
        said = ran(str(folder / "pg_dump"), "--version", env=os.environ).stdout
        if re.search(rf"\b{major}\.", said) and (folder / "pg_restore").exists():
            return folder
    return None


@pytest.fixture
def machine(tmp_path: Path, django_db_blocker: Any, django_db_setup: None) -> Iterator[dict[str, str]]:
    """Prepare a folder that looks like /srv/expenses and an empty database; yield the environment of the page."""
    for part in ("manage.py", "config"):
        (tmp_path / part).symlink_to(ROOT / part)
    (tmp_path / ".venv").symlink_to(sys.prefix)
    name = f"deploy_{connection.settings_dict['NAME']}"
    with django_db_blocker.unblock():
        folder = tools()
        if folder is None:
            pytest.skip("there is no pg_dump of the server's version")
        url = re.sub(r"/[^/]*$", f"/{name}", environment()["DATABASE_URL"])
        with connection.cursor() as cursor:
            cursor.execute(f'CREATE DATABASE "{name}"')
    settings = as_printed(
        SECRET_KEY=KEY,
        DATABASE_URL=url,
        CACHE_FILE=str(tmp_path / "cache.sqlite3"),
        STATIC_ROOT=str(tmp_path / "static"),
    )
    file = tmp_path / "expenses.env"
    file.write_text("".join(f"{name}={value}\n" for name, value in settings.items()))
    path = os.pathsep.join([str(folder), os.environ["PATH"]])
    yield bare(SETTINGS=str(file), PATH=path, RATE_LIMIT=f"{ALLOWED}/day", **settings)
    with django_db_blocker.unblock(), connection.cursor() as cursor:
        for made in (name, f"{name}_restored"):
            cursor.execute(f'DROP DATABASE IF EXISTS "{made}" WITH (FORCE)')
    connection.close()


@pytest.mark.long
@pytest.mark.skipif(connection.vendor != "postgresql", reason="the page is about PostgreSQL")
def test_the_page_prepares_serves_backs_up_and_restores(machine: dict[str, str], tmp_path: Path) -> None:
    def run(*command: str) -> str:
        done = ran(*command, env=machine, cwd=tmp_path)
        assert done.returncode == 0, f"{done.stdout}{done.stderr}"
        return done.stdout

    shell = ("bash", "-euo", "pipefail", "-c")
    assert "auditor: " in run(*shell, PREPARE)
    (tmp_path / "file.csv").write_text(FILE)
    python = str(tmp_path / ".venv" / "bin" / "python")
    run(python, "manage.py", "import_expenses", "file.csv", *COLUMNS, "--amount-column=amount", "--currency=EUR")
    assert_served(tmp_path, machine)
    run(*shell, BACK_UP)
    assert run(*shell, RESTORE) == "Clean: 6 buckets compared, none drifted.\n"


def assert_served(folder: Path, env: Mapping[str, str]) -> None:
    """Check that the service answers as one behind a proxy with HTTPS does."""
    proxied = {"X-Forwarded-Proto": "https", "X-Forwarded-For": "192.0.2.1"}
    with as_the_unit_serves(folder, env) as client:
        assert client.get("/readyz").json()["status"] == "ok"
        assert client.get("/admin/login/").status_code == 301
        page = client.get("/admin/login/", headers=proxied)
        assert page.status_code == 200
        assert page.headers["Strict-Transport-Security"] == "max-age=31536000; includeSubDomains"
        assert "Secure" in page.headers["Set-Cookie"]
        assert "default-src 'none'" in page.headers["Content-Security-Policy"]
        assert client.get("/static/unfold/css/styles.css", headers=proxied).status_code == 200
        assert client.get("/api/v1/totals/", headers=proxied).status_code == 401
        assert client.get("/livez", headers={"Host": "elsewhere.example.com"}).status_code == 400
        other = {**proxied, "X-Forwarded-For": "192.0.2.2", "Host": env["ALLOWED_HOSTS"]}
        # Each over a connection of its own, so that both workers take some.
        answers = [httpx.get(client.base_url.join("/api/v1/totals/"), headers=other) for _ in range(ALLOWED + 5)]
        assert [answer.status_code for answer in answers] == [401] * ALLOWED + [429] * 5
