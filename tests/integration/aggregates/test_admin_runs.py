"""Verify and rebuild in the engine's own admin, without a theme: begun, worked off, cancelled, reported."""

from __future__ import annotations

import re
import uuid
from typing import Any

import pytest
from django.contrib.auth import get_user_model
from django.contrib.auth.models import Permission
from django.db import connection
from django.test import Client
from django.utils import timezone

from aggregates import registry, steps
from aggregates.extents import Within
from aggregates.models import Run
from aggregates.rebuild import Options
from tests.integration.aggregates.exactness import assert_exact
from tests.testapp import plain_site
from tests.testapp.models import Ticket, TicketTotals

pytestmark = pytest.mark.django_db

RUNS = "/plain/aggregates/run/"
LABEL = TicketTotals._meta.label
GATES = "cdef"


@pytest.fixture(autouse=True)
def _site(settings: Any) -> None:
    """Serve the engine's admin on Django's own templates, a gate a step."""
    settings.ROOT_URLCONF = "tests.testapp.plain_site"
    settings.TEMPLATES = plain_site.templates(settings)
    settings.AGGREGATES = {"STEP_SECONDS": 0, "STEP_ROWS": 1}


@pytest.fixture
def tickets(db: None) -> None:
    for gate in GATES:
        Ticket.objects.create(gate=gate, price=1)


def spoil(gate: str) -> None:
    with connection.cursor() as cursor:
        cursor.execute("UPDATE testapp_tickettotals SET price = price + 5000 WHERE gate = %s", [gate])


def staff(*codenames: str) -> Client:
    user = get_user_model().objects.create_user(f"staff{uuid.uuid4()}", is_staff=True)
    user.user_permissions.set(Permission.objects.filter(codename__in=codenames, content_type__app_label="aggregates"))
    client = Client()
    client.force_login(user)
    return client


def begun(client: Client, kind: str, **options: str) -> Run:
    answer = client.post(f"{RUNS}{kind}/", {"totals": LABEL, **options})
    run = Run.objects.get(totals=LABEL, state=Run.State.RUNNING)
    assert (answer.status_code, answer["Location"]) == (302, page(run))
    return run


def page(run: Run, name: str = "progress") -> str:
    return f"{RUNS}{run.pk}/{name}/"


def shown(client: Client, run: Run) -> str:
    answer = client.get(page(run))
    assert answer.status_code == 200
    return " ".join(answer.content.decode().split())


def said(answer: Any) -> str:
    return " ".join(str(message) for message in answer.context["messages"])


def test_a_rebuild_is_confirmed_then_worked_off_a_step_a_request_and_reported(
    admin_client: Client, tickets: None
) -> None:
    spoil("d")
    asked = admin_client.get(f"{RUNS}rebuild/").content.decode()
    assert 'id="begin-form"' in asked
    assert not Run.objects.filter(totals=LABEL).exists()
    run = begun(admin_client, "rebuild")
    text = shown(admin_client, run)
    assert "Under way: 0 of 4 chunks done." in text
    assert '<progress id="run-progress" max="4" value="0"' in text
    assert '/aggregates/run.js" defer' in text
    for done in (1, 2, 3):
        answer = admin_client.post(page(run, "step"))
        assert (answer.status_code, answer["Location"]) == (302, page(run))
        assert f"Under way: {done} of 4 chunks done." in shown(admin_client, run)
    admin_client.post(page(run, "step"))
    text = shown(admin_client, run)
    assert "Complete: 1 bucket drifted." in text
    assert "<dd>admin</dd>" in text
    assert '<dd id="run-corrected">1</dd>' in text
    [cells] = re.findall(r"<tbody><tr>(.*?)</tr>", text)
    assert re.findall(r"<td>(.*?)</td>", cells) == [
        "gate", "gate: d", "count: 1, price: 1.5000", "count: 1, price: 1.0000", "count: 0, price: -0.5000",
    ]  # fmt: skip
    assert 'id="go-on"' not in text
    assert "run.js" not in text
    assert_exact()


def test_a_verify_that_finds_nothing_says_so(admin_client: Client, tickets: None) -> None:
    run = begun(admin_client, "verify")
    for _ in GATES:
        admin_client.post(page(run, "step"))
    text = shown(admin_client, run)
    assert "Complete: no drift." in text
    assert Run.objects.get(pk=run.pk).clean_result


def test_a_script_gets_figures_instead_of_a_page(admin_client: Client, tickets: None) -> None:
    run = begun(admin_client, "verify")
    answer = admin_client.post(page(run, "step"), headers={"Accept": "application/json"})
    assert answer.json() == {
        "running": True, "state": "running", "chunks": 4, "chunks_done": 1,
        "buckets": 1, "drifted": 0, "corrected": 0, "error": "",
    }  # fmt: skip
    Run.objects.filter(pk=run.pk).update(worker=uuid.uuid4(), heartbeat_at=timezone.now())
    answer = admin_client.post(page(run, "step"), headers={"Accept": "application/json"})
    assert answer.status_code == 409
    assert "is being worked on" in answer.json()["detail"]
    assert answer.json()["running"]
    assert "is being worked on" in said(admin_client.post(page(run, "step"), follow=True))


def test_a_run_is_cancelled_and_then_neither_goes_on_nor_is_cancelled_again(
    admin_client: Client, tickets: None
) -> None:
    run = begun(admin_client, "rebuild")
    assert "was cancelled" in said(admin_client.post(page(run, "cancel"), follow=True))
    run.refresh_from_db()
    assert run.state == Run.State.INTERRUPTED
    assert "Interrupted." in shown(admin_client, run)
    assert "has ended, interrupted" in said(admin_client.post(page(run, "step"), follow=True))
    Run.objects.filter(pk=run.pk).update(state=Run.State.COMPLETE)
    answer = admin_client.post(page(run, "cancel"), follow=True)
    assert "has ended, complete: begin another." in said(answer)


def test_a_second_rebuild_is_refused_and_leads_to_the_first(admin_client: Client, tickets: None) -> None:
    run = begun(admin_client, "rebuild")
    answer = admin_client.post(f"{RUNS}rebuild/", {"totals": LABEL}, follow=True)
    assert f"Rebuild {run.pk} of {LABEL} is under way" in said(answer)
    assert answer.redirect_chain == [(page(run), 302)]
    assert Run.objects.filter(totals=LABEL).count() == 1


def test_a_run_of_a_command_is_watched_but_not_worked_on(admin_client: Client, tickets: None) -> None:
    now = timezone.now()
    run = Run.objects.create(totals=LABEL, kind=Run.Kind.VERIFY, started_at=now, heartbeat_at=now, chunks=4)
    text = shown(admin_client, run)
    assert "Look again" in text
    assert "<dd>a command</dd>" in text
    assert 'id="run-step"' not in text
    assert "worked off by the command" in said(admin_client.post(page(run, "step"), follow=True))


def test_options_are_asked_for_and_kept(admin_client: Client, tickets: None) -> None:
    spoil("c")
    run = begun(admin_client, "rebuild", dry_run="on")
    assert run.options == {"from_scratch": False, "dry_run": True}
    for _ in GATES:
        admin_client.post(page(run, "step"))
    run.refresh_from_db()
    assert (run.drifted, run.corrected) == (1, 0)
    assert "<dt>Option</dt><dd>dry_run</dd>" in shown(admin_client, run)


def test_the_part_that_a_command_looked_at_is_told(admin_client: Client, tickets: None) -> None:
    options = Options(within=Within((), "gate=c"))
    run = steps.begin(registry.definition(LABEL), Run.Kind.REBUILD, options, using="default", at=timezone.now())
    assert "<dt>Option</dt><dd>scope: gate=c</dd>" in shown(admin_client, run)
    text = str(Run._meta.get_field("options").help_text)
    assert re.findall(r"(\w+)[,.]", text) == list(run.options)


def test_totals_that_there_are_not_are_refused(admin_client: Client) -> None:
    answer = admin_client.post(f"{RUNS}rebuild/", {"totals": "shop.Gone"})
    assert answer.status_code == 200
    assert "errorlist" in answer.content.decode()
    assert not Run.objects.exists()


def test_what_may_not_be_seen_or_worked_on_is_refused(tickets: None) -> None:
    now = timezone.now()
    run = steps.begin(
        registry.definition(TicketTotals), Run.Kind.REBUILD, Options(batch_size=1), using="default", at=now
    )
    nobody, reader = staff(), staff("view_run")
    assert nobody.get(page(run)).status_code == 403
    assert "Under way" in shown(reader, run)
    assert 'id="go-on"' not in shown(reader, run)
    assert 'id="begin-' not in reader.get(RUNS).content.decode()
    for url in (f"{RUNS}verify/", f"{RUNS}rebuild/", page(run, "step"), page(run, "cancel")):
        assert reader.post(url, {"totals": LABEL}).status_code == 403
        assert Client().post(url).status_code == 302
    run.refresh_from_db()
    assert (run.chunks_done, run.state) == (0, Run.State.RUNNING)
    worker = staff("view_run", "change_run")
    assert 'id="begin-rebuild"' in worker.get(RUNS).content.decode()
    assert worker.post(page(run, "step")).status_code == 302


def test_steps_and_cancelling_are_asked_for_by_post_alone_and_with_a_token(admin_client: Client, tickets: None) -> None:
    run = begun(admin_client, "rebuild")
    for name in ("step", "cancel"):
        assert admin_client.get(page(run, name)).status_code == 405
    strict = Client(enforce_csrf_checks=True)
    strict.cookies = admin_client.cookies
    for name in ("step", "cancel"):
        assert strict.post(page(run, name)).status_code == 403
    run.refresh_from_db()
    assert (run.chunks_done, run.state) == (0, Run.State.RUNNING)


def test_a_run_that_never_was_is_not_found(admin_client: Client) -> None:
    assert admin_client.get(f"{RUNS}{uuid.uuid4()}/progress/").status_code == 404


def test_the_list_leads_to_each_run(admin_client: Client, tickets: None) -> None:
    run = begun(admin_client, "verify")
    text = admin_client.get(RUNS).content.decode()
    assert f'<a href="{page(run)}">go on</a>' in text
    steps.cancel(run, at=timezone.now())
    assert f'<a href="{page(run)}">report</a>' in admin_client.get(RUNS).content.decode()
