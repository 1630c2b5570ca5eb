"""No request makes more queries than another like it, however many rows it is about: every endpoint is counted."""

from __future__ import annotations

import datetime as dt
import itertools
from collections.abc import Callable
from decimal import Decimal
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.db import connection
from django.test.utils import CaptureQueriesContext, override_settings
from drf_spectacular.generators import SchemaGenerator
from rest_framework.test import APIClient

from expenses.models import Category, Expense
from expenses.reports import KEYS
from tests.integration.api.conftest import CATEGORIES, EXPENSES, PASSWORD, TOTALS, client_of

pytestmark = pytest.mark.django_db(transaction=True)  # as it is without a test's own transaction

# Few enough that each of them is in one statement where a database limits those.
FEW, MANY = 2, 25
WORDS = itertools.count()

Ask = Callable[[], Any]
Prepare = Callable[[APIClient, list[Expense]], Ask]


def fresh(kind: str) -> str:
    return f"{kind} {next(WORDS)}"


def stored(user: User, number: int) -> list[Expense]:
    """Store expenses of different months and categories, so that each has totals of its own."""
    categories = [Category.objects.create(name=fresh("category")) for _ in range(number)]
    first = dt.date(2026, 1, 1)
    days = [first + dt.timedelta(days=31 * index) for index in range(number)]
    common = {"owner": user, "amount": Decimal(1), "currency": "EUR", "description": "taxi"}
    rows = [Expense(category=c, spent_on=day, **common) for c, day in zip(categories, days, strict=True)]
    return Expense.objects.bulk_create(rows)


def new(rows: list[Expense]) -> list[dict[str, Any]]:
    """Return as many new expenses, of the same categories."""
    return [
        {"amount": "2.00", "currency": "EUR", "spent_on": "2026-02-01", "category": row.category_id} for row in rows
    ]


def get(path: str) -> Prepare:
    return lambda client, rows: lambda: client.get(path)


def of_one(method: str, **members: str) -> Prepare:
    def prepare(client: APIClient, rows: list[Expense]) -> Ask:
        return lambda: getattr(client, method)(f"{EXPENSES}{rows[0].pk}/", members or None)

    return prepare


def posted(client: APIClient, rows: list[Expense]) -> Ask:
    return lambda: client.post(EXPENSES, new(rows)[0], headers={"Idempotency-Key": fresh("key")})


def in_bulk(client: APIClient, rows: list[Expense]) -> Ask:
    return lambda: client.post(f"{EXPENSES}bulk/", new(rows), headers={"Idempotency-Key": fresh("key")})


def imported(client: APIClient, rows: list[Expense]) -> Ask:
    lines = [f"{fresh('id')},{row.owner.username},{row.category.name},2026-02-01,2.00" for row in rows]
    file = "\n".join(["id,user,category,day,sum", *lines]).encode()
    columns = {"id": "id", "owner": "user", "category": "category", "date": "day", "amount": "sum"}
    query = "&".join(f"{name}_column={column}" for name, column in columns.items())
    address = f"{EXPENSES}import/?{query}&currency=EUR"
    return lambda: client.generic("POST", address, file, content_type="text/csv")


def on_category(method: str, suffix: str = "", **members: Any) -> Prepare:
    """Prepare a request about a category that has all the rows."""

    def prepare(client: APIClient, rows: list[Expense]) -> Ask:
        category = Category.objects.create(name=fresh("all"))
        Expense.objects.filter(pk__in=[row.pk for row in rows]).update(category=category)
        body = {"into": rows[0].category_id} if suffix else members and {"name": fresh("name")}
        return lambda: getattr(client, method)(f"{CATEGORIES}{category.pk}/{suffix}", body or None)

    return prepare


def with_history(client: APIClient, rows: list[Expense]) -> Ask:
    for row in rows:
        Expense.objects.filter(pk=rows[0].pk).update(category=row.category_id)
    return lambda: client.get(f"{EXPENSES}{rows[0].pk}/history/?page_size=1000")


def on_month(action: str) -> Prepare:
    def prepare(client: APIClient, rows: list[Expense]) -> Ask:
        client.post("/api/v1/months/2050-01/reopen/")
        for row in rows:
            row.spent_on = dt.date(2050, 1, 1)
        Expense.objects.bulk_update(rows, ["spent_on"])
        if action == "reopen":
            client.post("/api/v1/months/2050-01/close/")
        return lambda: client.post(f"/api/v1/months/2050-01/{action}/")

    return prepare


def created(client: APIClient, rows: list[Expense]) -> Ask:
    return lambda: client.post(CATEGORIES, {"name": fresh("name")})


def drifted() -> None:
    with connection.cursor() as cursor:
        cursor.execute("UPDATE expenses_expensetotals SET amount = amount + 10000")


def run(kind: str) -> Prepare:
    """Prepare a whole run over totals that all differ."""

    def prepare(client: APIClient, rows: list[Expense]) -> Ask:
        drifted()
        return lambda: client.post(f"{TOTALS}{kind}/")

    return prepare


def on_run(kind: str, method: str) -> Prepare:
    """Prepare a request about a run that has ended, or, where it is to be cancelled, not yet."""

    def prepare(client: APIClient, rows: list[Expense]) -> Ask:
        drifted()
        # Of a run in steps, a month each, the first request does the first.
        with override_settings(**{"AGGREGATES": {"STEP_SECONDS": 0, "STEP_ROWS": 1}} if method == "delete" else {}):
            answer = client.post(f"{TOTALS}{kind}/")
        return lambda: getattr(client, method)(answer["Location"])

    return prepare


def logged_in(client: APIClient, rows: list[Expense]) -> Ask:
    return lambda: APIClient().post("/api/v1/auth/login/", {"username": "root", "password": PASSWORD})


def logged_out(path: str) -> Prepare:
    def prepare(client: APIClient, rows: list[Expense]) -> Ask:
        other = client_of(User.objects.get(username="root"))
        for _ in rows:
            client_of(User.objects.get(username="root"))  # one more token
        return lambda: other.post(f"/api/v1/auth/{path}/")

    return prepare


CASES: dict[tuple[str, str], Prepare] = {
    ("/api/v1/auth/login/", "post"): logged_in,
    ("/api/v1/auth/logout/", "post"): logged_out("logout"),
    ("/api/v1/auth/logoutall/", "post"): logged_out("logoutall"),
    ("/api/v1/categories/", "get"): get(f"{CATEGORIES}?page_size=1000"),
    ("/api/v1/categories/", "post"): created,
    ("/api/v1/categories/{id}/", "get"): on_category("get"),
    ("/api/v1/categories/{id}/", "put"): on_category("put", name=True),
    ("/api/v1/categories/{id}/", "patch"): on_category("patch", name=True),
    ("/api/v1/categories/{id}/", "delete"): on_category("delete"),
    ("/api/v1/categories/{id}/merge/", "post"): on_category("post", "merge/"),
    ("/api/v1/expenses/", "get"): get(f"{EXPENSES}?page_size=1000&search=taxi&ordering=category_name"),
    ("/api/v1/expenses/", "post"): posted,
    ("/api/v1/expenses/bulk/", "post"): in_bulk,
    ("/api/v1/expenses/import/", "post"): imported,
    ("/api/v1/expenses/{id}/", "get"): of_one("get"),
    ("/api/v1/expenses/{id}/", "put"): of_one("put", amount="3.00", currency="EUR", spent_on="2026-03-01"),
    ("/api/v1/expenses/{id}/", "patch"): of_one("patch", amount="3.00"),
    ("/api/v1/expenses/{id}/", "delete"): of_one("delete"),
    ("/api/v1/expenses/{id}/history/", "get"): with_history,
    ("/api/v1/months/", "get"): get("/api/v1/months/?page_size=1000"),
    ("/api/v1/months/{month}/close/", "post"): on_month("close"),
    ("/api/v1/months/{month}/reopen/", "post"): on_month("reopen"),
    ("/api/v1/totals/", "get"): get(f"{TOTALS}?page_size=1000"),
    ("/api/v1/totals/rebuild/", "post"): run("rebuild"),
    ("/api/v1/totals/rebuild/{id}/", "get"): on_run("rebuild", "get"),
    ("/api/v1/totals/rebuild/{id}/", "post"): on_run("rebuild", "post"),
    ("/api/v1/totals/rebuild/{id}/", "delete"): on_run("rebuild", "delete"),
    ("/api/v1/totals/verify/", "get"): get(f"{TOTALS}verify/"),
    ("/api/v1/totals/verify/", "post"): run("verify"),
    ("/api/v1/totals/verify/{id}/", "get"): on_run("verify", "get"),
    ("/api/v1/totals/verify/{id}/", "post"): on_run("verify", "post"),
    ("/api/v1/totals/verify/{id}/", "delete"): on_run("verify", "delete"),
}
LISTS = [
    f"{EXPENSES}?pagination=cursor&page_size=1000",
    *(f"{TOTALS}?group_by={key}&page_size=1000" for key in KEYS),
    f"{TOTALS}?group_by={','.join(KEYS)}&page_size=1000",
    *(f"{TOTALS}?group_by=category,owner&format={format_}" for format_ in ("csv", "jsonl")),
    f"{TOTALS}?group_by=category&compare=previous&from=2026-01-01&to=2029-01-01",
]


@pytest.fixture
def root(db: None) -> User:
    return User.objects.create_superuser("root", password=PASSWORD)


def taken(prepare: Prepare, user: User, number: int) -> list[str]:
    """Return the statements of a request about so many rows."""
    ask = prepare(client_of(user), stored(user, number))
    with CaptureQueriesContext(connection) as queries:
        response = ask()
        body = b"".join(response.streaming_content) if response.streaming else response.content
    assert response.status_code < 300, body
    return [query["sql"][:200] for query in queries]


def assert_constant(prepare: Prepare, user: User) -> None:
    taken(prepare, user, FEW)  # finds what a process looks up once
    few, many = taken(prepare, user, FEW), taken(prepare, user, MANY)
    assert len(few) == len(many), "\n".join(["few:", *few, "many:", *many])


@pytest.mark.parametrize("case", CASES, ids=" ".join)
def test_a_request_takes_as_many_queries_for_many_rows_as_for_few(root: User, case: tuple[str, str]) -> None:
    assert_constant(CASES[case], root)


@pytest.mark.parametrize("path", LISTS)
def test_an_answer_takes_as_many_queries_for_many_rows_as_for_few(root: User, path: str) -> None:
    assert_constant(get(path), root)


def test_every_operation_of_the_schema_is_counted() -> None:
    paths = SchemaGenerator().get_schema(public=True)["paths"]
    assert {(path, method) for path, methods in paths.items() for method in methods} == set(CASES)
