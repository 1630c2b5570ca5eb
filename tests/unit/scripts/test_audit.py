"""The audit of dependencies: what it makes of a report."""

from __future__ import annotations

import json
import runpy
from typing import Any

import pytest

from tests.processes import ROOT

pytestmark = pytest.mark.once
AUDIT = runpy.run_path(str(ROOT / "scripts" / "audit.py"))
SOUND = {"name": "django", "version": "5.2.19", "vulns": []}
SKIPPED = {"name": "babel", "skip_reason": "not found"}
HURT = {
    "name": "gunicorn", "version": "19.0",
    "vulns": [{"id": "PYSEC-1", "fix_versions": ["22.0"]}, {"id": "PYSEC-2", "fix_versions": []}],
}  # fmt: skip


def judged(*dependencies: dict[str, Any]) -> Any:
    return AUDIT["judged"](json.dumps({"dependencies": dependencies, "fixes": []}))


def test_what_is_vulnerable_is_named_with_what_mends_it() -> None:
    assert judged(SOUND, SKIPPED, HURT) == (
        2,
        ["gunicorn 19.0: PYSEC-1, mended in 22.0", "gunicorn 19.0: PYSEC-2, mended in no version yet"],
    )


def test_what_is_sound_is_counted() -> None:
    assert judged(SOUND, SKIPPED) == (1, [])


@pytest.mark.parametrize("report", ["", "no route to host", "{}", json.dumps({"dependencies": [SKIPPED]})])
def test_a_service_that_cannot_be_asked_is_no_finding(report: str) -> None:
    assert AUDIT["judged"](report) is None
