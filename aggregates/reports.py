"""Findings in the forms that leave the program: plain values for JSON, CSV and people."""

from __future__ import annotations

import datetime as dt
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from aggregates.definitions import Definition
from aggregates.deltas import Amounts
from aggregates.drift import Finding

if TYPE_CHECKING:
    from aggregates.reported import Bucket


def as_json(definition: Definition, finding: Finding) -> dict[str, Any]:
    """Return ``{"totals", "rollup", "bucket", "stored", "expected", "difference"}``.

    Decimals are strings in plain notation, dates ISO 8601, whole numbers numbers.
    """

    def amounts(values: Amounts) -> dict[str, Any]:
        return {name: plain(value) for name, value in zip(definition.measures, values, strict=True)}

    return {
        "totals": definition.label,
        "rollup": finding.rollup.name,
        "bucket": {name: plain(value) for name, value in finding.bucket.items()},
        "stored": amounts(finding.stored),
        "expected": amounts(finding.expected),
        "difference": amounts(finding.difference),
    }


def named(bucket: Bucket) -> dict[str, Any]:
    """Return ``{"totals", "rollup", "bucket"}``, as a finding has them."""
    values = zip(bucket.rollup.dimensions, bucket.values, strict=True)
    return {
        "totals": bucket.definition.label,
        "rollup": bucket.rollup.name,
        "bucket": {name: plain(value) for name, value in values},
    }


def plain(value: Any) -> Any:
    """Return a value as JSON has it: exact, and readable."""
    if isinstance(value, Decimal):
        return f"{value:f}"
    if isinstance(value, (dt.date, dt.datetime)):
        return value.isoformat()
    if value is None or isinstance(value, (bool, int, str)):
        return value
    return str(value)
