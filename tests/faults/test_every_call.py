"""Every call that a write makes to the database fails in turn: the write is whole, or there is none of it."""

from __future__ import annotations

from typing import Any

import pytest
from django.db import DatabaseError, InterfaceError, connection

from tests.exactness import assert_totals_match
from tests.faults.books import REQUESTS, WRITES, Books, Call, seen
from tests.faults.failing import Calls, Failure, each_call, each_failure, end_request
from tests.integration.api.conftest import assert_problem

pytestmark = [
    pytest.mark.django_db(transaction=True),
    pytest.mark.skipif(connection.vendor == "mysql", reason="shown on PostgreSQL and SQLite"),
]


@pytest.fixture
def books(transactional_db: None) -> Books:
    return Books()


def rehearsed(books: Books, write: Call) -> tuple[Any, Any]:
    """Return what is to be seen before a write and after it."""
    books.begin()
    before = seen()
    write.act(books)
    after = seen()
    assert after != before, "the write changes nothing"
    return before, after


@each_failure
@pytest.mark.parametrize("write", WRITES, ids=lambda write: write.name)
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
        assert_totals_match()
        if write.repeatable or found == before:
            write.act(books)
            assert seen() == after, told(run)
            assert_totals_match()


@each_failure
@pytest.mark.parametrize("write", REQUESTS, ids=lambda write: write.name)
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
        assert_totals_match()
        again = write.act(books)
        assert again.status_code < 300 or (again.status_code == 404 and found == after), again.content
        assert seen() == after, told(run)
        assert_totals_match()


def assert_unavailable(response: Any, run: Calls) -> Any:
    assert response.status_code == 503, f"{response.status_code} {response.content[:300]} {told(run)}"
    assert_problem(response, 503, "unavailable")
    return response


def committed(run: Calls) -> bool:
    """Return whether the failed call was the commit, and was made: whoever asked cannot know."""
    return bool(run.at_commit and run.failure and run.failure.made)


def told(run: Calls) -> str:
    return f"call {len(run.made)} failed: {run.failed[:200]}"
