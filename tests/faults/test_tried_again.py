"""A write whose COMMIT, or last statement, meets a conflict is tried again with what its caller gave it."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.db import DEFAULT_DB_ALIAS, OperationalError, connection, connections

from aggregates.exceptions import CommitInDoubt
from aggregates.signals import transaction_retried
from expenses.models import Category, Expense, ExpenseWrite
from tests.exactness import assert_totals_match
from tests.integration.api.conftest import CATEGORIES, client_of, permitted
from tests.testapp.models import Reading

pytestmark = pytest.mark.django_db(transaction=True)

WRAPPER: Any = type(connections[DEFAULT_DB_ALIAS])  # whose _commit is Django's; the connection's own is the engine's
DEADLOCK = (1213, "Deadlock found when trying to get lock; try restarting transaction")


@contextmanager
def refusing(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Let the database refuse one commit, as PostgreSQL does with SERIALIZABLE and SQLite beside a reader."""
    commit, refused = WRAPPER._commit, []

    def refuse_once(self: Any) -> None:
        if refused:
            commit(self)
            return
        refused.append(True)
        raise OperationalError(*DEADLOCK)

    with monkeypatch.context() as patched:
        patched.setattr(WRAPPER, "_commit", refuse_once)
        yield
    assert refused


@contextmanager
def meanwhile(act: Callable[[], Any]) -> Iterator[None]:
    """Do something before the transaction is tried again, as another writer may."""

    def receive(**_told: Any) -> None:
        transaction_retried.disconnect(receive)
        act()

    transaction_retried.connect(receive)
    try:
        yield
    finally:
        transaction_retried.disconnect(receive)


FORMS: dict[str, Callable[[Reading], Any]] = {
    "save": lambda reading: reading.save(),
    "bulk_create": lambda reading: Reading.objects.bulk_create([reading]),
}


@pytest.mark.parametrize("form", FORMS)
def test_a_new_row_that_is_tried_again_takes_no_key_that_another_got_meanwhile(
    monkeypatch: pytest.MonkeyPatch, form: str
) -> None:
    """SQLite gives a key that was rolled back to the next who wants one."""
    mine, other = Reading(machine="a", level=1), Reading(machine="b", level=2)
    with meanwhile(other.save), refusing(monkeypatch):
        FORMS[form](mine)
    assert set(Reading.objects.values_list("pk", "machine", "level")) == {(mine.pk, "a", 1), (other.pk, "b", 2)}
    assert_totals_match()


@pytest.mark.parametrize("form", FORMS)
def test_a_new_row_whose_commit_is_refused_for_good_is_new_still(
    monkeypatch: pytest.MonkeyPatch, settings: Any, form: str
) -> None:
    settings.AGGREGATES = {"RETRIES": 0}
    mine, other = Reading(machine="a", level=1), Reading(machine="b", level=2)
    with refusing(monkeypatch), pytest.raises(OperationalError, match="Deadlock"):
        FORMS[form](mine)
    assert (mine.pk, mine._state.adding) == (None, True)
    other.save()
    FORMS[form](mine)
    assert set(Reading.objects.values_list("machine", "level")) == {("a", 1), ("b", 2)}
    assert_totals_match()


def test_a_delete_whose_commit_is_refused_is_tried_again(monkeypatch: pytest.MonkeyPatch) -> None:
    reading = Reading.objects.create(machine="a", level=1)
    with refusing(monkeypatch):
        reading.delete()
    assert not Reading.objects.exists()
    assert_totals_match()


def test_a_delete_whose_commit_is_refused_for_good_can_be_repeated(
    monkeypatch: pytest.MonkeyPatch, settings: Any
) -> None:
    settings.AGGREGATES = {"RETRIES": 0}
    reading = Reading.objects.create(machine="a", level=1)
    with refusing(monkeypatch), pytest.raises(OperationalError, match="Deadlock"):
        reading.delete()
    assert Reading.objects.filter(pk=reading.pk).exists()
    reading.delete()
    assert not Reading.objects.exists()
    assert_totals_match()


@pytest.mark.parametrize("made", [True, False], ids=["made", "not made"])
def test_instances_whose_commit_is_in_doubt_can_be_looked_for_and_written_again(
    monkeypatch: pytest.MonkeyPatch, *, made: bool
) -> None:
    doomed, mine = Reading.objects.create(machine="a", level=1), Reading(machine="b", level=2)
    for write in (mine.save, doomed.delete):
        with cut_off(monkeypatch, made=made), pytest.raises(CommitInDoubt):
            write()
    assert Reading.objects.filter(pk=mine.pk).exists() == made
    assert Reading.objects.filter(pk=doomed.pk).exists() == (not made)
    mine.save()
    doomed.delete()
    assert Reading.objects.get() == mine
    assert_totals_match()


@contextmanager
def cut_off(monkeypatch: pytest.MonkeyPatch, *, made: bool) -> Iterator[None]:
    """Let a commit get no answer, whether it is made or not."""
    commit = WRAPPER._commit

    def lose_the_answer(self: Any) -> None:
        if made:
            commit(self)
        raise OperationalError("server closed the connection unexpectedly")

    with monkeypatch.context() as patched:
        patched.setattr(WRAPPER, "_commit", lose_the_answer)
        yield


def test_a_new_category_that_is_tried_again_takes_no_key_that_another_got_meanwhile(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    editor = client_of(permitted(User.objects.create_user("olga"), "add_category"))
    with meanwhile(Category(name="Food").save), refusing(monkeypatch):
        created = editor.post(CATEGORIES, {"name": "Travel"})
    assert created.status_code == 201
    found = dict(Category.objects.values_list("name", "pk"))
    assert found.keys() == {"Food", "Travel"}
    assert created.json() == {"id": found["Travel"], "name": "Travel"}


def expense() -> Expense:
    owner = User.objects.create_user("olga")
    return Expense.objects.create(owner=owner, amount=1, currency="EUR", spent_on=dt.date(2026, 1, 31))


def test_a_deleted_expense_whose_commit_is_refused_is_tried_again(monkeypatch: pytest.MonkeyPatch) -> None:
    stored = expense()
    with refusing(monkeypatch):
        stored.delete()
    assert not Expense.objects.exists()
    assert list(ExpenseWrite.objects.values_list("kind", flat=True).order_by("at")) == ["created", "deleted"]
    assert_totals_match()


def test_a_deleted_expense_whose_record_meets_a_conflict_is_tried_again() -> None:
    """The record is written when the row is gone, and the instance has lost its key."""
    stored, conflicts = expense(), [OperationalError(*DEADLOCK)]

    def fail_once(execute: Any, sql: str, params: Any, many: bool, context: Any) -> Any:
        if conflicts and sql.startswith("INSERT INTO") and ExpenseWrite._meta.db_table in sql:
            raise conflicts.pop()
        return execute(sql, params, many, context)

    with connection.execute_wrapper(fail_once):
        stored.delete()
    assert not conflicts
    assert not Expense.objects.exists()
    assert_totals_match()
