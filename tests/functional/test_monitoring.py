"""The units, the lines of cron and the rules of docs/how-to/monitor.md do what the page says."""

from __future__ import annotations

import json
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml
from django.contrib.auth.models import User
from django.db import connection
from django.test import Client

from expenses.models import Expense
from tests.functional.blocks import printed
from tests.processes import ROOT, called, environment

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.once]

PAGE = "how-to/monitor.md"
UNITS = {
    name: printed(PAGE, after=f"`/etc/systemd/system/{name}`:")
    for name in (f"expenses-{job}.{kind}" for job in ("verify", "purge") for kind in ("service", "timer"))
}
SERVICES = {name: text for name, text in UNITS.items() if name.endswith(".service")}
CRON = re.findall(r"^[\d*/]+ [\d*/]+ \* \* \* expenses (.*)$", printed(PAGE, "17 * * * *"), re.MULTILINE)
RULES = printed(PAGE, "groups:")
PLACES = {"/srv/expenses/.venv/bin/python": sys.executable, ".venv/bin/python": sys.executable, "/srv/expenses": ROOT}


def here(text: str) -> str:
    """Return a text of the page with the places of this machine."""
    # At once: a place of this machine may hold what another one is called on the page.
    return re.sub("|".join(map(re.escape, PLACES)), lambda found: str(PLACES[found[0]]), text)


@pytest.fixture
def drifted() -> None:
    """Store an expense, and spoil its totals by hand."""
    owner = User.objects.create_user("olga")
    Expense.objects.create(owner=owner, amount="12.50", currency="EUR", spent_on="2026-01-31")
    with connection.cursor() as cursor:
        cursor.execute("UPDATE expenses_expensetotals SET amount = amount + 1")


def ran(command: list[str], **given: str) -> subprocess.CompletedProcess[str]:
    env = {**environment(), **given}
    return subprocess.run(command, cwd=ROOT, env=env, capture_output=True, text=True, check=False)


def drift_told(lines: str) -> list[int]:
    told = [json.loads(line) for line in lines.splitlines()]
    return [line["drifted"] for line in told if line["event"] == "totals_drifted"]


def test_cron_has_a_line_for_each_service() -> None:
    assert len(CRON) == len(SERVICES)


@pytest.mark.skipif(not shutil.which("systemd-analyze"), reason="systemd is not there")
def test_systemd_understands_the_units(tmp_path: Path) -> None:
    for name, text in UNITS.items():
        (tmp_path / name).write_text(here(text).replace("User=expenses\n", ""))
    checked = ran(["systemd-analyze", "verify", "--man=no", *(str(tmp_path / name) for name in UNITS)])
    assert [line for line in checked.stderr.splitlines() if "expenses-" in line] == []


@pytest.mark.parametrize("name", SERVICES)
def test_the_command_of_a_service_runs_and_its_end_is_one_that_the_unit_takes(name: str, drifted: None) -> None:
    (command,) = re.findall(r"^ExecStart=(.*)$", SERVICES[name], re.MULTILINE)
    given = dict(re.findall(r"^Environment=(\w+)=(.*)$", SERVICES[name], re.MULTILINE))
    ended = ran(shlex.split(here(command)), **given)
    fine = {"0", *re.findall(r"^SuccessExitStatus=(.*)$", SERVICES[name], re.MULTILINE)}
    assert str(ended.returncode) in fine, ended.stderr
    assert drift_told(ended.stderr) == ([3] if "verify" in name else [])


def test_the_lines_of_cron_run_and_pass_on_what_is_logged(tmp_path: Path, drifted: None) -> None:
    variables = tmp_path / "expenses.env"
    variables.write_text(f"DATABASE_URL='{environment()['DATABASE_URL']}'\n")
    lines = [here(line).replace("/etc/expenses.env", str(variables)) for line in CRON]
    verify, purge = [ran(["sh", "-c", re.sub(r"logger -t \S+", "cat", line)]) for line in lines]
    assert drift_told(verify.stdout) == [3]
    assert purge.stdout == "Deleted: 0 idempotency keys, 0 tokens, 0 sessions, 0 runs.\n"
    assert verify.stderr + purge.stderr == ""


def rules() -> list[dict[str, Any]]:
    return [rule for group in yaml.safe_load(RULES)["groups"] for rule in group["rules"]]


@pytest.mark.parametrize("rule", rules(), ids=lambda rule: rule["alert"])
def test_a_rule_asks_for_figures_that_are_served(rule: dict[str, Any], drifted: None) -> None:
    called("verify_totals")
    with connection.cursor() as cursor:
        cursor.execute("UPDATE expenses_expensetotals SET amount = amount - 1")
    called("verify_totals")
    Client().get("/livez")
    served = set(re.findall(r"^(\w+)[ {]", Client().get("/metrics").content.decode(), re.MULTILINE))
    asked = set(re.findall(r"\b(?:totals|django)_\w+", rule["expr"]))
    assert asked
    assert asked <= served
    assert rule["expr"].count("(") == rule["expr"].count(")")
    assert rule["labels"]["severity"] in {"warning", "critical"}
    assert rule["annotations"]["summary"]
