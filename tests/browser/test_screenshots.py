"""Pictures of the pages for the documentation, taken on request: ``make screenshots``."""

from __future__ import annotations

from pathlib import Path

import pytest
from django.contrib.auth.models import User
from playwright.sync_api import Page

from aggregates.models import Run
from expenses import demo
from tests.browser.books import corrupt
from tests.browser.visits import NARROW, WIDE, Visits
from tests.processes import called

# What each shows: the demo's data, but for the report, which needs a total that was wrong.
PICTURES = {
    "dashboard": "/admin/?currency=EUR&from=2025-11-01&to=2026-11-01",
    "expenses": "/admin/expenses/expense/?currency=EUR&month=2026-10",
    "totals": "/admin/expenses/expensetotals/?rollup__exact=overview&month=2026-10",
    "report": "/admin/aggregates/run/{run}/change/",
}
# By day and wide alone.
FURTHER = {
    "list": "/expenses/?owner=ada&from=2026-10-01&to=2026-11-01",
    "form": "/expenses/add/",
    "history": "/admin/expenses/expenseimage/",
    "months": "/admin/expenses/month/",
    "import": "/admin/expenses/expense/import/",
    "runs": "/admin/aggregates/run/?totals=expenses.ExpenseTotals",
    "rebuild": "/admin/aggregates/run/rebuild/",
}
LARGEST = 250_000  # bytes


@pytest.fixture(scope="package")
def folder(request: pytest.FixtureRequest) -> Path:
    chosen = request.config.getoption("--screenshots")
    if not chosen:
        pytest.skip("takes pictures where --screenshots says where to put them")
    folder = Path(chosen)
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def test_each_picture_is_taken_by_day_and_by_night_wide_and_narrow(folder: Path, visits: Visits, service: str) -> None:
    demo.load()
    called("rebuild_totals")
    corrupt()
    called("rebuild_totals")
    called("verify_totals")
    run = Run.objects.get(kind=Run.Kind.REBUILD, drifted__gt=0)
    user = User.objects.get(username=demo.SUPERUSER)
    for dark in (False, True):
        for width in (WIDE, NARROW):
            page = visits.page(user, width=width, dark=dark)
            for name, address in PICTURES.items():
                take(page, address.format(run=run.pk), folder / f"{name}-{width}-{'dark' if dark else 'light'}.png")

    page = visits.page(user)
    for name, address in FURTHER.items():
        take(page, address, folder / f"{name}.png")
    take(visits.page(), "/login/", folder / "login.png")


def take(page: Page, address: str, path: Path) -> None:
    page.goto(address)
    page.evaluate("document.fonts.ready")
    assert not page.get_by_text("No results found").count(), address
    page.screenshot(path=path, animations="disabled", caret="hide")
    assert path.stat().st_size < LARGEST
