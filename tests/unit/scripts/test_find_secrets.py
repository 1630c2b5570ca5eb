"""The search for secrets: what is planted is found, what was reviewed is let pass."""

from __future__ import annotations

import json
import runpy
import subprocess
from pathlib import Path

import pytest

from tests.processes import ROOT

pytestmark = pytest.mark.once
MAIN = runpy.run_path(str(ROOT / "scripts" / "find_secrets.py"))["main"]
# In parts, so that none stands here.
PLANTED = {
    "a key of a cloud": "AKIA" + "QWERTYUIOPASDFGH",
    "a private key": "-----BEGIN RSA " + "PRIVATE KEY-----",
    "a password in an address": "postgres://root:" + "hunter22" + "@db.example.com/x",
    "a secret by its name": "SECRET_KEY" + ' = "' + "kGf8-2kd93-Wq1pz" + '"',
}


@pytest.fixture
def clone(tmp_path: Path) -> Path:
    """Return a repository of its own, with the detectors of this one and nothing reviewed."""
    baseline = json.loads((ROOT / ".secrets.baseline").read_text())
    (tmp_path / ".secrets.baseline").write_text(json.dumps({**baseline, "results": {}}))
    (tmp_path / ".gitignore").write_text("ignored\n")
    (tmp_path / "harmless.py").write_text("print('nothing')\n")
    subprocess.run(["git", "init", "--quiet"], cwd=tmp_path, check=True)
    return tmp_path


@pytest.mark.parametrize("planted", PLANTED.values(), ids=PLANTED)
def test_a_planted_secret_is_found_and_named(clone: Path, planted: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert MAIN([], clone) == 0
    (clone / "settings.py").write_text(f"# a line\n{planted}\n")
    assert MAIN([], clone) == 1
    said = capsys.readouterr().out
    assert "settings.py:2: " in said
    assert planted not in said


def test_what_was_reviewed_is_let_pass_wherever_it_stands_and_nothing_else(clone: Path) -> None:
    (clone / "settings.py").write_text(PLANTED["a key of a cloud"])
    assert MAIN(["--reviewed"], clone) == 0
    assert PLANTED["a key of a cloud"] not in (clone / ".secrets.baseline").read_text()
    (clone / "moved.py").write_text(f"\n\n{PLANTED['a key of a cloud']}\n")
    assert MAIN([], clone) == 0
    (clone / "moved.py").write_text(PLANTED["a private key"])
    assert MAIN([], clone) == 1


def test_what_git_ignores_is_not_searched(clone: Path) -> None:
    (clone / "ignored").write_text(PLANTED["a private key"])
    assert MAIN([], clone) == 0


def test_where_there_is_no_git_it_says_so(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert MAIN([], tmp_path) == 0
    assert "no clone" in capsys.readouterr().out


def test_make_check_searches() -> None:
    target = (ROOT / "Makefile").read_text().partition("\ncheck:")[2].partition("\n\n")[0]
    assert "scripts/audit.py" in target
    assert "scripts/find_secrets.py" in target
