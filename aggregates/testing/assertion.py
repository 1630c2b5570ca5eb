"""Every total compared with its source rows, as an assertion."""

from __future__ import annotations

from collections.abc import Iterator

from django.db import DEFAULT_DB_ALIAS, router

from aggregates import chunks, drift, registry
from aggregates.definitions import Definition
from aggregates.drift import Finding

SHOWN = 20  # buckets in a message


def assert_totals_match(using: str = DEFAULT_DB_ALIAS) -> None:
    """Assert that every total in a database equals what its source rows add up to there.

    The message of the AssertionError names each bucket that does not, with what is stored and what
    is expected. Raises DeclarationError where a declaration cannot work.
    """
    found = [_described(definition, finding) for definition, finding in _drift(using)]
    if found:
        more = [f"… and {len(found) - SHOWN} more"] if len(found) > SHOWN else []
        raise AssertionError("\n".join([f"{len(found)} totals are wrong:", *found[:SHOWN], *more]))


def _drift(using: str) -> Iterator[tuple[Definition, Finding]]:
    for definition in registry.working():
        if not router.allow_migrate_model(using, definition.totals):
            continue  # its tables are in another database
        for part in drift.parts(definition, chunks.whole(*definition.rollups), using=using):
            for finding in part.drift:
                yield definition, finding


def _described(definition: Definition, finding: Finding) -> str:
    bucket = ", ".join(f"{name}={value!r}" for name, value in finding.bucket.items())
    stored, expected = (
        ", ".join(f"{name}={amount}" for name, amount in zip(definition.measures, amounts, strict=True))
        for amounts in (finding.stored, finding.expected)
    )
    return f"{definition.label} {finding.rollup.name} ({bucket}): stored {stored}; expected {expected}"
