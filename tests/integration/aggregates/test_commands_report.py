"""rebuild_totals --from-report: repairs what a report names, and believes nothing else of it."""

from __future__ import annotations

import datetime as dt
import io
import json
from collections.abc import Callable
from decimal import Decimal
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from django.db import connection

from aggregates import mending, readiness, registry, reported, runs
from aggregates.models import RollupState, Run
from aggregates.rebuild import PASSES
from tests.integration.aggregates.conftest import NOON, Warehouse
from tests.integration.aggregates.exactness import assert_exact
from tests.processes import called
from tests.testapp.models import MovementTotals, Ticket, TicketTotals

pytestmark = pytest.mark.django_db

Write = Callable[[Any], str]


@pytest.fixture
def write(tmp_path: Path) -> Write:
    """Return a function that writes a report, or just these bytes, to a file, and returns its name."""

    def write(content: Any) -> str:
        path = tmp_path / "drift.json"
        path.write_bytes(content if isinstance(content, bytes) else json.dumps(content).encode())
        return str(path)

    return write


def sql(statement: str) -> int:
    with connection.cursor() as cursor:
        cursor.execute(statement)
        return int(cursor.rowcount)


@pytest.fixture
def moved(warehouse: Warehouse) -> Warehouse:
    """Movements and tickets; of the totals all are wrong."""
    warehouse.moved()
    warehouse.moved(kind="out", item=None, carrier=warehouse.road, urgent=True)
    warehouse.moved(kind=None, site=warehouse.south, moved_at=NOON + dt.timedelta(days=40), value=None)
    for gate in ("a", "b", "é"):
        Ticket.objects.create(gate=gate, price="12.5")
    return warehouse


def spoil() -> int:
    return sql("UPDATE testapp_movementtotals SET quantity = quantity + 3") + sql(
        "UPDATE testapp_tickettotals SET price = price + 5000"
    )


def verified() -> dict[str, Any]:
    told: dict[str, Any] = json.loads(called("verify_totals", "--format", "json")[0])
    return told


def mended(path: str, *options: str) -> tuple[dict[str, Any], int]:
    out, code = called("rebuild_totals", "--from-report", path, "--format", "json", *options)
    return json.loads(out), code


def test_a_report_of_several_totals_is_worked_off(moved: Warehouse, write: Write) -> None:
    wrong = spoil()
    path = write(verified())
    told, code = mended(path)
    assert (code, told["buckets"], len(told["drift"]), told["corrected"], told["settled"]) == (
        0, wrong, wrong, wrong, [],
    )  # fmt: skip
    assert {one["totals"] for one in told["drift"]} == {"testapp.MovementTotals", "testapp.TicketTotals"}
    assert_exact()


def test_what_a_report_does_not_name_stays_as_it_is(moved: Warehouse, write: Write) -> None:
    wrong = spoil()
    report = verified()
    chosen = report["drift"][::2]
    told, code = mended(write({**report, "drift": chosen}))
    key = json.dumps
    assert (code, sorted(map(key, told["drift"]))) == (0, sorted(map(key, chosen)))
    left = verified()["drift"]
    assert len(left) == wrong - len(chosen)
    assert sorted(map(key, left)) == sorted(map(key, report["drift"][1::2]))


def test_its_numbers_are_not_believed(moved: Warehouse, write: Write) -> None:
    spoil()
    report = verified()
    for one in report["drift"]:
        one["difference"] = dict.fromkeys(one["difference"], "99999")
        del one["expected"], one["stored"]
    assert mended(write(report))[1] == 0
    assert_exact()


def test_buckets_that_drift_no_longer_are_named_as_such(moved: Warehouse, write: Write) -> None:
    spoil()
    path = write(verified())
    called("rebuild_totals")
    before = list(MovementTotals.objects.order_by("pk").values())
    told, code = mended(path)
    assert (code, told["clean"], told["drift"], told["corrected"]) == (0, True, [], 0)
    assert len(told["settled"]) == told["buckets"] > 10
    assert {"totals": "testapp.TicketTotals", "rollup": "gate", "bucket": {"gate": "é"}} in told["settled"]
    assert list(MovementTotals.objects.order_by("pk").values()) == before


def test_text_says_the_same(moved: Warehouse, write: Write) -> None:
    sql("UPDATE testapp_tickettotals SET count = 4 WHERE gate IN ('a', 'b')")
    path = write(verified())
    sql("UPDATE testapp_tickettotals SET count = 1 WHERE gate = 'b'")
    out, code = called("rebuild_totals", "--from-report", path)
    assert code == 0
    assert out.splitlines() == [
        "drift in testapp.TicketTotals gate: gate=a: "
        "price: stored 12.5000, expected 12.5000, difference 0.0000; count: stored 4, expected 1, difference -3",
        "no drift in testapp.TicketTotals gate: gate=b",
        "Repaired: 1 of 2 reported buckets had drifted, 1 corrections.",
    ]
    assert called("rebuild_totals", "--from-report", path)[0].splitlines()[-1] == (
        "Clean: 2 reported buckets compared, none drifted."
    )


def test_a_dry_run_compares_what_is_reported_and_corrects_nothing(moved: Warehouse, write: Write) -> None:
    spoil()
    path = write(verified())
    told, code = mended(path, "--dry-run")
    assert (code, len(told["drift"]), "corrected" in told) == (1, told["buckets"], False)
    called("rebuild_totals")
    assert mended(path, "--dry-run")[1] == 0


def test_buckets_that_are_gone_or_new_are_repaired(moved: Warehouse, write: Write) -> None:
    sql("DELETE FROM testapp_tickettotals WHERE gate = 'a'")
    sql("UPDATE testapp_tickettotals SET gate = 'nowhere' WHERE gate = 'b'")
    assert mended(write(verified()))[1] == 0
    assert_exact()


@pytest.mark.parametrize("size", [1, 2])
def test_many_buckets_go_some_a_statement(
    moved: Warehouse, write: Write, monkeypatch: pytest.MonkeyPatch, size: int
) -> None:
    monkeypatch.setattr(mending, "BUCKETS_A_STATEMENT", size)
    wrong = spoil()
    told, code = mended(write(verified()))
    assert (code, told["corrected"]) == (0, wrong)
    assert_exact()
    assert all(run.chunks_done == run.chunks for run in Run.objects.all())


def test_more_buckets_than_a_statement_takes_are_repaired(write: Write) -> None:
    count = mending.BUCKETS_A_STATEMENT + 1
    Ticket.objects.bulk_create(Ticket(gate=str(number), price=1) for number in range(count))
    sql("UPDATE testapp_tickettotals SET count = 7")
    told, _code = mended(write(verified()))
    assert (told["buckets"], told["corrected"]) == (count, count)
    assert Run.objects.get(kind="rebuild").chunks == 2
    assert_exact()


def test_a_bucket_that_is_reported_twice_is_repaired_once(moved: Warehouse, write: Write) -> None:
    spoil()
    report = verified()
    told, _code = mended(write({**report, "drift": report["drift"] * 2}))
    assert told["corrected"] == len(report["drift"])
    assert_exact()


def test_a_repaired_bucket_is_corrected_by_its_generation(
    moved: Warehouse, write: Write, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Another rebuild comes between the comparison and the correction."""
    from aggregates import rebuild  # noqa: PLC0415 - what is patched

    spoil()
    path, correct = write(verified()), rebuild._correct

    def overtaken(*arguments: Any) -> int:
        monkeypatch.setattr(rebuild, "_correct", correct)
        called("rebuild_totals")
        return correct(*arguments)

    monkeypatch.setattr(rebuild, "_correct", overtaken)
    assert mended(path)[1] == 0
    assert_exact()


def test_a_bucket_under_whose_key_another_is_named_is_repaired(moved: Warehouse, write: Write) -> None:
    sql("UPDATE testapp_tickettotals SET count = 4")
    called("rebuild_totals")
    sql("UPDATE testapp_tickettotals SET gate = 'z' WHERE gate = 'a'")
    report = verified()
    chosen = [one for one in report["drift"] if one["bucket"] == {"gate": "a"}]
    assert mended(write({"drift": chosen}))[1] == 0
    assert [one["bucket"] for one in verified()["drift"]] == [{"gate": "z"}]


def test_no_rollup_is_ready_for_it_and_it_is_no_rebuild_of_everything(moved: Warehouse, write: Write) -> None:
    spoil()
    path = write(verified())
    RollupState.objects.all().delete()
    mended(path)
    made = Run.objects.get(totals="testapp.TicketTotals", kind="rebuild")
    assert (made.options, made.buckets, made.drifted, made.corrected, made.state) == (
        {"from_scratch": False, "dry_run": False, "scope": "a report"}, 3, 3, 3, Run.State.COMPLETE,
    )  # fmt: skip
    assert not runs.of_everything("default").filter(kind="rebuild").exists()
    assert readiness.ready(registry.definition(TicketTotals)) == {}


def test_standard_input_is_read(moved: Warehouse, monkeypatch: pytest.MonkeyPatch) -> None:
    spoil()
    given = io.BytesIO(json.dumps(verified(), indent=3).encode("utf-8-sig"))
    monkeypatch.setattr("sys.stdin", SimpleNamespace(buffer=given))
    assert mended("-")[1] == 0
    assert_exact()


def test_the_documented_shape_without_totals_is_enough(moved: Warehouse, write: Write) -> None:
    spoil()
    report = verified()
    drift = [one for one in report["drift"] if one.pop("totals") == "testapp.TicketTotals"]
    told, _code = mended(write({"clean": False, "buckets": 3, "drift": drift, "checked_at": "2026-01-01T00:00:00Z"}))
    assert told["corrected"] == 3


def test_the_report_of_a_rebuild_is_one_too(moved: Warehouse, write: Write) -> None:
    spoil()
    path = write(json.loads(called("rebuild_totals", "--dry-run", "--format", "json")[0]))
    told, _code = mended(path)
    assert told["corrected"]
    again, _code = mended(write(told))
    assert (again["corrected"], len(again["settled"])) == (0, len(told["drift"]))


def test_what_else_a_report_has_is_passed_over(moved: Warehouse, write: Write) -> None:
    spoil()
    told, code = mended(write({"notes": [1, {"drift": [2]}], "by": {"whom": None}, **verified()}))
    assert (code, bool(told["corrected"])) == (0, True)


def test_a_clean_report_has_nothing_to_do(moved: Warehouse, write: Write) -> None:
    told, code = mended(write(verified()))
    assert (code, told["buckets"], told["drift"]) == (0, 0, [])
    assert not Run.objects.filter(kind="rebuild").exists()


def test_a_report_that_was_cut_short_is_worked_off_and_exits_with_2(moved: Warehouse, write: Write) -> None:
    spoil()
    path = write({**verified(), "error": "interrupted", "clean": False})
    out, code = called("rebuild_totals", "--from-report", path)
    assert code == 2
    assert "The report is not complete (interrupted)" in out
    assert_exact()


def finding(**values: Any) -> dict[str, Any]:
    return {"totals": "testapp.TicketTotals", "rollup": "gate", "bucket": {"gate": "a"}, **values}


def movement(**bucket: Any) -> dict[str, Any]:
    values = {"site": 1, "item": 1, "kind": "in", "day": "2026-03-07", **bucket}
    return {"totals": "testapp.MovementTotals", "rollup": "stock", "bucket": values}


def transport(instant: str) -> dict[str, Any]:
    values = {"carrier": 1, "urgent": True, "instant": instant}
    return {"totals": "testapp.MovementTotals", "rollup": "transport", "bucket": values}


def drift(*found: Any) -> dict[str, Any]:
    return {"drift": list(found)}


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (b"", "The report is empty"),
        (b" \n", "The report is empty"),
        (b"\xff\xfe{", "no UTF-8"),
        (b"Clean: 3 buckets compared, none drifted.", "line 1: { should stand here, not C"),
        (b"totals,rollup,bucket\n", "line 1: { should stand here, not t"),
        (b'{"drift": [\n', "line 2: it ends here, in the middle"),
        (b'{"drift": [\n  {"rollup": "ga', "line 2: this is no JSON: Unterminated string"),
        (b'{"drift": []}\n{"drift": []}', "line 2: it goes on after its end, with {"),
        (b'{"drift": [], "drift": []}', '"drift" stands here for the second time'),
        (b"[]", "line 1: { should stand here, not ["),
        ({}, 'it has no list "drift"'),
        ({"results": [], "count": 3}, 'it has no list "drift"'),
        ({"drift": {}}, '"drift" has to be a list'),
        (drift(3), 'finding 1: it has to be {"totals"'),
        (drift(finding(), finding(bucket=[])), 'finding 2: it has to be {"totals"'),
        (drift(finding(totals="shop.Nothing")), "finding 1: there are no totals 'shop.Nothing'; there are: "),
        (drift(finding(totals=3)), "there are no totals 3"),
        (drift(finding(rollup="door")), "testapp.TicketTotals has no rollup 'door'; there are: gate"),
        (drift(finding(rollup=None)), "testapp.TicketTotals has no rollup None"),
        (drift({"rollup": "door", "bucket": {}}), "no totals has no rollup 'door'"),
        (drift({"rollup": "gate", "bucket": {"door": 1}}), "a bucket of testapp.TicketTotals gate has gate, not door"),
        (drift(finding(bucket={})), "has gate, not nothing"),
        (drift(finding(bucket={"gate": "a", "door": 1})), "has gate, not gate, door"),
        (drift(finding(bucket={"gate": 3})), "gate: 3 is not how a report has it, which is '3'"),
        (drift(finding(bucket={"gate": "\0"})), "gate: '\\x00' is no text that a database can hold"),
        (drift(finding(bucket={"gate": "\ud800"})), "gate: '\\ud800' is no text that a database can hold"),
        (drift(movement(site="x")), "site: “x” value must be an integer"),
        (drift(movement(site="1")), "site: '1' is not how a report has it, which is 1"),
        (drift(movement(site=True)), "site: True is not how a report has it"),
        (drift(movement(site=1.5)), "site: 1.5 is not how a report has it"),
        (drift(movement(site=2**70)), "is beyond the range of its column"),
        (drift(transport("2026-03-07T12:00:00")), "instant: 2026-03-07 12:00:00 has no time zone"),
        (drift(movement(day="2026-02-30")), "day: “2026-02-30” value has the correct format"),
        (drift(movement(day=20260307)), "day: 20260307 is no such value"),
        (drift(movement(day="2026-3-7")), "day: '2026-3-7' is not how a report has it, which is '2026-03-07'"),
    ],
)
def test_what_is_no_report_is_refused_by_its_place_and_nothing_is_done(
    moved: Warehouse, write: Write, content: Any, says: str
) -> None:
    spoil()
    before = list(TicketTotals.objects.order_by("pk").values())
    out, code = called("rebuild_totals", "--from-report", write(content))
    assert code == 2
    assert says in out
    assert list(TicketTotals.objects.order_by("pk").values()) == before
    assert not Run.objects.exists()


def test_of_totals_with_rollups_of_one_name_those_are_meant_that_have_the_dimensions(
    moved: Warehouse, write: Write
) -> None:
    """The expenses of the service have an overview as well."""
    sql("UPDATE testapp_movementtotals SET quantity = 0 WHERE rollup = 'overview'")
    report = verified()
    assert {one.pop("totals") for one in report["drift"]} == {"testapp.MovementTotals"}
    assert mended(write(report))[0]["corrected"] == len(report["drift"]) == 3
    out, code = called("rebuild_totals", "--from-report", write(drift({"rollup": "overview", "bucket": {}})))
    assert (code, "several totals have a rollup 'overview': say which, in \"totals\"" in out) == (2, True)


@pytest.mark.parametrize(("limit", "says"), [("MOST", "More than 1 buckets"), ("LARGEST", "more than 1 bytes")])
def test_a_report_is_bounded(
    moved: Warehouse, write: Write, monkeypatch: pytest.MonkeyPatch, limit: str, says: str
) -> None:
    monkeypatch.setattr(reported, limit, 1)
    out, code = called("rebuild_totals", "--from-report", write(drift(finding(), finding())))
    assert (code, says in out) == (2, True)


def test_a_missing_file_exits_with_2() -> None:
    out, code = called("rebuild_totals", "--from-report", "nowhere.json")
    assert (code, "nowhere.json" in out) == (2, True)


@pytest.mark.parametrize(
    "option", [["--owner", "1"], ["--from-scratch"], ["--batch-size", "5"], ["--to", "2026-01-01"], ["--where", "a=b"]]
)
def test_a_report_goes_with_no_other_choice_of_what_to_look_at(write: Write, option: list[str]) -> None:
    out, code = called("rebuild_totals", "--from-report", write(drift()), *option)
    assert (code, "takes --dry-run alone beside it" in out) == (2, True)


def test_every_type_of_value_finds_its_bucket(warehouse: Warehouse, write: Write) -> None:
    """Datetimes, booleans and keys, as a report has them."""
    warehouse.moved(urgent=True, moved_at=NOON.replace(microsecond=123), value=Decimal("0.5"))
    sql("UPDATE testapp_movementtotals SET count = 9 WHERE rollup = 'transport'")
    told, _code = mended(write(verified()))
    assert (told["corrected"], told["drift"][0]["bucket"]["urgent"]) == (1, True)
    assert_exact()


def test_what_drifts_again_and_again_is_given_up(
    moved: Warehouse, write: Write, monkeypatch: pytest.MonkeyPatch
) -> None:
    from aggregates import rebuild  # noqa: PLC0415 - what is patched

    spoil()
    path = write(verified())
    monkeypatch.setattr(rebuild, "_correct", lambda *_arguments: 0)
    out, code = called("rebuild_totals", "--from-report", path, "--format", "json")
    document, _, said = out.rpartition("}\n")
    told = json.loads(document + "}")
    assert (code, told["clean"]) == (2, False)
    assert f"still drift after {PASSES} passes" in told["error"]
    assert "Could not run" in said
