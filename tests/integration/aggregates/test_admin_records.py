"""The admin's pages of runs and of ready rollups: what a person reads there."""

from __future__ import annotations

import datetime as dt
import html
import re
from typing import Any

import pytest
from django.test import Client

from aggregates.models import RollupState, Run
from tests.testapp.models import TicketTotals

pytestmark = pytest.mark.django_db

BEGAN = dt.datetime(2026, 3, 7, 12, tzinfo=dt.UTC)
LABEL = TicketTotals._meta.label
FINDING = {
    "totals": LABEL,
    "rollup": "gate",
    "bucket": {"gate": None},
    "stored": {"price": "1.0000"},
    "expected": {"price": "3.0000"},
    "difference": {"price": "2.0000"},
}


def a_run(**values: Any) -> Run:
    given = {"totals": LABEL, "kind": Run.Kind.VERIFY, "started_at": BEGAN, "heartbeat_at": BEGAN, **values}
    return Run.objects.create(**given)


def text(client: Client, url: str) -> str:
    """Return what a page says, without its markup."""
    response = client.get(url)
    assert response.status_code == 200
    return " ".join(html.unescape(re.sub(r"<[^>]*>", " ", response.content.decode())).split())


def page(client: Client, run: Run) -> str:
    return text(client, f"/admin/aggregates/run/{run.pk}/change/")


def test_a_run_that_goes_on_says_how_far_it_came(admin_client: Client) -> None:
    shown = page(admin_client, a_run(heartbeat_at=BEGAN + dt.timedelta(seconds=2.5), chunks=8, chunks_done=3))
    assert "2.5 s so far" in shown
    assert "none so far" in shown


def test_a_clean_run_says_that_nothing_drifted(admin_client: Client) -> None:
    shown = page(admin_client, a_run(state=Run.State.COMPLETE, finished_at=BEGAN + dt.timedelta(seconds=4)))
    assert "4.0 s" in shown
    assert "so far" not in shown


def test_a_run_names_the_buckets_it_kept_and_counts_the_others(admin_client: Client) -> None:
    shown = page(admin_client, a_run(state=Run.State.COMPLETE, drifted=201, findings=[FINDING]))
    assert "gate gate: none price: 1.0000 price: 3.0000 price: 2.0000" in shown
    assert "… and 200 more." in shown


def test_a_run_whose_findings_are_all_kept_counts_no_others(admin_client: Client) -> None:
    assert "more." not in page(admin_client, a_run(state=Run.State.COMPLETE, drifted=1, findings=[FINDING]))


def test_a_rebuild_says_how_it_was_asked_and_why_it_failed(admin_client: Client) -> None:
    run = a_run(
        kind=Run.Kind.REBUILD,
        state=Run.State.FAILED,
        options={"from_scratch": True, "dry_run": False},
        error="NotRepaired: 1 buckets still drift",
    )
    shown = page(admin_client, run)
    assert "from_scratch: True" in shown
    assert "dry_run: False" in shown
    assert "NotRepaired: 1 buckets still drift" in shown


def test_a_rollup_is_shown_by_its_name_and_whether_it_is_still_declared_so(admin_client: Client) -> None:
    state = RollupState.objects.get(totals=LABEL, rollup="gate")
    url = f"/admin/aggregates/rollupstate/{state.pk}/change/"
    assert f"{LABEL} gate" in text(admin_client, url)
    assert declared_so(admin_client) == "True"
    RollupState.objects.filter(pk=state.pk).update(fingerprint="of another declaration")
    assert declared_so(admin_client) == "False"
    RollupState.objects.filter(pk=state.pk).update(totals="shop.Gone")
    assert declared_so(admin_client, totals="shop.Gone") == "False"


def declared_so(client: Client, totals: str = LABEL) -> str:
    """Return what the list shows in the column "still declared so", as the text of its icon."""
    listed = client.get(f"/admin/aggregates/rollupstate/?totals={totals}").content.decode()
    (icon,) = re.findall(r'field-declared[^>]*>.*?(?:alt|title)="(\w+)"', listed, flags=re.DOTALL)
    return str(icon)
