"""Pages of docs/ that are carried out as they are printed, in a project that has the wheel and not the service."""

from __future__ import annotations

import ast
import os
import re
import shutil
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from django.db import connection

from expenses.models import Expense
from tests.exactness import assert_totals_match
from tests.functional.hosts import Host, new_host
from tests.functional.pages import carry_out
from tests.functional.test_deployment import KEY, as_printed, bare
from tests.processes import ROOT, environment

pytestmark = pytest.mark.long

DOCS = ROOT / "docs"
LIVE = ("how-to/backfill.md", "how-to/add-a-dimension.md")  # beside a writer, so on each database
ALONE = ("quickstart.md", "how-to/your-own-models.md")
DRIVERS = {"postgresql": ("psycopg", "psycopg-binary"), "mysql": ("mysqlclient",)}
PRINTED = {"postgresql": "how-to/postgresql.md", "mysql": "how-to/mariadb.md"}  # with the options that it needs
OPTIONS = re.compile(r'^```python\n("OPTIONS": .*?)^```$', re.MULTILINE | re.DOTALL)


@pytest.fixture(scope="module")
def host(tmp_path_factory: pytest.TempPathFactory) -> Host:
    made = new_host(tmp_path_factory)
    made.lend(*DRIVERS.get(connection.vendor, ()))
    return made


def carried_out(name: str, clone: Path, host: Host, folder: Path) -> list[str]:
    folder.mkdir()
    page = (DOCS / name).read_text().replace("/path/to/django-running-totals", str(clone))
    return carry_out(page, folder, host.variables({"PYTHONWARNINGS": "error"}))


@pytest.mark.once
@pytest.mark.parametrize("name", ALONE)
def test_a_page_does_what_it_says(name: str, host: Host, tmp_path: Path) -> None:
    assert carried_out(name, ROOT, host, tmp_path / "here")


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("name", LIVE)
def test_a_page_about_a_live_table_does_what_it_says_beside_a_writer(name: str, host: Host, tmp_path: Path) -> None:
    example = tmp_path / "clone" / "examples" / "shop"
    shutil.copytree(ROOT / "examples" / "shop", example)
    with database() as settings:
        if settings:
            with (example / "project" / "settings.py").open("a") as file:
                file.write(f"DATABASES = {{'default': {settings!r}}}\n")
        assert carried_out(name, tmp_path / "clone", host, tmp_path / "here")


@contextmanager
def database() -> Iterator[dict[str, Any]]:
    """Yield what settings say of a new database of the kind that the test runs on; nothing for the example's own."""
    if connection.vendor == "sqlite":
        yield {}
        return
    here = connection.settings_dict
    settings = {name: here[name] for name in ("ENGINE", "HOST", "PORT", "USER", "PASSWORD")}
    (options,) = OPTIONS.findall((DOCS / PRINTED[connection.vendor]).read_text())
    settings |= {"NAME": f"{here['NAME']}_page", **ast.literal_eval(f"{{{options}}}")}
    quoted = connection.ops.quote_name(settings["NAME"])
    collated = " CHARACTER SET utf8mb4 COLLATE utf8mb4_nopad_bin" if connection.vendor == "mysql" else ""
    forced = " WITH (FORCE)" if connection.vendor == "postgresql" else ""
    with connection.cursor() as cursor:
        cursor.execute(f"CREATE DATABASE {quoted}{collated}")
    try:
        yield settings
    finally:
        with connection.cursor() as cursor:
            cursor.execute(f"DROP DATABASE {quoted}{forced}")


@pytest.fixture
def clone(tmp_path: Path) -> Path:
    """Return a folder with the service in it, as far as commands are concerned."""
    script(tmp_path / ".venv" / "bin" / "python", f'exec {sys.executable} "$@"')
    (tmp_path / "manage.py").symlink_to(ROOT / "manage.py")
    return tmp_path


def script(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f"#!/bin/sh\n{text}\n")
    path.chmod(0o755)


@pytest.mark.once
@pytest.mark.django_db(transaction=True)
def test_the_page_about_imports_does_what_it_says_with_the_service(clone: Path) -> None:
    assert carry_out((DOCS / "how-to" / "import.md").read_text(), clone, environment())
    assert Expense.objects.count() == 4 + 10_000
    assert_totals_match()


@pytest.mark.once
def test_the_commands_of_an_upgrade_succeed_in_their_order(clone: Path) -> None:
    elsewhere = ("systemctl", "pg_dump", "git", "make")  # what they do is not the service's
    for name in elsewhere:
        script(clone / "bin" / name, "exit 0")
    printed = as_printed(
        DATABASE_URL=f"sqlite:///{clone / 'db.sqlite3'}", SECRET_KEY=KEY, STATIC_ROOT=str(clone / "static")
    )
    env = bare(**{**printed, "POOL_SIZE": "", "CACHE_FILE": str(clone / "cache.sqlite3")})
    typed = carry_out(
        (DOCS / "how-to" / "upgrade.md").read_text(), clone, {**env, "PATH": f"{clone / 'bin'}:{env['PATH']}"}
    )
    assert [command for command in typed if "manage.py" not in command and not command.startswith(elsewhere)] == []
    assert len(typed) == 10


@pytest.mark.once
@pytest.mark.parametrize(
    ("page", "complaint"),
    [
        ("```console\n$ echo one\ntwo\n```", "is not what the page shows"),
        ("```console\n$ false\n```", "exit status 1"),
        ("```console\n$ exit 3\n```", "the shell has ended"),
        ("```console\nls\n```", "belongs to no command"),
        ("In `a.py`:\n\n```python\nx = 1\n```", "is no class"),
    ],
)
def test_a_page_that_says_something_else_is_told_so(page: str, complaint: str, tmp_path: Path) -> None:
    (tmp_path / "a.py").touch()
    with pytest.raises(AssertionError, match=complaint):
        carry_out(page, tmp_path, os.environ)


@pytest.mark.once
def test_what_a_page_writes_and_types_is_done_in_order(tmp_path: Path) -> None:
    page = (
        "The file `a.py`:\n\n```python\nclass A:\n    x = 1\n\n\nclass B:\n    x = 2\n```\n\n"
        "At the end of `a.py`:\n\n```python\ny = 3\n```\n\nIn `a.py`:\n\n```python\nclass A:\n    x = 4\n```\n\n"
        '```console\n$ mkdir b && cd b   # in there\n$ python3 -c \'exec(open("../a.py").read())\\\n'
        "    ; print(A.x, B.x, y)'\n4 …\n$ pwd\n…/b\n```\n"
    )
    assert len(carry_out(page, tmp_path, os.environ)) == 3
