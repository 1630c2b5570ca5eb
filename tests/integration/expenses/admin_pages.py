"""Pages of the admin, read as a person would."""

from __future__ import annotations

import datetime as dt
import html
import re
from decimal import Decimal
from typing import Any

from django.db import connection
from django.db.models import Model
from django.test import Client
from django.test.utils import CaptureQueriesContext

from expenses.models import Expense

EXPENSES = "/admin/expenses/expense/"
TOTALS = "/admin/expenses/expensetotals/"


def expense(owner: Any, **values: Any) -> Expense:
    given = {"amount": Decimal("12.5"), "currency": "EUR", "spent_on": dt.date(2026, 1, 31), **values}
    return Expense.objects.create(owner=owner, **given)


def rows(client: Client, url: str) -> list[list[str]]:
    """Return the text of each row of a list, cell by cell."""
    response = client.get(url)
    assert response.status_code == 200
    page = response.content.decode()
    found = []
    for row in re.findall(r"<tr[ >].*?</tr>", page.partition('id="result_list"')[2], flags=re.DOTALL):
        cells = re.findall(r"<t[dh][ >].*?</t[dh]>", row, flags=re.DOTALL)
        if "<th" in row and 'scope="col"' in row:
            continue
        found.append([" ".join(html.unescape(re.sub(r"<[^>]*>", " ", cell)).split()) for cell in cells])
    return found


def over(model: type[Model], captured: CaptureQueriesContext) -> list[str]:
    """Return the statements that read a model's rows."""
    table = connection.ops.quote_name(model._meta.db_table)
    return [one["sql"] for one in captured if f"FROM {table}" in one["sql"]]


def listed(client: Client, url: str) -> set[str]:
    """Return the keys of the expenses that a list shows on all its pages."""
    response = client.get(url)
    assert response.status_code == 200, response.headers
    found = set(re.findall(rf"{EXPENSES}([0-9a-f-]{{36}})/change/", response.content.decode()))
    shown = response.context["cl"]
    if shown.page_num < shown.paginator.num_pages:
        found |= listed(client, EXPENSES + shown.get_query_string({"p": shown.page_num + 1}))
    return found
