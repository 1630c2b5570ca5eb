"""Commands as operators start them: in pipes, on terminals, interrupted, with nobody reading on."""

from __future__ import annotations

import datetime as dt
import fcntl
import json
import os
import pty
import re
import shlex
import signal
import struct
import subprocess
import sys
import termios
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.db import connection
from django.db.models import Count

from aggregates.models import Run
from expenses.models import Category, Expense, ExpenseTotals
from tests.concurrency.threads import wait_until
from tests.exactness import assert_totals_match
from tests.processes import PATIENCE, ROOT, called, environment, manage, running

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.long]

MANAGE = f"{shlex.quote(sys.executable)} manage.py"


@pytest.fixture
def expenses() -> list[Expense]:
    owner = User.objects.create(username="owner")
    categories = [Category.objects.create(name=name) for name in "AB"]
    return Expense.objects.bulk_create(
        Expense(
            owner=owner,
            category=[*categories, None][i % 3],
            amount=i,
            currency=("EUR", "JPY")[i % 2],
            spent_on=dt.date(2026, 1 + i % 12, 1 + i % 28),
        )
        for i in range(400)
    )


def spoil(where: str = "1 = 1") -> int:
    with connection.cursor() as cursor:
        cursor.execute(f"UPDATE expenses_expensetotals SET amount = amount + 70000 WHERE {where}")
        return int(cursor.rowcount)


def shell(script: str) -> subprocess.CompletedProcess[str]:
    """Run a script of the shell, in which what Python prints is buffered, as it usually is."""
    env = {name: value for name, value in environment().items() if name != "PYTHONUNBUFFERED"}
    return subprocess.run(
        ["/bin/bash", "-c", script.replace("manage.py", MANAGE)],
        cwd=ROOT, env=env, capture_output=True, text=True, timeout=PATIENCE, check=False,
    )  # fmt: skip


def on_a_terminal(*arguments: str) -> tuple[str, str, int]:
    """Run a command whose standard error is a terminal; return both outputs and the exit status."""
    here, there = pty.openpty()
    fcntl.ioctl(there, termios.TIOCSWINSZ, struct.pack("4H", 24, 100, 0, 0))
    try:
        with subprocess.Popen(
            [sys.executable, "manage.py", *arguments],
            cwd=ROOT, env=environment(), stdout=subprocess.PIPE, stderr=there, text=True,
        ) as process:  # fmt: skip
            os.close(there)
            assert process.stdout is not None
            seen = b"".join(_read(here))
            out = process.stdout.read()
        return out, seen.decode(), process.returncode
    finally:
        os.close(here)


def _read(number: int) -> Iterator[bytes]:
    while True:
        try:
            piece = os.read(number, 65_536)
        except OSError:  # what Linux says when the other end is closed
            return
        if not piece:
            return
        yield piece


@pytest.mark.guarantee("verify and rebuild beside writers", "exact")
def test_what_verify_finds_is_piped_to_rebuild_while_another_process_writes(expenses: Sequence[Expense]) -> None:
    wrong = spoil("rollup IN ('day', 'overview')")
    with running("-m", "tests.concurrency.writer", "5") as writer:
        assert writer.stdout is not None
        writer.stdout.readline()
        ended = shell(
            "manage.py verify_totals --format json | manage.py rebuild_totals --from-report - --format json; "
            'echo "${PIPESTATUS[@]}" >&2'
        )
        writer.communicate("stop\n")
    assert writer.returncode == 0
    assert ended.stderr.split()[-2:] == ["1", "0"], ended.stderr
    told = json.loads(ended.stdout)
    assert told["corrected"] >= len(told["drift"]) > 0
    assert len(told["drift"]) + len(told["settled"]) == told["buckets"] <= wrong
    assert_totals_match()
    assert manage("verify_totals").returncode == 0


def test_an_interrupted_verify_leaves_json_that_says_so_and_repairs_as_far_as_it_came(
    expenses: Sequence[Expense],
) -> None:
    spoil()
    with running("manage.py", "verify_totals", "--batch-size", "1", "--format", "json") as process:
        # A chunk is in the report once the next one is done.
        wait_until(lambda: Run.objects.filter(drifted__gt=0, chunks_done__gt=1).exists(), "something was reported")
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=PATIENCE)
    assert process.returncode == 2
    assert "Interrupted. Not everything was compared." in err
    assert "run verify_totals again" in err
    assert "Traceback" not in err
    told = json.loads(out)
    assert (told["clean"], told["error"], bool(told["drift"])) == (False, "interrupted", True)
    ended = subprocess.run(
        [sys.executable, "manage.py", "rebuild_totals", "--from-report", "-", "--format", "json"],
        cwd=ROOT, env=environment(), input=out, capture_output=True, text=True, timeout=PATIENCE, check=False,
    )  # fmt: skip
    assert ended.returncode == 2
    assert "The report is not complete (interrupted)" in ended.stderr
    assert json.loads(ended.stdout)["corrected"] == len(told["drift"])


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupted_repair_says_how_to_go_on_and_can_be_repeated(
    expenses: Sequence[Expense], number: signal.Signals, tmp_path: Any
) -> None:
    spoil()
    report = tmp_path / "drift.json"
    report.write_text(called("verify_totals", "--format", "json")[0])
    script = (  # a statement a bucket, so that there is time
        "import django; django.setup(); from aggregates import mending; mending.BUCKETS_A_STATEMENT = 1; "
        "from django.core.management import execute_from_command_line; "
        f"execute_from_command_line(['manage.py', 'rebuild_totals', '--from-report', {str(report)!r}])"
    )
    with running("-c", script) as process:
        wait_until(
            lambda: Run.objects.filter(kind="rebuild", chunks_done__gt=0).exists() or process.poll() is not None,
            "some buckets are repaired",
        )
        process.send_signal(number)
        _out, err = process.communicate(timeout=PATIENCE)
    assert process.returncode == 3
    assert "run rebuild_totals again to do the rest" in err
    run = Run.objects.get(kind="rebuild")
    assert (run.state, 0 < run.chunks_done < run.chunks) == (Run.State.INTERRUPTED, True)
    assert called("rebuild_totals", "--from-report", str(report))[1] == 0
    assert_totals_match()


def test_demo_data_that_is_interrupted_is_not_there_at_all() -> None:
    with running("manage.py", "load_demo_data", "--expenses", "60000") as process:
        wait_until(lambda: _heeds_signals(process), "it works")
        process.send_signal(signal.SIGINT)
        _out, err = process.communicate(timeout=PATIENCE)
    assert process.returncode == 3, err
    assert "Interrupted. Nothing was written; run load_demo_data again." in err
    assert not Expense.objects.exists()


def _heeds_signals(process: subprocess.Popen[str]) -> bool:
    caught = re.search(r"SigCgt:\s*([0-9a-f]+)", Path(f"/proc/{process.pid}/status").read_text(encoding="ascii"))
    assert caught is not None
    return bool(int(caught[1], 16) & 1 << (signal.SIGTERM - 1))  # which a command takes once it is at work


@pytest.mark.parametrize(
    ("arguments", "unit"),
    [
        (["verify_totals", "--batch-size", "1"], "chunk"),
        (["rebuild_totals", "--batch-size", "1"], "chunk"),
        (["fold_totals"], "chunk"),
    ],
)
def test_a_terminal_shows_progress_and_standard_output_none(
    expenses: Sequence[Expense], arguments: list[str], unit: str
) -> None:
    out, seen, status = on_a_terminal(*arguments, "--format", "json")
    assert status == 0, seen
    json.loads(out)
    assert re.search(rf"{arguments[0].partition('_')[0]} expenses.ExpenseTotals: +\d+%", seen)
    assert re.search(rf"\d+/\d+ \[\d\d:\d\d<[\d:?]+, +[?\d.k]+({unit}/s|s/{unit})\]", seen)


def test_a_terminal_shows_how_far_a_repair_an_import_a_purge_and_demo_data_are(
    expenses: Sequence[Expense], tmp_path: Any
) -> None:
    spoil()
    report, lines = tmp_path / "drift.json", tmp_path / "march.csv"
    report.write_text(called("verify_totals", "--format", "json")[0])
    rows = "".join(f"{n},ada,Taxi,2026-03-01,1.50\n" for n in range(100))
    lines.write_text(f"id,user,category,date,amount\n{rows}")
    columns = ["--id-column=id", "--owner-column=user", "--category-column=category", "--date-column=date"]
    for arguments, label in [
        (["rebuild_totals", "--from-report", str(report)], "rebuild"),
        (["import_expenses", str(lines), *columns, "--amount-column=amount", "--currency=EUR"], "importing"),
        (["purge"], "purge runs"),
        (["load_demo_data", "--expenses", "50"], "loading demo data"),
    ]:
        out, seen, status = on_a_terminal(*arguments, "--format", "json")
        assert status == 0, seen
        json.loads(out)
        assert f"{label}: " in seen
        assert "/s]" in seen


def test_without_a_terminal_nothing_is_on_standard_error(expenses: Sequence[Expense]) -> None:
    ended = manage("verify_totals")
    assert (ended.returncode, ended.stderr) == (0, "")


def test_output_that_nobody_takes_is_exit_status_2_and_no_traceback(expenses: Sequence[Expense]) -> None:
    spoil()
    ended = shell("manage.py verify_totals --format json | true; echo ${PIPESTATUS[0]}")
    assert ended.stdout.split()[-1] == "2"
    assert "Traceback" not in ended.stderr
    assert "Exception ignored" not in ended.stderr
    full = shell("manage.py totals_status > /dev/full; echo $?")
    assert full.stdout.split() == ["2"]
    assert "Could not run" in full.stderr


@pytest.mark.parametrize(
    "arguments", [["verify_totals", "--nonsense"], ["verify_totals", "--from", "soon"], ["purge", "--key-days", "0"]]
)
def test_options_that_are_wrong_are_exit_status_2(arguments: list[str]) -> None:
    ended = manage(*arguments)
    assert (ended.returncode, ended.stdout) == (2, "")


def test_a_failing_check_and_a_mistake_in_the_program_are_not_taken_for_drift() -> None:
    """Which is exit status 1, and Django's and Python's own for these."""
    failing = (
        "import django; django.setup(); from django.core import checks; "
        "checks.register(lambda **_: [checks.Error('no')]); "
    )
    mistaken = "import django; django.setup(); from aggregates import chunks; chunks.plan = None; "
    start = (
        "from django.core.management import execute_from_command_line; "
        "execute_from_command_line(['manage.py', 'verify_totals'])"
    )
    for script, says in [(failing, "SystemCheckError"), (mistaken, "TypeError")]:
        with running("-c", script + start) as process:
            _out, err = process.communicate(timeout=PATIENCE)
        assert process.returncode == 2, err
        assert says in err


def test_the_help_is_printed_with_its_examples() -> None:
    ended = manage("verify_totals", "--help")
    assert ended.returncode == 0
    assert "\nExamples:\n  # " in ended.stdout
    assert "\nExit status:\n  0  clean\n  1  drift\n" in ended.stdout


def test_an_empty_service_is_clean_in_every_format() -> None:
    for how in ("text", "json", "csv"):
        ended = manage("verify_totals", "--format", how)
        assert ended.returncode == 0
        assert ended.stdout
    assert ExpenseTotals.objects.aggregate(rows=Count("pk")) == {"rows": 0}
