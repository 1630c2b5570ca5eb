"""Pages of docs/ that are carried out as they are printed, in a project that has the wheel and not the service."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest

from expenses.models import Expense
from tests.exactness import assert_totals_match
from tests.functional.hosts import Host, new_host
from tests.functional.pages import carry_out
from tests.functional.test_deployment import KEY, as_printed, bare
from tests.processes import ROOT, environment

pytestmark = [pytest.mark.once, pytest.mark.long]

DOCS = ROOT / "docs"
PAGES = ("quickstart.md", "how-to/your-own-models.md", "how-to/backfill.md", "how-to/add-a-dimension.md")


@pytest.fixture(scope="module")
def host(tmp_path_factory: pytest.TempPathFactory) -> Host:
    return new_host(tmp_path_factory)


@pytest.mark.parametrize("name", PAGES)
def test_a_page_does_what_it_says(name: str, host: Host, tmp_path: Path) -> None:
    clone = tmp_path / "clone"
    clone.symlink_to(ROOT)
    folder = tmp_path / "here"
    folder.mkdir()
    page = (DOCS / name).read_text().replace("/path/to/django-running-totals", str(clone))
    assert carry_out(page, folder, host.variables({"PYTHONWARNINGS": "error"}))


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


@pytest.mark.django_db(transaction=True)
def test_the_page_about_imports_does_what_it_says_with_the_service(clone: Path) -> None:
    assert carry_out((DOCS / "how-to" / "import.md").read_text(), clone, environment())
    assert Expense.objects.count() == 4 + 10_000
    assert_totals_match()


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


def test_what_a_page_writes_and_types_is_done_in_order(tmp_path: Path) -> None:
    page = (
        "The file `a.py`:\n\n```python\nclass A:\n    x = 1\n\n\nclass B:\n    x = 2\n```\n\n"
        "At the end of `a.py`:\n\n```python\ny = 3\n```\n\nIn `a.py`:\n\n```python\nclass A:\n    x = 4\n```\n\n"
        '```console\n$ mkdir b && cd b   # in there\n$ python3 -c \'exec(open("../a.py").read())\\\n'
        "    ; print(A.x, B.x, y)'\n4 …\n$ pwd\n…/b\n```\n"
    )
    assert len(carry_out(page, tmp_path, os.environ)) == 3
