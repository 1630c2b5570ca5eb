"""The scan for secrets: what it finds in a repository of its own."""

from __future__ import annotations

import importlib.util
import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.processes import PATIENCE, ROOT

pytestmark = [
    pytest.mark.once,
    pytest.mark.skipif(
        importlib.util.find_spec("detect_secrets") is None, reason="detect-secrets is not there: make check installs it"
    ),
    pytest.mark.skipif(shutil.which("git") is None, reason="there is no git"),
]
# In parts, so that none is in this file.
PLANTED = {
    "AWS Access Key": 'key = "' + "AKIA" + 'QYLPMN5HHHFPZAM2"\n',
    "Private Key": "-----BEGIN RSA " + "PRIVATE KEY-----\nMIIEow\n",
    "GitHub Token": "ghp_" + "wWPw5k4aXcaT" + "4fNP0UcnZwJUVFk6LO0pINUx\n",
    "Basic Auth Credentials": "DATABASE_URL=postgres://service:" + "b7Qx9LmZt4@db.internal/expenses\n",
    "Secret Keyword": 'SECRET_KEY = "' + 'q8v-3kz0rL2mXw7T"\n',
}


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    """Return a repository with the findings that were reviewed in this one, and a file without any."""
    shutil.copy(ROOT / ".secrets.baseline", tmp_path)
    (tmp_path / "harmless.py").write_text("total = 1\n")
    subprocess.run(["git", "init", "--quiet"], cwd=tmp_path, check=True)
    return tmp_path


def scanned(folder: Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, str(ROOT / "scripts" / "find_secrets.py")]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=PATIENCE, check=False)


def test_a_repository_without_a_secret_passes(repository: Path) -> None:
    ran = scanned(repository)
    assert (ran.returncode, ran.stderr) == (0, "")
    assert "1 files, 0 findings" in ran.stdout


@pytest.mark.parametrize("kind", PLANTED)
def test_a_planted_secret_fails_and_is_not_printed(repository: Path, kind: str) -> None:
    (repository / "planted.py").write_text("\n" + PLANTED[kind])
    ran = scanned(repository)
    assert ran.returncode == 1
    assert f"planted.py:2: {kind}\n" in ran.stdout
    assert PLANTED[kind].splitlines()[0] not in ran.stdout


def test_what_git_ignores_is_not_looked_at(repository: Path) -> None:
    (repository / ".gitignore").write_text("planted.py\n")
    (repository / "planted.py").write_text(PLANTED["Private Key"])
    assert scanned(repository).returncode == 0


def test_every_finding_of_the_baseline_was_reviewed(repository: Path) -> None:
    found = json.loads((ROOT / ".secrets.baseline").read_text())["results"]
    assert found
    assert [path for path, secrets in found.items() for secret in secrets if secret.get("is_secret") is not False] == []
    [path, *_] = found
    found[path][0].pop("is_secret")
    reviewed = json.loads((ROOT / ".secrets.baseline").read_text())
    (repository / ".secrets.baseline").write_text(json.dumps({**reviewed, "results": found}))
    ran = scanned(repository)
    assert ran.returncode == 1
    assert "nobody has called harmless" in ran.stdout


def test_the_check_of_the_project_runs_it() -> None:
    recipe = (ROOT / "Makefile").read_text().partition("\ncheck: ")[2].partition("\n\n")[0]
    assert "scripts/find_secrets.py\n" in f"{recipe}\n"
    assert "scripts/audit.py\n" in f"{recipe}\n"
