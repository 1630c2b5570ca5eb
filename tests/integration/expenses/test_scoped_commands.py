"""verify_totals and rebuild_totals of one owner's expenses, or of some months."""

from __future__ import annotations

import csv
import datetime as dt
import io
import json
from collections.abc import Sequence
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.core.management import call_command
from django.db import connection
from django.test import Client

from aggregates import runs
from aggregates.models import RollupState, Run
from expenses.models import Category, Expense, ExpenseTotals
from tests.exactness import assert_totals_match
from tests.processes import called

pytestmark = pytest.mark.django_db


@pytest.fixture
def owners() -> list[User]:
    """Two owners with an expense on each day of a quarter, and sound totals."""
    owners = [User.objects.create(username=name) for name in ("ada", "ben")]
    taxi = Category.objects.create(name="Taxi")
    days = [dt.date(2026, 1, 1) + dt.timedelta(days=n) for n in range(90)]
    Expense.objects.bulk_create(
        Expense(owner=owner, category=taxi, amount=1, currency="EUR", spent_on=day) for owner in owners for day in days
    )
    called("verify_totals")
    return owners


def spoil(where: str = "1 = 1") -> int:
    with connection.cursor() as cursor:
        cursor.execute(f"UPDATE expenses_expensetotals SET count = count + 5 WHERE {where}")
        return int(cursor.rowcount)


def report(*arguments: str) -> tuple[dict[str, Any], int]:
    out, code = called(*arguments, "--format", "json")
    return json.loads(out), code


def found(told: dict[str, Any]) -> set[tuple[Any, ...]]:
    return {
        (one["rollup"], one["bucket"].get("owner"), one["bucket"].get("day") or one["bucket"]["month"])
        for one in told["drift"]
    }


def test_one_owner_is_compared_and_what_has_no_owner_is_named(owners: Sequence[User]) -> None:
    spoil()
    told, code = report("verify_totals", "--owner", str(owners[0].pk))
    assert (code, told["clean"], told["buckets"], len(told["drift"])) == (1, False, 93, 93)
    assert {owner for _rollup, owner, _day in found(told)} == {owners[0].pk}
    assert told["scope"] == {"where": {"owner": str(owners[0].pk)}, "from": None, "to": None}
    assert {
        "totals": "expenses.ExpenseTotals",
        "rollup": "overview",
        "why": "it has no dimension owner",
        "cut": [],
    } in (told["skipped"])


def test_months_that_a_range_cuts_are_named_and_not_compared(owners: Sequence[User]) -> None:
    spoil()
    told, code = report("verify_totals", "--owner", str(owners[0].pk), "--from", "2026-01-31", "--to", "2026-03-02")
    assert code == 1
    months = {day for rollup, _owner, day in found(told) if rollup == "month"}
    days = {day for rollup, _owner, day in found(told) if rollup == "day"}
    assert months == {"2026-02-01"}
    assert (min(days), max(days), len(days)) == ("2026-01-31", "2026-03-01", 30)
    [month] = [one for one in told["skipped"] if one["rollup"] == "month"]
    assert month["why"] == "the range cuts the month of 2026-01-01 and the one of 2026-03-01"
    assert month["cut"] == ["2026-01-01", "2026-03-01"]


def test_a_scoped_rebuild_repairs_its_part_alone(owners: Sequence[User]) -> None:
    wrong = spoil(f"rollup = 'day' AND owner_id = {owners[0].pk}") + spoil(
        f"rollup = 'day' AND owner_id = {owners[1].pk}"
    )
    told, code = report("rebuild_totals", "--owner", str(owners[0].pk))
    assert (code, told["corrected"]) == (0, 90)
    told, code = report("rebuild_totals", "--dry-run", "--owner", str(owners[1].pk), "--from", "2026-03-01")
    assert (code, len(told["drift"]), "corrected" in told) == (1, 31, False)
    assert report("verify_totals")[0]["drift"]
    assert report("rebuild_totals")[0]["corrected"] == wrong - 90
    assert_totals_match()


def test_a_scoped_run_never_counts_as_one_of_everything(owners: Sequence[User]) -> None:
    verified, status = runs.verified_at(ExpenseTotals), called("totals_status")
    spoil()
    assert called("verify_totals", "--where", "currency=EUR")[1] == 1
    assert called("rebuild_totals", "--where", "currency=EUR")[1] == 0
    assert called("verify_totals", "--where", "currency=EUR")[1] == 0
    assert (runs.verified_at(ExpenseTotals), runs.drifted(ExpenseTotals)) == (verified, 0)
    assert called("totals_status") == status
    scoped = [run for run in Run.objects.order_by("started_at") if run.options.get("scope") == "currency=EUR"]
    assert [(run.kind, run.drifted > 0) for run in scoped] == [
        ("verify", True), ("rebuild", True), ("verify", False),
    ]  # fmt: skip


def test_a_scoped_run_makes_no_rollup_ready(owners: Sequence[User]) -> None:
    RollupState.objects.all().delete()
    called("verify_totals", "--where", "currency=EUR")
    called("rebuild_totals", "--where", "currency=EUR")
    assert not RollupState.objects.filter(totals="expenses.ExpenseTotals").exists()


def test_the_api_tells_of_the_last_verify_of_everything(owners: Sequence[User], client: Client) -> None:
    spoil()
    called("verify_totals", "--where", "currency=EUR")
    client.force_login(User.objects.create_superuser("root"))
    told = client.get("/api/v1/totals/verify/").json()
    assert (told["clean"], told["drift"]) == (True, [])


def test_old_scoped_runs_are_purged_though_they_are_the_last(owners: Sequence[User]) -> None:
    called("verify_totals", "--where", "currency=EUR")
    Run.objects.update(started_at=dt.datetime(2020, 1, 1, tzinfo=dt.UTC))
    whole = set(Run.objects.exclude(options__has_key="scope"))
    call_command("purge", stdout=io.StringIO())
    assert set(Run.objects.all()) == whole


def test_text_says_what_is_looked_at_and_what_is_not(owners: Sequence[User]) -> None:
    out, code = called("verify_totals", "--owner", str(owners[0].pk), "--from", "2026-02-01")
    lines = out.splitlines()
    assert code == 0
    assert lines[0] == f"Only owner={owners[0].pk}, from 2026-02-01."
    assert "skipped expenses.ExpenseTotals overview: it has no dimension owner" in lines
    assert lines[-1] == "Clean: 61 buckets compared, none drifted."


def test_csv_names_on_standard_error_what_is_skipped(owners: Sequence[User]) -> None:
    spoil(f"rollup = 'month' AND month = '2026-02-01' AND owner_id = {owners[0].pk}")
    out, err = io.StringIO(), io.StringIO()
    with pytest.raises(SystemExit):
        call_command("verify_totals", "--owner", str(owners[0].pk), "--format", "csv", stdout=out, stderr=err)
    assert {row["measure"] for row in csv.DictReader(io.StringIO(out.getvalue()))} == {"amount", "count"}
    assert "skipped expenses.ExpenseTotals overview: it has no dimension owner" in err.getvalue()


@pytest.mark.parametrize("command", ["verify_totals", "rebuild_totals"])
@pytest.mark.parametrize(
    ("options", "says"),
    [
        (
            ["--owner", "nobody"],
            "expenses.ExpenseTotals: it cannot have owner=nobody: “nobody” value must be an integer.",
        ),
        (["--owner", "999999"], "owner=999999 is in no total"),
        (["--where", "colour=red"], "No totals are kept by 'colour'"),
        (["--from", "2026-02-01", "--to", "2026-02-01"], "--from has to be before --to"),
        (["--from", "2026-03-01", "--to", "2026-02-01"], "--from has to be before --to"),
        (["--owner", "1", "--where", "owner=2"], "'owner' is given twice"),
    ],
)
def test_a_scope_that_cannot_be_exits_with_2(
    owners: Sequence[User], command: str, options: list[str], says: str
) -> None:
    out, code = called(command, *options)
    assert code == 2
    assert says in out
    assert not Run.objects.filter(options__has_key="scope").exists()


@pytest.mark.parametrize(
    ("option", "says"),
    [
        ("--from=today", "'today' is no date such as 2026-01-31"),
        ("--to=2026-02-30", "is no date"),
        ("--where=owner", "is not DIMENSION=VALUE"),
        ("--where==3", "is not DIMENSION=VALUE"),
    ],
)
def test_options_that_are_none_are_refused(option: str, says: str) -> None:
    assert says in called("verify_totals", option)[0]
