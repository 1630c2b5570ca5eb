"""Every call that a write makes to the database fails in turn: the write is whole, or there is none of it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from typing import Any

import pytest
from django.db import DatabaseError, InterfaceError, connection, models
from django.db.models import F, Value
from django.utils import timezone

from aggregates import chunks, folding, registry
from aggregates.fields import FixedDecimalField
from aggregates.keys import bucket_key
from aggregates.rebuild import Options, rebuild
from expenses.models import ExpenseTotals
from tests.faults.books import REQUESTS, WRITES, Books, Call, assert_exact, cases, seen
from tests.faults.failing import CONFLICT, Calls, Failure, each_call, end_request
from tests.integration.api.conftest import assert_problem

pytestmark = [
    pytest.mark.django_db(transaction=True),
    pytest.mark.skipif(connection.vendor == "mysql", reason="shown on PostgreSQL and SQLite"),
]


@pytest.fixture
def books(transactional_db: None) -> Iterator[Books]:
    books = Books()
    with books.keeping():
        yield books


def rehearsed(books: Books, write: Call) -> tuple[Any, Any]:
    """Return what is to be seen before a write and after it."""
    books.begin()
    before = seen()
    write.act(books)
    after = seen()
    assert after != before, "the write changes nothing"
    return before, after


@pytest.mark.parametrize("write", cases(WRITES))
def test_a_write_is_whole_or_absent_whichever_call_fails(books: Books, write: Call, failure: Failure) -> None:
    before, after = rehearsed(books, write)
    for failing in each_call(failure):
        books.begin()
        error = None
        with failing() as run:
            try:
                write.act(books)
            except (DatabaseError, InterfaceError) as raised:
                error = raised
        end_request()
        found = seen()
        assert found == (before if error and not committed(run) else after), told(run)
        assert_exact()
        if write.repeatable or found == before:
            write.act(books)
            assert repeated(after) == after, told(run)
            assert_exact()


@pytest.mark.parametrize("write", cases([write for write in WRITES if write.retried]))
def test_a_write_is_tried_again_whichever_call_meets_a_conflict(books: Books, write: Call) -> None:
    before, after = rehearsed(books, write)
    for failing in each_call(CONFLICT):
        books.begin()
        error = None
        with failing() as run:
            try:
                write.act(books)
            except DatabaseError as raised:
                error = raised
        end_request()
        assert not (error and run.in_transaction), told(run)
        assert seen() == (before if error else after), told(run)
        assert_exact()


@pytest.mark.parametrize("write", cases(REQUESTS))
def test_a_request_is_answered_503_or_carried_out_whichever_call_fails(
    books: Books, write: Call, failure: Failure
) -> None:
    before, after = rehearsed(books, write)
    for failing in each_call(failure):
        books.begin()
        with failing() as run:
            response = write.act(books)
        end_request()
        if response.status_code not in {200, 201, 204}:
            assert int(assert_unavailable(response, run)["Retry-After"]) > 0
        found = seen()
        expected = after if response.status_code < 300 or committed(run) else before
        assert found == expected, told(run)
        assert_exact()
        again = write.act(books)
        assert again.status_code < 300 or (again.status_code == 404 and found == after), again.content
        assert repeated(after) == after, told(run)
        assert_exact()


def repeated(after: Any) -> Any:
    """Return what is to be seen after a repeat, whose own records in the trail are as they should be."""
    return {**seen(), "trail": after["trail"]}


DEFINITION = registry.definition(ExpenseTotals)


def spoilt() -> None:
    """Make totals wrong: amounts, rows lost, rows that name another bucket."""
    rows: Any = models.QuerySet(ExpenseTotals)
    rows.filter(rollup="day").update(amount=F("amount") + Value(1, output_field=FixedDecimalField()))
    rows.filter(rollup="month", category=1)._raw_delete("default")
    rows.filter(rollup="month", category=2).update(currency="USD")


def spread() -> None:
    """Move totals of hot buckets to another slot, which is as right as before."""
    rows: Any = models.QuerySet(ExpenseTotals)
    for total in rows.filter(rollup="overview"):
        values = [total.category_id, total.currency, total.status, total.month]
        rows.filter(pk=total.pk).update(id=bucket_key("overview", values, 3), slot=3)


def rebuilt(*, from_scratch: bool) -> None:
    for _step in rebuild(DEFINITION, Options(from_scratch=from_scratch), using="default", clock=timezone.now):
        pass


def folded() -> None:
    for chunk in chunks.plan(DEFINITION, using="default", batch_size=100):
        folding.fold(DEFINITION, chunk, using="default")


@pytest.mark.parametrize(
    "from_scratch",
    [pytest.param(False, id="rebuild"), pytest.param(True, id="rebuild_from_scratch", marks=pytest.mark.in_full)],
)
def test_a_rebuild_of_which_any_call_fails_is_finished_by_the_next(
    books: Books, failure: Failure, *, from_scratch: bool
) -> None:
    for failing in each_call(failure):
        books.begin()
        spread()
        spoilt()
        before = seen()
        with failing() as run, suppress(DatabaseError, InterfaceError):
            rebuilt(from_scratch=from_scratch)
        end_request()
        assert seen() == before, told(run)
        rebuilt(from_scratch=from_scratch)
        assert seen() == before, told(run)
        assert_exact()


def test_a_fold_of_which_any_call_fails_changes_no_sum_and_is_finished_by_the_next(
    books: Books, failure: Failure
) -> None:
    for failing in each_call(failure):
        books.begin()
        spread()
        with failing(), suppress(DatabaseError, InterfaceError):
            folded()
        end_request()
        assert_exact()
        folded()
        assert not ExpenseTotals.objects.filter(slot__gt=0).exists()
        assert_exact()


def assert_unavailable(response: Any, run: Calls) -> Any:
    assert response.status_code == 503, f"{response.status_code} {response.content[:300]} {told(run)}"
    assert_problem(response, 503, "unavailable")
    return response


def committed(run: Calls) -> bool:
    """Return whether the failed call was the commit, and was made: whoever asked cannot know."""
    return bool(run.at_commit and run.failure and run.failure.made)


def told(run: Calls) -> str:
    return f"call {len(run.made)} failed: {run.failed[:200]}"
