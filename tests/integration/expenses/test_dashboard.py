"""The dashboard's numbers: those that plain Python makes of the expenses, each leading to the very ones behind it."""

from __future__ import annotations

import datetime as dt
import random
import re
from collections import defaultdict
from decimal import Decimal
from typing import Any

import pytest
from django.contrib.auth.models import Permission, User
from django.db import connection
from django.http import QueryDict
from django.test import Client
from django.test.utils import CaptureQueriesContext

from expenses.dashboard import page
from expenses.dashboard.page import Drawn
from expenses.models import Category, Expense, Status
from tests.integration.expenses.admin_pages import expense
from tests.integration.expenses.dashboard_pages import listed, logged_in, numbers, table, text_of, values

pytestmark = pytest.mark.django_db

TODAY = dt.date(2026, 3, 15)
DAYS = [dt.date(2026, month, day) for month in (1, 2, 3) for day in (1, 15, 28)] + [dt.date(2025, 3, 31)]
RANGE = "from=2026-01-01&to=2026-04-01"
RANGES = ["", RANGE, "from=2026-01-02&to=2026-03-15", "from=2020-01-01&to=2026-04-01", "from=1990-01-01&to=2027-01-01"]


@pytest.fixture
def many(owner: User) -> list[Expense]:
    """Store expenses of two owners, in more categories than have a colour, over months with and without any."""
    rng = random.Random()
    ben = User.objects.create_user("ben")
    categories = [Category.objects.create(name=f"Category {number}") for number in range(9)]
    return Expense.objects.bulk_create(
        Expense(
            owner=rng.choice([owner, ben]),
            category=rng.choice([*categories, None]),
            amount=Decimal(rng.randint(-2000, 10**6)).scaleb(-2),
            currency=rng.choice(["EUR", "EUR", "EUR", "KWD"]),
            spent_on=rng.choice(DAYS),
            status=rng.choice(Status.values),
        )
        for _ in range(120)
    )


@pytest.fixture
def auditor(db: None) -> User:
    user = User.objects.create_user("audra")
    user.user_permissions.add(*Permission.objects.filter(codename__in=["view_all_expenses", "only_read"]))
    return User.objects.get(pk=user.pk)


def shown(user: User, query: str = "", today: dt.date = TODAY) -> dict[str, Any]:
    """Return what a template is given on a day."""
    found = page.dashboard(QueryDict(query), user, today, in_admin=False)
    assert found.status == 200, found.context["filters"].errors
    return found.context


def of(found: dict[str, Any], currency: str) -> Drawn:
    return next(one for one in found["drawn"] if one.of.currency == currency)


def summed(rows: list[Expense], **same: Any) -> Decimal:
    return sum(
        (row.amount for row in rows if all(getattr(row, name) == value for name, value in same.items())), Decimal(0)
    )


def test_this_month_stands_beside_the_last_by_currency(owner: User) -> None:
    expense(owner, amount=Decimal(30), spent_on=dt.date(2026, 3, 31))
    expense(owner, amount=Decimal(20), spent_on=dt.date(2026, 2, 1))
    expense(owner, amount=Decimal("1.5"), currency="KWD", spent_on=dt.date(2026, 2, 28))
    expense(owner, amount=Decimal(99), spent_on=dt.date(2026, 3, 1), status="draft")
    expense(owner, amount=Decimal(99), spent_on=dt.date(2026, 4, 1))
    found = shown(owner)
    changes = [(c.name, c.now.amount, c.before.amount, c.amount, c.percent) for c in found["found"].months]
    assert changes == [
        ("EUR", Decimal(30), Decimal(20), Decimal(10), Decimal("50.0")),
        ("KWD", Decimal(0), Decimal("1.5"), Decimal("-1.5"), Decimal("-100.0")),
    ]
    assert (found["month"], found["month_before"], found["is_present"]) == ("March 2026", "February 2026", True)


def test_the_month_looked_at_is_the_last_of_the_range(owner: User) -> None:
    expense(owner, amount=Decimal(30), spent_on=dt.date(2026, 1, 31))
    found = shown(owner, "from=2025-11-01&to=2026-02-01")
    assert (found["month"], found["month_before"], found["is_present"]) == ("January 2026", "December 2025", False)
    [change] = found["found"].months
    assert (change.now.amount, change.before.count, change.percent) == (Decimal(30), 0, None)


@pytest.mark.parametrize("query", RANGES)
def test_the_numbers_are_those_of_the_expenses(owner: User, many: list[Expense], query: str) -> None:
    found = shown(owner, query)
    span = found["span"]
    counted = [
        row for row in many
        if row.owner == owner and row.status != "draft" and span.low <= row.spent_on < span.high
    ]  # fmt: skip
    assert sum(one.of.total.count for one in found["drawn"]) == len(counted)
    for currency in {row.currency for row in counted}:
        one = of(found, currency)
        rows = [row for row in counted if row.currency == currency]
        assert one.of.total.amount == summed(rows)
        assert {status.value: cell.amount for status, cell in one.of.statuses} == {
            status: summed(rows, status=status) for status in Status.values if status != "draft"
        }
        of_category: dict[Any, Decimal] = defaultdict(Decimal)
        for row in rows:
            of_category[row.category_id] += row.amount
        largest = sorted(of_category.values(), reverse=True)[:7]
        assert [series.total.amount for series, _ in one.series if series.key != "rest"] == largest
        assert sum(series.total.amount for series, _ in one.series) == summed(rows)
        assert [whole.amount for _, _, _, whole in one.rows] == [
            sum(cell.amount for cell in cells) for _, _, cells, _ in one.rows
        ]
        assert sum(whole.count for _, _, _, whole in one.rows) == len(rows)


def test_the_largest_movers_come_first_whichever_way_they_moved(owner: User) -> None:
    for name, before, now in (("Up", 10, 40), ("Down", 100, 20), ("Same", 5, 5), ("New", 0, 50), ("Gone", 1, 0)):
        category = Category.objects.create(name=name)
        for amount, day in ((before, dt.date(2026, 2, 3)), (now, dt.date(2026, 3, 3))):
            if amount:
                expense(owner, category=category, amount=Decimal(amount), spent_on=day)
    movers = of(shown(owner), "EUR").of.movers
    assert [(one.name, one.amount) for one in movers] == [
        ("Down", Decimal(-80)), ("New", Decimal(50)), ("Up", Decimal(30)), ("Gone", Decimal(-1)),
    ]  # fmt: skip


def test_currencies_beyond_the_charts_are_named_and_a_filter_away(owner: User) -> None:
    for number, currency in enumerate(("EUR", "JPY", "KWD", "USD", "CHF")):
        for _ in range(5 - number):
            expense(owner, currency=currency, spent_on=TODAY)
    found = shown(owner)
    assert [one.of.currency for one in found["drawn"]] == ["EUR", "JPY", "KWD"]
    assert [cell.currency for cell in found["found"].further] == ["USD", "CHF"]
    assert [one.of.currency for one in shown(owner, "currency=CHF")["drawn"]] == ["CHF"]


@pytest.mark.parametrize("query", [RANGE, f"{RANGE}&currency=KWD", f"{RANGE}&status=approved", RANGES[2]])
def test_every_number_leads_to_the_very_expenses_behind_it(owner: User, many: list[Expense], query: str) -> None:
    assert_leads(logged_in(owner), f"/?{query}", owners={owner.pk})


@pytest.mark.parametrize("query", [RANGE, f"{RANGE}&owner=ada", f"{RANGE}&status=approved&currency=EUR", RANGES[2]])
def test_in_the_admin_they_lead_to_its_list(admin_client: Client, many: list[Expense], query: str) -> None:
    owners = {user.pk for user in User.objects.filter(username="ada" if "ada" in query else "ben")}
    links = assert_leads(admin_client, f"/admin/?{query}", owners=owners if "ada" in query else None)
    assert {link.partition("?")[0] for link in links} == {"/admin/expenses/expense/"}


def test_who_sees_everybody_without_being_staff_is_led_to_everybodys(auditor: User, many: list[Expense]) -> None:
    assert_leads(logged_in(auditor), f"/?{RANGE}", owners=None)
    assert_leads(logged_in(auditor), f"/?{RANGE}&owner=ben", owners={User.objects.get(username="ben").pk})


def assert_leads(client: Client, url: str, owners: set[int] | None) -> list[str]:
    """Follow every number of a page; return where they lead."""
    stored = {str(row.pk): row for row in Expense.objects.all()}
    found = numbers(text_of(client, url))
    assert len(found) > 10
    for href, value, _name in found:
        behind = [stored[key] for key in listed(client, href)]
        assert behind, href
        assert len({row.currency for row in behind}) == 1
        assert summed(behind) == Decimal(value), href
        assert "draft" not in {row.status for row in behind}
        assert owners is None or {row.owner_id for row in behind} <= owners
    return [href for href, _value, _name in found]


def test_the_table_under_a_chart_has_the_numbers_of_its_bars(owner: User, many: list[Expense]) -> None:
    text = text_of(logged_in(owner), f"/?{RANGE}")
    chart = text.partition('id="chart-EUR"')[2].partition("</svg>")[0]
    assert "<title" in chart
    assert "<desc" in chart
    bars = re.findall(r"<rect[^>]*><title>(.*?), (\w+ \d{4}): (\S+) EUR</title>", chart)
    heads, *rows = table(text, "table-EUR")
    cells = {(head, row[0]): cell for row in rows for head, cell in zip(heads[1:-1], row[1:-1], strict=True)}
    assert bars
    assert {(name, month): amount for name, month, amount in bars}.items() <= cells.items()
    drawn = {(name, month) for name, month, _amount in bars}
    assert all(cell in ("–", "0.00") for key, cell in cells.items() if key not in drawn and key[1] != "All")


def test_a_written_expense_is_in_the_next_answer(owner: User) -> None:
    client = logged_in(owner)
    expense(owner, amount=Decimal(10), spent_on=dt.date(2026, 1, 5))
    assert values(text_of(client, f"/?{RANGE}"))["total-EUR"] == "10.00"
    expense(owner, amount=Decimal("2.5"), spent_on=dt.date(2026, 1, 5))
    assert values(text_of(client, f"/?{RANGE}"))["total-EUR"] == "12.50"


@pytest.mark.parametrize("url", ["/", f"/?{RANGE}&status=approved&currency=EUR", "/?from=1990-01-01&to=2027-01-01"])
def test_a_page_takes_few_queries_whatever_it_shows_and_reads_no_expense(owner: User, url: str) -> None:
    assert_bounded(logged_in(owner), owner, url)


@pytest.mark.parametrize("url", ["/admin/", f"/admin/?{RANGE}&owner=ada"])
def test_the_first_page_of_the_admin_takes_few_queries_too(owner: User, url: str) -> None:
    staff = User.objects.create_user("fin", is_staff=True)
    staff.user_permissions.add(*Permission.objects.filter(content_type__app_label="expenses"))
    assert_bounded(logged_in(staff), owner, url)


def assert_bounded(client: Client, owner: User, url: str) -> None:
    def statements() -> list[str]:
        with CaptureQueriesContext(connection) as queries:
            text_of(client, url)
        return [query["sql"] for query in queries]

    def store(number: int) -> None:
        for index in range(number):
            category = Category.objects.create(name=f"c{Category.objects.count()}")
            for currency in ("EUR", "JPY", "KWD", "USD"):
                expense(
                    owner, category=category, currency=currency, status="approved",
                    spent_on=dt.date(2026, index % 3 + 1, index % 28 + 1),
                )  # fmt: skip

    store(3)
    statements()  # finds what a process looks up once
    few = statements()
    store(20)
    many = statements()
    assert len(few) == len(many) < 30, "\n".join(many)
    touched = re.compile(rf"\b{Expense._meta.db_table}\b")
    assert not [sql for sql in many if touched.search(sql)]
