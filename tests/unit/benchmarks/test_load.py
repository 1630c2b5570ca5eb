"""What a load is judged by, from made-up figures."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from benchmarks import page
from benchmarks.load import figures, memory
from benchmarks.load.figures import Found
from benchmarks.load.journal import Content, Journal, wrong
from benchmarks.report import Report

ONE, OTHER = Content("1.00", "2026-01-31"), Content("2.00", "2026-02-01")
MB = 2**20


def journal() -> Journal:
    noted = Journal()
    noted.begins("a", ONE)
    return noted


def test_an_acknowledged_expense_has_to_be_there_once():
    noted = journal()
    noted.acknowledged("a")
    assert not list(wrong(noted.states, {"a": [ONE]}))
    assert list(wrong(noted.states, {})) == ["a: there is none, and should be 1.00 on 2026-01-31"]
    assert list(wrong(noted.states, {"a": [ONE, ONE]})) == ["a: there is 2 expenses, and should be 1.00 on 2026-01-31"]


def test_a_refused_expense_must_not_be_there():
    noted = journal()
    noted.refused("a")
    assert not list(wrong(noted.states, {}))
    assert list(wrong(noted.states, {"a": [ONE]})) == ["a: there is 1.00 on 2026-01-31, and should be none"]


def test_an_expense_in_doubt_is_whole_or_absent():
    states = journal().states
    assert not list(wrong(states, {}))
    assert not list(wrong(states, {"a": [ONE]}))
    assert list(wrong(states, {"a": [OTHER]}))


def test_a_refused_change_leaves_what_was_there_and_an_acknowledged_delete_nothing():
    noted = journal()
    noted.acknowledged("a")
    noted.begins("a", OTHER)
    noted.refused("a")
    assert list(wrong(noted.states, {"a": [OTHER]}))
    noted.begins("a", None)
    noted.acknowledged("a")
    assert list(wrong(noted.states, {"a": [ONE]}))
    assert not list(wrong(noted.states, {}))


def test_an_expense_that_no_client_made_is_told():
    assert list(wrong({}, {"z": [ONE]})) == ["z: there is 1.00 on 2026-01-31, and should be none"]


@pytest.mark.parametrize(("last", "flat"), [(100, True), (109, True), (111, False)])
def test_memory_is_compared_between_the_second_part_of_the_time_and_the_last(last: int, flat: bool):
    held = {0: 50, 60: 100, 120: 100, 180: 100, 240: last}  # MB, from each second on; the first minute warms up
    samples = [(float(second), {1: 100 * MB, 2: held[second // 60 * 60] * MB}) for second in range(300)]
    found = memory.growth(samples, 300)
    assert found == {1: (100 * MB, 100 * MB), 2: (100 * MB, last * MB)}
    assert bool(memory.grown(found, 300)) is not flat


def test_memory_of_a_short_load_is_told_and_not_judged():
    assert not memory.grown({1: (100 * MB, 200 * MB)}, memory.LEAST_SECONDS - 1)
    assert memory.growth([], 300) == {}


def test_a_worker_that_ends_is_told():
    children = (
        "import subprocess, sys; one = subprocess.Popen(['sleep', '60']); print(flush=True); one.kill(); one.wait()"
    )
    script = children.replace("; one.kill()", "; input(); one.kill()") + "; print(flush=True); input()"
    with subprocess.Popen([sys.executable, "-c", script], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as master:
        assert master.stdin
        assert master.stdout
        master.stdout.readline()
        watch = memory.Watch(master.pid)
        watch.look()
        assert all(held > 0 for held in watch.samples[0][1].values())
        master.stdin.write(b"\n")
        master.stdin.flush()
        master.stdout.readline()
        with pytest.raises(RuntimeError, match="a worker has ended"):
            watch.look()
        master.stdin.close()
    assert memory.resident(os.getpid()) > 0


def found() -> Found:
    kinds = {kind: {"requests": 50, "median": 12.0, "p99": 340.0} for kind in (*figures.KINDS, "all")}
    load = {"seconds": 10.0, "kinds": kinds, "busy": {"503 create": 2}, "errors": {}}
    return Found(
        50, 300, 100_000,
        environment={"cores": 2}, loads={figures.BESIDE: load, figures.OFF: load}, times={"a snapshot was compared": 7},
        memory={1: (100 * MB, 101 * MB)}, writes={"expenses there": 1234},
    )  # fmt: skip


def test_the_section_tells_the_figures_and_on_what_they_were_measured():
    text = figures.section(found())
    assert "a snapshot was compared 7 times" in text
    assert "1,234 expenses there. 4 of the requests were refused with 429 or 503" in text
    assert "100.0 and 101.0 MB" in text
    assert "| create | 5 | 12 | 340 | 5 | 12 | 340 |" in text
    assert "| cores | 2 |" in text


def test_the_section_takes_the_place_of_the_old_one_and_nothing_else(tmp_path):
    section = figures.section(found())
    once = figures.within("# Page\n\nText\n", section)
    assert once == f"# Page\n\nText\n\n{section}\n"
    assert figures.within(once, section) == once
    assert figures.kept(once) == section
    assert figures.kept("# Page\n") == ""
    (tmp_path / "performance.md").write_text(once)
    page.write(Report(1_000_000), tmp_path)
    assert (
        (tmp_path / "performance.md")
        .read_text()
        .endswith(f"in two minutes. The figures go to `build/bench.json` as well.\n\n{section}\n")
    )
