"""The documentation as a site: built without a warning, and complete without a network."""

from __future__ import annotations

import importlib.util
import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.processes import PATIENCE, ROOT

pytestmark = [
    pytest.mark.once,
    pytest.mark.skipif(importlib.util.find_spec("sphinx") is None, reason="Sphinx is not there: make docs installs it"),
]

ELSEWHERE = r"""["']?(?:https?:)?//"""
LOADED = re.compile(rf"<(?:script|img|iframe|source)\b[^>]*\bsrc={ELSEWHERE}|<link\b[^>]*\bhref={ELSEWHERE}")
STYLED = re.compile(rf"(?:url\(|@import\s){ELSEWHERE}")


def test_the_site_builds_without_a_warning_and_loads_nothing_from_elsewhere(tmp_path: Path) -> None:
    site = tmp_path / "site"
    options = ["--quiet", "--fail-on-warning", "--doctree-dir", str(tmp_path / "doctrees")]
    built = subprocess.run(
        [sys.executable, "-m", "sphinx", *options, "docs", str(site)],
        cwd=ROOT, capture_output=True, text=True, timeout=PATIENCE, check=False,
    )  # fmt: skip
    assert (built.returncode, built.stderr) == (0, "")
    pages = {path.relative_to(site).with_suffix("").as_posix() for path in site.rglob("*.html")}
    assert pages >= {
        path.relative_to(ROOT / "docs").with_suffix("").as_posix() for path in (ROOT / "docs").rglob("*.md")
    }
    for path in site.rglob("*.html"):
        assert not LOADED.search(path.read_text()), path
    for path in site.rglob("*.css"):
        assert not STYLED.search(path.read_text()), path


def _names(folder: Path, suffix: str) -> set[str]:
    return {path.relative_to(folder).with_suffix("").as_posix() for path in folder.rglob(f"*{suffix}")}
