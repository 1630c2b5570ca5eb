"""The admin class of docs/how-to/admin.md, in the example project, used over HTTP by those it is for and others."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest

from tests.functional.blocks import steps_of
from tests.functional.examples import shop
from tests.functional.hosts import Host
from tests.functional.pages import carry_out
from tests.processes import PATIENCE

pytestmark = [pytest.mark.once, pytest.mark.long]

PAGE = steps_of("how-to/admin.md", "In another project")
RUNS = "/admin/aggregates/run/"
PASSWORD = "of-this-test-alone"
MANAGE = ("python", "manage.py")
STAFF = f"""
from django.contrib.auth.models import Permission, User
runs = Permission.objects.filter(codename__in=["view_run", "change_run"])
sales = Permission.objects.filter(codename__in=["view_sale", "change_sale"])
for name, permitted in (("olga", [*runs, *sales]), ("rita", runs)):
    User.objects.create_user(name, password="{PASSWORD}", is_staff=True).user_permissions.set(permitted)
"""
SPOIL = """
from django.db import connection
connection.cursor().execute("UPDATE shop_saletotals SET sales = sales + 1 WHERE rollup = 'shop,month' AND shop_id = 1")
"""


@pytest.fixture(scope="module")
def project(shopkeeper: Host, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the folder of the example as the page has it, with sales and two of its staff."""
    folder = shop(tmp_path_factory.mktemp("clone"), {})
    carry_out(PAGE, folder, shopkeeper.variables())
    for arguments in (["migrate"], ["sell", "--times=20"], ["shell", "--no-imports", "-c", STAFF]):
        ran = shopkeeper.run(*MANAGE, *arguments, cwd=folder)
        assert ran.returncode == 0, ran.stdout + ran.stderr
    return folder


@pytest.fixture(scope="module")
def address(shopkeeper: Host, project: Path) -> Iterator[str]:
    """Yield where the project is served."""
    command = [str(shopkeeper.python), *MANAGE[1:], "runserver", "--noreload", "127.0.0.1:0"]
    env = shopkeeper.variables({"PYTHONUNBUFFERED": "1"})
    with subprocess.Popen(
        command, cwd=project, env=env, text=True, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
    ) as server:
        try:
            assert server.stdout
            # What it prints before that line is read and left; after it, it prints nothing there.
            yield next(found[1] for line in server.stdout if (found := re.search(r"server at (http://[\d.:]+)", line)))
        finally:
            server.terminate()


@contextmanager
def logged_in(address: str, name: str) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=address, timeout=PATIENCE, follow_redirects=True) as client:
        client.get("/admin/login/")
        shown = posted(client, "/admin/login/", username=name, password=PASSWORD, next="/admin/")
        assert "Log out" in shown.text
        yield client


def posted(client: httpx.Client, path: str, **given: str) -> httpx.Response:
    return client.post(path, data={**given, "csrfmiddlewaretoken": client.cookies["csrftoken"]})


def worked_off(client: httpx.Client, kind: str) -> str:
    """Begin a run and go on with it until it has ended; return its report."""
    page = posted(client, f"{RUNS}{kind}/", totals="shop.SaleTotals")
    while "go-on" in page.text:
        page = posted(client, page.url.path.replace("progress", "step"))
    assert page.status_code == 200
    return " ".join(page.text.split())


def test_who_works_with_sales_lists_verifies_and_rebuilds(shopkeeper: Host, project: Path, address: str) -> None:
    with logged_in(address, "olga") as client:
        listed = client.get(RUNS)
        assert 'id="begin-verify"' in listed.text
        assert 'id="begin-rebuild"' in listed.text
        assert "Complete: no drift." in worked_off(client, "verify")
        assert shopkeeper.run(*MANAGE, "shell", "--no-imports", "-c", SPOIL, cwd=project).returncode == 0
        found = worked_off(client, "verify")
        assert "drifted." in found
        assert "shop: 1" in found
        assert "drifted." in worked_off(client, "rebuild")
        assert "Complete: no drift." in worked_off(client, "verify")
    assert shopkeeper.run(*MANAGE, "verify_totals", cwd=project).returncode == 0


def test_who_does_not_may_neither_begin_a_run_nor_see_what_one_found(address: str) -> None:
    with logged_in(address, "olga") as client:
        begun = posted(client, f"{RUNS}verify/", totals="shop.SaleTotals")
        assert "run-found" in begun.text
    with logged_in(address, "rita") as client:
        assert "begin-verify" not in client.get(RUNS).text
        assert client.get(f"{RUNS}verify/").status_code == 403
        report = client.get(begun.url.path)
        assert report.status_code == 200
        assert "run-found" not in report.text
