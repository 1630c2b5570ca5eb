"""Findings as plain values."""

from __future__ import annotations

import datetime as dt
import json
import uuid
from decimal import Decimal
from typing import Any

import pytest

from aggregates import registry, reports
from aggregates.drift import Finding
from tests.testapp.models import MovementTotals


def test_a_finding_is_told_with_everything_needed_to_understand_it() -> None:
    definition = registry.definition(MovementTotals)
    finding = Finding(
        rollup=definition.rollup("stock"),
        values=(1, None, "in", dt.date(2026, 3, 7)),
        stored=(1, 0, Decimal("1.5000"), 0, 1),
        expected=(3, 0, Decimal("-1.5000"), 0, 2),
        generation=0,
    )
    assert json.loads(json.dumps(reports.as_json(definition, finding))) == {
        "totals": "testapp.MovementTotals",
        "rollup": "stock",
        "bucket": {"site": 1, "item": None, "kind": "in", "day": "2026-03-07"},
        "stored": {"quantity": 1, "received": 0, "value": "1.5000", "inspected": 0, "count": 1},
        "expected": {"quantity": 3, "received": 0, "value": "-1.5000", "inspected": 0, "count": 2},
        "difference": {"quantity": 2, "received": 0, "value": "-3.0000", "inspected": 0, "count": 1},
    }


@pytest.mark.parametrize(
    ("value", "plain"),
    [
        (Decimal("1E+2"), "100"),
        (dt.datetime(2026, 3, 7, tzinfo=dt.UTC), "2026-03-07T00:00:00+00:00"),
        (uuid.UUID(int=1), "00000000-0000-0000-0000-000000000001"),
        (True, True),
        (None, None),
        ("", ""),
    ],
)
def test_a_value_is_written_exactly(value: Any, plain: Any) -> None:
    assert reports.plain(value) == plain
