"""Which statements undo what a transaction has written so far."""

from __future__ import annotations

from typing import Any

import pytest
from django.db import connection

from aggregates.undo import TransactionLog

pytestmark = pytest.mark.django_db


@pytest.fixture
def log() -> TransactionLog:
    log = TransactionLog(connection, lambda: None)
    log.begin()
    return log


@pytest.mark.parametrize(
    "statement",
    [
        'ROLLBACK TO SAVEPOINT "s1"',
        'rollback to "s1"',
        '  ROLLBACK  WORK TO SAVEPOINT "s1";',
        'ROLLBACK TO SAVEPOINT "of somebody else"',
    ],
)
def test_a_rollback_to_a_savepoint_undoes_what_came_after_it(log: TransactionLog, statement: str) -> None:
    log.note('SAVEPOINT "s1"')
    written = log.moment()
    log.note(statement)
    assert log.undone(written)
    assert not log.undone(log.moment())


@pytest.mark.parametrize(
    "statement",
    [
        'SAVEPOINT "s2"',
        'RELEASE SAVEPOINT "s1"',
        "ROLLBACK",
        "SAY",
        "SELECT 1",
        "",
        b'ROLLBACK TO SAVEPOINT "s1"',
        None,
    ],
    ids=repr,
)
def test_another_statement_undoes_nothing(log: TransactionLog, statement: Any) -> None:
    log.note('SAVEPOINT "s1"')
    written = log.moment()
    log.note(statement)
    assert not log.undone(written)


def test_what_came_before_the_savepoint_stands(log: TransactionLog) -> None:
    before = log.moment()
    log.note('SAVEPOINT "s1"')
    after = log.moment()
    log.note('ROLLBACK TO SAVEPOINT "s1"')
    assert (log.undone(before), log.undone(after)) == (False, True)
