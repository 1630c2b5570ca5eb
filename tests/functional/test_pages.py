"""Pages of docs/ that are carried out as they are printed, most in a project that has the wheel and not the service."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from expenses.models import Expense
from tests.exactness import assert_totals_match
from tests.functional.blocks import printed, steps_of
from tests.functional.examples import database, shop
from tests.functional.hosts import Host
from tests.functional.pages import carry_out
from tests.processes import ROOT, environment

pytestmark = pytest.mark.long

# Beside a writer, so on each database.
LIVE = {name: steps_of(name) for name in ("how-to/backfill.md", "how-to/add-a-dimension.md")}
ALONE = {name: steps_of(name) for name in ("quickstart.md", "how-to/your-own-models.md")}
IMPORT = steps_of("how-to/import.md")
MEASURE = printed("how-to/add-a-dimension.md", "most = ")


def carried_out(page: str, clone: Path, host: Host, folder: Path) -> list[str]:
    folder.mkdir()
    page = page.replace("/path/to/django-running-totals", str(clone))
    return carry_out(page, folder, host.variables({"PYTHONWARNINGS": "error"}))


@pytest.mark.once
@pytest.mark.parametrize("name", ALONE)
def test_a_page_does_what_it_says(name: str, shopkeeper: Host, tmp_path: Path) -> None:
    assert carried_out(ALONE[name], ROOT, shopkeeper, tmp_path / "here")


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("name", LIVE)
def test_a_page_about_a_live_table_does_what_it_says_beside_a_writer(
    name: str, shopkeeper: Host, tmp_path: Path
) -> None:
    with database() as settings:
        shop(tmp_path / "clone", settings)
        assert carried_out(LIVE[name], tmp_path / "clone", shopkeeper, tmp_path / "here")


@pytest.mark.django_db(transaction=True)
def test_old_code_goes_on_beside_the_column_of_a_new_measure(shopkeeper: Host, tmp_path: Path) -> None:
    def manage(*arguments: str) -> None:
        ran = shopkeeper.run("python", "manage.py", *arguments, cwd=folder)
        assert ran.returncode == 0, ran.stdout + ran.stderr

    with database() as settings:
        folder = shop(tmp_path, settings)
        models = folder / "shop" / "models.py"
        old = models.read_text()
        manage("migrate")
        with_field = old.replace("    revenue = ", f"    {MEASURE}    revenue = ")
        models.write_text(with_field.replace("measures = {", 'measures = {"most": Sum("price"), '))
        manage("makemigrations", "shop")
        manage("migrate")
        models.write_text(old)
        manage("sell", "--times=5")
        manage("verify_totals")


@pytest.mark.once
@pytest.mark.django_db(transaction=True)
def test_the_page_about_imports_does_what_it_says_with_the_service(clone: Path) -> None:
    assert carry_out(IMPORT, clone, environment())
    assert Expense.objects.count() == 4 + 10_000
    assert_totals_match()


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
