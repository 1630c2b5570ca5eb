"""What a test run does about its browser, and tells of it."""

from __future__ import annotations

import os
import platform
from pathlib import Path

import pytest

from tests import chromium, run
from tests.programs import NotRun

pytestmark = pytest.mark.once
APT_GET = """#!/bin/sh
echo "$@"
case "$*" in *install*) {installs} ;; esac
"""


@pytest.fixture
def machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Let this be a Debian of root's, without chromium; return the folder of its programs."""
    monkeypatch.setattr(platform, "freedesktop_os_release", lambda: {"ID": "debian"})
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    monkeypatch.setattr(chromium, "USUAL", str(tmp_path / "none"))
    monkeypatch.setattr(chromium, "ROOT", tmp_path)
    monkeypatch.setattr(chromium, "LOG", tmp_path / "chromium.log")
    monkeypatch.setenv("PATH", str(tmp_path))
    return tmp_path


def program(path: Path, text: str) -> None:
    path.write_text(text)
    path.chmod(0o755)


def test_apt_get_installs_chromium_once_its_lists_are_new(machine: Path) -> None:
    browser = machine / "chromium"
    program(machine / "apt-get", APT_GET.format(installs=f"/bin/cp {machine}/apt-get {browser}"))
    chromium.install()
    assert chromium.found() == str(browser)
    update, install = (machine / "chromium.log").read_text().splitlines()
    assert update.endswith(" update")
    assert install.endswith(" install --yes --no-install-recommends chromium")


def test_where_apt_get_fails_the_reason_names_its_log(machine: Path) -> None:
    program(machine / "apt-get", APT_GET.format(installs="exit 100"))
    with pytest.raises(NotRun, match=r"could not install it: see chromium\.log"):
        chromium.install()


@pytest.mark.parametrize("lacks", ["root", "debian", "apt-get"])
def test_nothing_is_installed_where_it_cannot_be(lacks: str, machine: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    program(machine / "apt-get", APT_GET.format(installs=f"/bin/cp {machine}/apt-get {machine}/chromium"))
    if lacks == "root":
        monkeypatch.setattr(os, "geteuid", lambda: 1000)
    elif lacks == "debian":
        monkeypatch.setattr(platform, "freedesktop_os_release", lambda: {"ID": "ubuntu"})
    else:
        monkeypatch.setenv("PATH", str(machine / "elsewhere"))
    with pytest.raises(NotRun, match="apt-get install chromium"):
        chromium.install()
    assert not (machine / "chromium").exists()


CASE = '<testcase classname="tests.browser.test_admin" name="x">{}</testcase>'
OTHER = '<testcase classname="tests.unit.test_fields" name="x"><failure/></testcase>'
SKIPPED = CASE.format('<skipped message="chromium is not there"/>')


@pytest.mark.parametrize(
    ("missing", "cases", "told"),
    [
        ("", [CASE.format(""), CASE.format(""), SKIPPED, OTHER], "Browser: passed (2 passed, 0 failed, on SQLite)"),
        ("", [CASE.format(""), CASE.format("<failure/>")], "Browser: FAILED (1 passed, 1 failed, on SQLite)"),
        ("", [SKIPPED, SKIPPED, OTHER], "Browser: not run (chromium is not there)"),
        ("", [OTHER], "Browser: not run (none of its tests was chosen)"),
        ("no network", [SKIPPED], "Browser: not run (no network)"),
    ],
)
def test_the_run_tells_how_the_browser_tests_ended_or_why_they_were_not_run(
    missing: str, cases: list[str], told: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "sqlite.xml").write_text(f"<testsuites><testsuite>{''.join(cases)}</testsuite></testsuites>")
    monkeypatch.setattr(run, "BUILD", tmp_path)
    assert run.browser_tests(missing) == told


def test_where_sqlite_is_left_out_so_is_the_browser() -> None:
    assert "SQLite" in run.prepare_browser(["PostgreSQL"], [])
