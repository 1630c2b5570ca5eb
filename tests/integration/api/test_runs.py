"""Verify and rebuild over HTTP: who may, what they answer, and that the totals are right afterwards."""

from __future__ import annotations

import datetime as dt
import json
from io import StringIO
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.core.management import call_command
from django.db import OperationalError, connection
from rest_framework.test import APIClient

from aggregates import drift
from aggregates.models import Run
from expenses.models import Category, Expense, ExpenseTotals
from tests.exactness import assert_totals_match
from tests.integration.api.conftest import TOTALS, assert_problem, client_of, permitted, pointers

VERIFY, REBUILD = f"{TOTALS}verify/", f"{TOTALS}rebuild/"

pytestmark = pytest.mark.django_db


@pytest.fixture
def operator(db: None) -> APIClient:
    """Return the client of one who may see everything and work on runs."""
    user = User.objects.create_user("operator")
    return client_of(permitted(user, "view_all_expenses", "view_run", "change_run"))


@pytest.fixture
def spent(spend: Any, travel: Category) -> list[Expense]:
    """Expenses of several months."""
    return [spend("10.00", category=travel, spent_on=dt.date(2026, month, 15)) for month in (1, 2, 3, 5)]


@pytest.fixture
def a_chunk_a_request(settings: Any) -> None:
    """Let each request work off the expenses of one month."""
    settings.AGGREGATES = {"STEP_SECONDS": 0, "STEP_ROWS": 1}


def spoil(where: str = "rollup = 'day'") -> int:
    with connection.cursor() as cursor:
        cursor.execute(f"UPDATE expenses_expensetotals SET amount = amount + 12345 WHERE {where}")
        assert cursor.rowcount
        return int(cursor.rowcount)


def goes_on(client: APIClient, response: Any) -> list[Any]:
    """Go on with a run to its end; return all responses."""
    responses = [response]
    while responses[-1].status_code == 202:
        responses.append(client.post(responses[-1]["Location"]))
    assert responses[-1].status_code == 200, responses[-1].content
    return responses


def test_before_there_was_a_verify_its_report_is_empty(operator: APIClient) -> None:
    assert operator.get(VERIFY).json() == {"clean": None, "verified_at": None, "drift": [], "run": None}


def test_corruption_is_seen_by_verify_and_repaired_by_rebuild(operator: APIClient, spent: list[Expense]) -> None:
    spoiled = spoil()
    report = operator.post(VERIFY).json()
    assert (report["clean"], report["verified_at"], report["run"]["drifted"]) == (False, None, spoiled)
    found = next(finding for finding in report["drift"] if finding["bucket"]["day"] == "2026-01-15")
    assert (found["totals"], found["rollup"], found["bucket"]["currency"]) == ("expenses.ExpenseTotals", "day", "EUR")
    assert found["stored"] == {"amount": "11.2345", "count": 1}
    assert found["expected"] == {"amount": "10.0000", "count": 1}
    assert found["difference"] == {"amount": "-1.2345", "count": 0}

    repaired = operator.post(REBUILD)
    assert repaired.status_code == 200
    assert (repaired.json()["state"], repaired.json()["drifted"], repaired.json()["corrected"]) == (
        "complete",
        spoiled,
        spoiled,
    )
    assert repaired["Location"] == repaired.json()["url"] == f"http://testserver{REBUILD}{repaired.json()['id']}/"
    assert operator.get(VERIFY).json()["clean"] is False, "the last verify is older than the rebuild"

    report = operator.post(VERIFY).json()
    assert (report["clean"], report["drift"], report["verified_at"]) == (True, [], report["run"]["started_at"])
    assert operator.get(VERIFY).json() == report
    assert operator.get(TOTALS).json()["verified_at"] == report["verified_at"]
    assert_totals_match()


def test_the_report_is_that_of_the_command(operator: APIClient, spent: list[Expense]) -> None:
    spoil()
    out = StringIO()
    with pytest.raises(SystemExit):
        call_command("verify_totals", "--format", "json", stdout=out)
    printed = json.loads(out.getvalue())
    report = operator.get(VERIFY).json()
    assert (report["clean"], report["drift"]) == (printed["clean"], printed["drift"])
    assert report["run"]["kind"] == "verify"


def test_a_rebuild_goes_on_request_by_request(
    operator: APIClient, spent: list[Expense], a_chunk_a_request: None
) -> None:
    spoiled = spoil()
    responses = goes_on(operator, operator.post(REBUILD))
    progress = [(r.json()["chunks_done"], r.json()["chunks"]) for r in responses]
    assert len(progress) > 3
    assert progress == [(done, len(progress)) for done in range(1, len(progress) + 1)]
    assert responses[-1].json()["corrected"] == spoiled
    address = responses[0]["Location"]
    assert operator.get(address).json() == responses[-1].json()
    assert operator.post(address).json() == responses[-1].json()
    assert Run.objects.get().started_by.username == "operator"
    assert_totals_match()


def test_a_verify_goes_on_request_by_request(
    operator: APIClient, spent: list[Expense], a_chunk_a_request: None
) -> None:
    first = operator.post(VERIFY)
    assert first.json()["clean"] is None
    *_, last = goes_on(operator, first)
    assert last.json()["clean"] is True
    assert operator.get(first["Location"]).json() == operator.get(VERIFY).json() == last.json()


def test_expenses_that_come_between_two_requests_are_compared_too(
    operator: APIClient, spent: list[Expense], spend: Any, a_chunk_a_request: None
) -> None:
    begun = operator.post(VERIFY)
    for day in (dt.date(1900, 1, 1), dt.date(2026, 4, 1), dt.date(2099, 12, 31)):
        spend("1.00", spent_on=day)
    spoil("day = '2099-12-31'")
    *_, last = goes_on(operator, begun)
    assert [finding["bucket"]["day"] for finding in last.json()["drift"]] == ["2099-12-31"]


def test_a_second_rebuild_at_once_is_409_and_names_the_first(
    operator: APIClient, spent: list[Expense], a_chunk_a_request: None
) -> None:
    first = operator.post(REBUILD)
    second = operator.post(REBUILD)
    assert first["Location"] in assert_problem(second, 409, "run-under-way")["detail"]
    assert second["Location"] == first["Location"]
    goes_on(operator, first)
    assert operator.post(REBUILD).status_code == 202


def test_a_run_that_another_request_works_on_is_409_for_now(
    operator: APIClient, spent: list[Expense], a_chunk_a_request: None
) -> None:
    begun = operator.post(REBUILD)
    Run.objects.update(worker=begun.json()["id"])
    busy = operator.post(begun["Location"])
    assert_problem(busy, 409, "run-being-worked-on")
    assert int(busy["Retry-After"]) > 0


def test_a_cancelled_rebuild_keeps_what_it_corrected_and_makes_room(
    operator: APIClient, spent: list[Expense], a_chunk_a_request: None
) -> None:
    begun = operator.post(REBUILD)
    address = begun["Location"]
    assert [operator.delete(address).status_code for _ in range(2)] == [204, 204]
    assert operator.get(address).json()["state"] == "interrupted"
    assert_problem(operator.post(address), 409, "run-not-under-way")
    done = goes_on(operator, operator.post(REBUILD))[-1]
    assert_problem(operator.delete(done["Location"]), 409, "run-not-under-way")


def test_a_declaration_that_changed_meanwhile_fails_the_run(
    operator: APIClient, spent: list[Expense], a_chunk_a_request: None
) -> None:
    begun = operator.post(REBUILD)
    Run.objects.update(fingerprint="0" * 64)
    failed = operator.post(begun["Location"])
    assert (failed.status_code, failed.json()["state"]) == (200, "failed")
    assert "no longer declared as it was" in failed.json()["error"]


def test_a_database_that_is_busy_is_503_and_the_run_goes_on(
    operator: APIClient, spent: list[Expense], a_chunk_a_request: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_arguments: Any, **_options: Any) -> None:
        raise OperationalError("database is locked")

    with monkeypatch.context() as patch:
        patch.setattr(drift, "parts", fail)
        response = operator.post(VERIFY)
        assert_problem(response, 503)
        assert "Retry-After" in response
    run = operator.get(VERIFY).json()["run"]
    assert (run["state"], run["error"]) == ("running", "OperationalError: database is locked")
    assert goes_on(operator, operator.post(run["url"]))[-1].json()["clean"] is True


def test_a_dry_run_corrects_nothing(operator: APIClient, spent: list[Expense]) -> None:
    spoiled = spoil()
    run = operator.post(REBUILD, {"dry_run": True}).json()
    assert (run["options"], run["drifted"], run["corrected"]) == (
        {"from_scratch": False, "dry_run": True},
        spoiled,
        0,
    )
    assert operator.post(VERIFY).json()["run"]["drifted"] == spoiled


def test_a_rebuild_from_scratch_files_every_row_under_its_key(operator: APIClient, spent: list[Expense]) -> None:
    spoil("rollup = 'month'")
    assert operator.post(REBUILD, {"from_scratch": True}).json()["options"]["from_scratch"] is True
    assert_totals_match()


@pytest.mark.parametrize(
    ("body", "at_fault"),
    [
        ({"dry_run": 1}, {"/dry_run"}),
        ({"dry_run": "yes", "from_scratch": None}, {"/dry_run", "/from_scratch"}),
        ({"batch_size": 1}, {"/batch_size"}),
        ([], {""}),
    ],
)
def test_a_rebuild_is_asked_with_flags_alone(operator: APIClient, body: Any, at_fault: set[str]) -> None:
    assert pointers(operator.post(REBUILD, body)) == at_fault
    assert not Run.objects.exists()


def test_a_body_without_a_length_is_400_and_not_taken_for_none(operator: APIClient) -> None:
    assert_problem(operator.post(REBUILD, HTTP_TRANSFER_ENCODING="chunked"), 400)
    assert not Run.objects.exists()


WORK = [("post", VERIFY), ("post", REBUILD), *((method, "{run}") for method in ("post", "delete"))]
READ = [("get", VERIFY), ("get", "{run}")]


@pytest.fixture(params=[Run.Kind.VERIFY, Run.Kind.REBUILD])
def run(request: pytest.FixtureRequest, operator: APIClient, spent: list[Expense], a_chunk_a_request: None) -> str:
    """Return the address of a run that is under way."""
    return str(operator.post(f"{TOTALS}{request.param}/")["Location"])


@pytest.mark.parametrize(("method", "path"), [*WORK, *READ])
def test_an_ordinary_user_is_403_and_somebody_unknown_401(api: APIClient, run: str, method: str, path: str) -> None:
    address = path.format(run=run)
    assert_problem(getattr(api, method)(address), 403)
    assert_problem(getattr(APIClient(), method)(address), 401)
    assert Run.objects.get().chunks_done == 1


@pytest.mark.parametrize(("method", "path"), WORK)
def test_who_may_read_runs_may_not_work_on_them(auditor: User, run: str, method: str, path: str) -> None:
    client = client_of(permitted(auditor, "view_run"))
    assert client.get(run).status_code == 200
    assert_problem(getattr(client, method)(path.format(run=run)), 403)


@pytest.mark.parametrize("method", ["get", "post"])
def test_a_report_is_for_those_who_see_everybodys_totals(owner: User, method: str) -> None:
    client = client_of(permitted(owner, "view_run", "change_run"))
    assert_problem(getattr(client, method)(VERIFY), 403)
    assert client.post(REBUILD).status_code == 200


def test_an_unknown_run_and_one_of_another_kind_are_404(
    operator: APIClient, spent: list[Expense], a_chunk_a_request: None
) -> None:
    address = operator.post(REBUILD)["Location"]
    for path in (f"{REBUILD}0198b5a2-7c1e-7000-8000-00000000000a/", address.replace("rebuild", "verify")):
        for method in ("get", "post", "delete"):
            assert_problem(getattr(operator, method)(path), 404)


def test_a_run_of_other_totals_is_404(operator: APIClient) -> None:
    call_command("verify_totals", stdout=StringIO())
    other = Run.objects.exclude(totals=ExpenseTotals._meta.label).first()
    assert_problem(operator.get(f"{VERIFY}{other.pk}/"), 404)


def test_the_run_of_a_command_is_shown_and_left_to_it(operator: APIClient) -> None:
    now = dt.datetime.now(dt.UTC)
    run = Run.objects.create(totals=ExpenseTotals._meta.label, kind="rebuild", started_at=now, heartbeat_at=now)
    address = f"{REBUILD}{run.pk}/"
    assert operator.get(address).json()["state"] == "running"
    assert_problem(operator.post(address), 409, "run-not-under-way")
    assert_problem(operator.delete(address), 409)
    assert_problem(operator.post(REBUILD), 409, "run-under-way")


@pytest.mark.parametrize("path", [VERIFY, REBUILD])
def test_unknown_parameters_are_400(operator: APIClient, path: str) -> None:
    assert_problem(operator.post(f"{path}?dry_run=1"), 400, "invalid-parameters")
    assert_problem(operator.get(f"{VERIFY}?all=1"), 400, "invalid-parameters")


@pytest.mark.parametrize(("method", "path"), [("get", REBUILD), ("put", REBUILD), ("delete", VERIFY)])
def test_other_methods_are_405(operator: APIClient, method: str, path: str) -> None:
    assert_problem(getattr(operator, method)(path), 405)


def test_a_rebuild_by_command_and_one_by_request_leave_the_totals_exact(
    operator: APIClient, spent: list[Expense], a_chunk_a_request: None
) -> None:
    spoil()
    begun = operator.post(REBUILD)
    call_command("rebuild_totals", stdout=StringIO())
    goes_on(operator, begun)
    assert_totals_match()
