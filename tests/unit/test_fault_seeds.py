"""A fault that was found can be met again: a run tells its seeds, and takes those that it is given."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from tests.faults import seeds

pytestmark = pytest.mark.once


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({"full_faults": False}, [1]),
        ({"full_faults": True}, [1, 2, 3, 4]),
        ({"full_faults": True, "fault_seed": [7, 9]}, [7, 9]),
    ],
)
def test_a_run_takes_the_seeds_it_is_given_or_else_the_first_few(options: dict[str, Any], expected: list[int]) -> None:
    config: Any = SimpleNamespace(getoption=options.get)
    assert seeds.of(config) == expected


def test_the_head_of_a_run_tells_its_seeds(pytestconfig: pytest.Config) -> None:
    told = pytestconfig.hook.pytest_report_header(config=pytestconfig, start_path=pytestconfig.rootpath)
    lines = [line for lines in told for line in ([lines] if isinstance(lines, str) else lines)]
    assert f"fault seeds: {', '.join(map(str, seeds.of(pytestconfig)))}" in lines
