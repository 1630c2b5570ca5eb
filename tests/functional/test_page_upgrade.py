"""docs/how-to/upgrade.md: a clone of an older version, serving PostgreSQL, is brought to a newer one."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from django.db import connection

from tests.functional.blocks import steps_of
from tests.functional.examples import dropped, interpreter, script
from tests.functional.pages import carry_out
from tests.functional.test_deployment import KEY, as_printed, bare, ran, tools
from tests.processes import ROOT, environment

pytestmark = [
    pytest.mark.skipif(connection.vendor != "postgresql", reason="the page is about PostgreSQL"),
    pytest.mark.skipif(not shutil.which("git"), reason="git is not there"),
    pytest.mark.django_db(transaction=True),
    pytest.mark.long,
]

PAGE = steps_of("how-to/upgrade.md")
OF_THE_SERVICE = ("aggregates", "api", "config", "expenses", "manage.py")
# The version before did not have it.
NEW = re.compile(r'^ +Rollup\([^\n]+name="overview"\),\n', re.MULTILINE)
STAND_INS = {
    "systemctl": "exit 0",  # the machine's own services are left alone
    "make": "exit 0",  # it would download, and install into what runs this test
}
FILE = "id,user,category,date,amount\n1,ada,Travel,2026-02-03,12.50\n2,ada,Meals,2026-02-03,3.20\n"
COLUMNS = ["--id-column=id", "--owner-column=user", "--category-column=category", "--date-column=date"]


def git(folder: Path, *arguments: str) -> None:
    who = ("-c", "user.name=test", "-c", "user.email=test@example.com", "-c", "commit.gpgsign=false")
    subprocess.run(["git", *who, *arguments], cwd=folder, check=True, capture_output=True)


@pytest.fixture
def origin(tmp_path: Path) -> Path:
    """Return a repository with two versions of the service: the older one out, the newer one in `main`'s future."""
    folder = tmp_path / "origin"
    folder.mkdir()
    for name in OF_THE_SERVICE:
        whole, left_out = (ROOT / name).is_dir(), shutil.ignore_patterns("__pycache__")
        if whole:
            shutil.copytree(ROOT / name, folder / name, ignore=left_out)
        else:
            shutil.copy2(ROOT / name, folder / name)
    (folder / ".gitignore").write_text(".venv/\n*.dump\n__pycache__/\n")
    git(folder, "init", "--initial-branch=main")
    models = folder / "expenses" / "models.py"
    newer = models.read_text()
    older, removed = NEW.subn("", newer)
    assert removed == 1
    for version, text in (("v1", older), ("v2", newer)):
        models.write_text(text)
        git(folder, "add", ".")
        git(folder, "commit", "--message", version)
        git(folder, "tag", version)
    return folder


@pytest.fixture
def deployed(origin: Path, tmp_path: Path) -> Path:
    """Return a clone of the older version, which pulls from where the newer one has come in since."""
    git(origin, "reset", "--hard", "v1")
    folder = tmp_path / "srv"
    git(tmp_path, "clone", str(origin), str(folder))
    git(origin, "reset", "--hard", "v2")
    interpreter(folder)
    return folder


@pytest.fixture
def env(tmp_path: Path) -> Iterator[dict[str, str]]:
    """Yield the environment of the service on a new database, with the stand-ins before everything else."""
    binaries = tools()
    if binaries is None:
        pytest.skip("there is no pg_dump of the server's version")
    name = f"{connection.settings_dict['NAME']}_upgraded"
    for stand_in, text in STAND_INS.items():
        script(tmp_path / "bin" / stand_in, text)
    settings = as_printed(
        SECRET_KEY=KEY,
        DATABASE_URL=re.sub(r"/[^/]*$", f"/{name}", environment()["DATABASE_URL"]),
        CACHE_FILE=str(tmp_path / "cache.sqlite3"),
        STATIC_ROOT=str(tmp_path / "static"),
    )
    path = os.pathsep.join([str(tmp_path / "bin"), str(binaries), os.environ["PATH"]])
    with dropped(name) as quoted:
        with connection.cursor() as cursor:
            cursor.execute(f"CREATE DATABASE {quoted}")
        yield {**bare(**settings), "PATH": path, "PYTHONPATH": ""}


def test_an_upgrade_dumps_pulls_migrates_and_fills_the_rollup_that_is_new(deployed: Path, env: dict[str, str]) -> None:
    def manage(*arguments: str) -> subprocess.CompletedProcess[str]:
        return ran(".venv/bin/python", "manage.py", *arguments, env=env, cwd=deployed)

    (deployed / "file.csv").write_text(FILE)
    for arguments in (
        ["migrate"],
        ["import_expenses", "file.csv", *COLUMNS, "--amount-column=amount", "--currency=EUR"],
        ["verify_totals"],
    ):
        done = manage(*arguments)
        assert done.returncode == 0, done.stdout + done.stderr
    assert "overview" not in manage("totals_status").stdout
    typed = carry_out(PAGE, deployed, env)
    assert len(typed) == 10
    assert {command.split()[0] for command in typed} == {"systemctl", "pg_dump", "git", ".venv/bin/python"}
    assert "overview: ready" in manage("totals_status").stdout
    assert manage("verify_totals").stdout == "Clean: 6 buckets compared, none drifted.\n"
    held = ran("pg_restore", "--list", "before.dump", env=env, cwd=deployed).stdout
    assert "TABLE DATA public expenses_expensetotals" in held
