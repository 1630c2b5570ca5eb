"""Verdicts, the exit status, and the forms in which results leave the program."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest

from benchmarks.bars import BARS, Bar, Verdict, bar
from benchmarks.pairs import Ratio
from benchmarks.report import Report, number, table

NAMES_OF_THE_ISSUE = {
    "insert", "update", "note_update", "delete", "naive_insert", "naive_update", "trigger_insert",
    "computedfields_insert", "matview_refresh", "bulk_create_10k", "update_100k", "delete_100k", "cascade_10k",
    "hot16_vs_spread16", "hot16_vs_plain16", "hot16_long_vs_plain16", "read_1m", "read_after_heat", "read_growth",
    "verify_1m", "rebuild_1m", "rebuild_stall", "api_totals",
}  # fmt: skip
MILLION = 1_000_000


def report(**ratios: Ratio) -> Report:
    return Report(MILLION, ratios=ratios)


def test_every_promised_ratio_has_a_name():
    assert set(BARS) >= NAMES_OF_THE_ISSUE


@pytest.mark.parametrize(
    ("ratio", "verdict"),
    [
        (Ratio(1.5, 1.4, 1.6, 9), Verdict.HELD),
        (Ratio(1.6, 1.5, 1.7, 9), Verdict.NOISE),
        (Ratio(1.6, 1.51, 1.7, 9), Verdict.MISSED),
    ],
)
def test_a_cost_is_missed_where_even_its_low_quartile_is_beyond_the_bar(ratio, verdict):
    assert Bar("a cost", most=1.5).verdict(ratio) is verdict


@pytest.mark.parametrize(
    ("ratio", "verdict"),
    [
        (Ratio(0.6, 0.5, 0.7, 9), Verdict.HELD),
        (Ratio(0.5, 0.4, 0.6, 9), Verdict.NOISE),
        (Ratio(0.5, 0.4, 0.59, 9), Verdict.MISSED),
    ],
)
def test_a_gain_is_missed_where_even_its_high_quartile_is_short_of_the_bar(ratio, verdict):
    assert Bar("a gain", least=0.6).verdict(ratio) is verdict


def test_what_is_only_reported_misses_nothing():
    assert report(naive_insert=Ratio(99, 99, 99, 1)).status == 0
    assert report(sqlite_insert=Ratio(99, 99, 99, 1)).status == 0


def test_a_gain_that_grows_with_the_rows_is_asked_for_in_proportion():
    assert bar("read_1m", MILLION).least == 80
    assert bar("read_1m", 50_000).least == 4
    assert bar("hot16_vs_plain16", 50_000).least == 0.6


def test_the_exit_status_tells_of_missed_bars_failures_and_empty_runs():
    assert report(insert=Ratio(1.2, 1.1, 1.3, 9)).status == 0
    assert report(insert=Ratio(1.6, 1.4, 1.8, 9)).status == 0
    assert report(insert=Ratio(1.9, 1.8, 2.0, 9)).status == 1
    assert report().status == 1
    failed = report(insert=Ratio(1.2, 1.1, 1.3, 9))
    failed.failures.append("reads")
    assert failed.status == 1


def test_what_a_database_found_is_taken_in_and_given_out_as_json():
    whole = Report(MILLION, environment={"cores": 2})
    ratio = {"median": 1.2, "low": 1.1, "high": 1.3, "runs": 9}
    found = {"environment": {"fsync": "on"}, "ratios": {"insert": ratio}, "series": {"x": [[1, 2.0]]}, "failures": []}
    whole.take(json.loads(json.dumps(found)))
    assert whole.as_json() == {"environment": {"cores": 2, "fsync": "on"}, "ratios": {"insert": ratio}}
    assert whole.series == {"x": [(1, 2.0)]}


def test_the_table_shows_each_ratio_with_its_bar_and_verdict():
    shown = table(report(sqlite_insert=Ratio(3, 2, 4, 5), insert=Ratio(1.9, 1.8, 2.0, 9))).splitlines()
    assert [line.split()[0] for line in shown] == ["Name", "insert", "sqlite_insert"]
    assert "1.9     1.8 … 2    9     ≤ 1.5  MISSED" in shown[1]
    assert "MISSED" not in shown[2]


def test_numbers_have_three_digits():
    assert [number(value) for value in (0.8765, 1.5, 12.345, 1234.5)] == ["0.876", "1.5", "12.3", "1,234"]


@pytest.mark.parametrize(("name", "few"), [("rebuild_1m", 6.0), ("verify_1m", 2.5)])
def test_less_is_asked_of_what_is_done_once_where_there_are_few_rows(name: str, few: float) -> None:
    assert bar(name, MILLION - 1).most == few
    assert bar(name, MILLION).most < few
    assert bar(name, MILLION - 1).least is None
    assert bar("hot16_long_vs_plain16", 50_000) == replace(BARS["hot16_long_vs_plain16"], least=0.7)
    assert bar("insert", 50_000) == BARS["insert"]
