"""Pages of the dashboard, read as a browser would."""

from __future__ import annotations

import html
import re
from collections.abc import Iterator
from typing import Any
from urllib.parse import urljoin

from django.test import Client

from tests.integration.expenses.admin_pages import EXPENSES as ADMIN_EXPENSES
from tests.integration.expenses.admin_pages import listed as listed_in_admin

LIST = "/expenses/"
NUMBER = re.compile(r'<a class="t-number" href="([^"]+)" data-value="([^"]+)"(?: data-testid="([^"]+)")?>')
ROW = re.compile(r'<tr data-id="([0-9a-f-]{36})"')
NEXT = re.compile(r'<a class="t-button" rel="next" href="([^"]+)"')


def text_of(client: Client, url: str, status: int = 200) -> str:
    response = client.get(url)
    assert response.status_code == status, (url, response.status_code)
    return response.content.decode()


def numbers(page: str) -> list[tuple[str, str, str]]:
    """Return address, value and test id of every number that leads to expenses."""
    return [(html.unescape(href), value, name) for href, value, name in NUMBER.findall(page)]


def values(page: str) -> dict[str, str]:
    """Return the values of the numbers that have a test id."""
    return {name: value for _href, value, name in numbers(page) if name}


def listed(client: Client, url: str) -> set[str]:
    """Return the keys of the expenses that a list shows on all its pages."""
    if url.startswith(ADMIN_EXPENSES):
        return listed_in_admin(client, url)
    return {key for page in _pages(client, url) for key in ROW.findall(page)}


def _pages(client: Client, url: str) -> Iterator[str]:
    while url:
        page = text_of(client, url)
        yield page
        found = NEXT.search(page)
        url = urljoin(url, html.unescape(found[1])) if found else ""


def table(page: str, name: str) -> list[list[str]]:
    """Return the text of a table, row by row, cell by cell."""
    inside = page.partition(f'id="{name}"')[2].partition("</table>")[0]
    rows = re.findall(r"<tr\b.*?</tr>", inside, flags=re.DOTALL)
    return [[_text(cell) for cell in re.findall(r"<t[dh]\b.*?</t[dh]>", row, flags=re.DOTALL)] for row in rows]


def _text(cell: str) -> str:
    return " ".join(html.unescape(re.sub(r"<[^>]*>", " ", cell)).split())


def logged_in(user: Any) -> Client:
    client = Client()
    client.force_login(user)
    return client
