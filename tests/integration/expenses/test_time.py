"""The same bucket before and after: at the edges of months and years, in other time zones, by another clock."""

from __future__ import annotations

import datetime as dt
import itertools
from collections.abc import Iterator
from decimal import Decimal
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.db import models
from django.utils import timezone

from aggregates import readiness, registry
from aggregates.rebuild import Options, rebuild
from expenses.models import Expense, ExpenseTotals
from tests.exactness import assert_totals_match
from tests.integration.expenses.live import assert_totals_are_live
from tests.processes import PATIENCE, running
from tests.testapp.models import Carrier, Movement, MovementTotals, Reading, ReadingTotals, Site

pytestmark = pytest.mark.django_db(transaction=True)

# 1900 had no 29th of February, 2000 had one.
DAYS = [
    dt.date.fromisoformat(day)
    for day in (
        "1900-01-01", "1900-02-28", "1900-03-01", "1999-12-31", "2000-01-01", "2000-02-29", "2023-02-28", "2023-03-01",
        "2023-12-31", "2024-01-01", "2024-02-29", "2024-03-01", "2099-12-31",
    )
]  # fmt: skip
# Around midnight of UTC and of the warehouse, at the turn of a year and of a leap day.
INSTANTS = [
    dt.datetime.fromisoformat(text)
    for text in (
        "2023-12-31T23:59:59.999999Z", "2024-01-01T00:00:00Z", "2024-01-01T03:29:59.999999Z", "2024-01-01T03:30:00Z",
        "2024-02-29T00:00:00Z", "2024-02-29T23:59:59.999999Z", "2024-03-01T03:29:59.999999Z", "2024-03-01T03:30:00Z",
    )
]  # fmt: skip
COUNTED = (ExpenseTotals, MovementTotals, ReadingTotals)
MEASURED = {
    "id",
    "slot",
    "generation",
    "rollup",
    *(name for totals in COUNTED for name in registry.definition(totals).measures),
}

# Changes amounts and nothing else, in each way there is, in a process whose clock shows another zone's time.
ELSEWHERE = """
import os, sys, time
from django.conf import settings
zone, kind = sys.argv[1:]
settings.TIME_ZONE, settings.USE_TZ = zone, kind == 'aware'
os.environ['TZ'] = zone
time.tzset()
import django
django.setup()
from django.core.management import call_command
from django.db.models import F
from aggregates.models import Run
from expenses.models import Expense
from tests.testapp.models import Movement, Reading

for number, expense in enumerate(Expense.objects.order_by('pk')):
    expense.amount += 1
    if number % 2:
        expense.save()
    else:
        Expense.objects.bulk_update([expense], ['amount', 'spent_on'])
    Expense.objects.filter(pk=expense.pk).update(amount=F('amount') * 2)
    Expense.objects.create(owner_id=expense.owner_id, amount=5, currency='EUR', spent_on=expense.spent_on)
    Expense.objects.create(owner_id=expense.owner_id, amount=7, currency='EUR', spent_on=expense.spent_on).delete()
for rows, measure in ((Movement.objects.all(), 'quantity'), (Reading.objects.all(), 'level')):
    for row in rows:
        setattr(row, measure, 7)
        row.save(update_fields=[measure])
    rows.update(**{measure: F(measure) + 1})
call_command('verify_totals')
call_command('rebuild_totals', '--from-scratch')
assert not Run.objects.exclude(drifted=0).exists()
"""


@pytest.fixture
def days() -> None:
    owner = User.objects.create(username="owner")
    Expense.objects.bulk_create(Expense(owner=owner, amount=Decimal(10), currency="EUR", spent_on=day) for day in DAYS)


@pytest.fixture
def rows(days: None) -> None:
    site, carrier = Site.objects.create(name="north"), Carrier.objects.create(name="rail")
    for instant in INSTANTS:
        Movement.objects.create(site=site, carrier=carrier, moved_at=instant, quantity=1)
        Reading.objects.create(machine="press", level=1, read_at=instant)


def buckets() -> dict[type[models.Model], set[Any]]:
    """Return the dimensions of all buckets that have rows, as they are stored."""
    return {
        totals: {
            (row["rollup"], *(row[name] for name in sorted(row) if name not in MEASURED)) for row in counted(totals)
        }
        for totals in COUNTED
    }


def counted(totals: type[models.Model]) -> Iterator[dict[str, Any]]:
    return iter(totals._default_manager.filter(count__gt=0).values())


@pytest.mark.parametrize("zone", ["Pacific/Kiritimati", "Pacific/Pago_Pago"])
def test_another_process_in_another_time_zone_finds_and_leaves_every_row_in_its_bucket(rows: None, zone: str) -> None:
    assert_another_process_changes_no_bucket(zone, "aware")


def test_a_process_without_time_zones_finds_and_leaves_every_day_in_its_bucket(days: None) -> None:
    """There are no datetimes: what a stored one means depends on USE_TZ, which is for all processes to have alike."""
    assert_another_process_changes_no_bucket("Asia/Kathmandu", "naive")


def assert_another_process_changes_no_bucket(zone: str, kind: str) -> None:
    before = buckets()
    assert {row["day"] for row in counted(ExpenseTotals)} == {*DAYS, None}
    assert {row["month"] for row in counted(ExpenseTotals)} == {*(day.replace(day=1) for day in DAYS), None}
    with running("-c", ELSEWHERE, zone, kind) as process:
        _out, err = process.communicate(timeout=PATIENCE)
    assert process.returncode == 0, err
    assert buckets() == before
    assert_totals_are_live()
    assert_totals_match()


@pytest.mark.parametrize("zone", ["Pacific/Kiritimati", "America/St_Johns"])
def test_a_service_that_moves_to_another_time_zone_keeps_its_buckets(rows: None, zone: str, settings: Any) -> None:
    before = buckets()
    settings.TIME_ZONE = zone
    for row in [*Expense.objects.all(), *Movement.objects.all(), *Reading.objects.all()]:
        row.save()
    assert buckets() == before
    assert_totals_match()


@pytest.mark.parametrize("now", ["1970-01-01T00:00:00Z", "2024-02-29T23:59:59.999999Z", "2099-12-31T23:59:59Z"])
def test_a_clock_that_is_set_changes_no_bucket_and_no_rebuild(
    rows: None, now: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = buckets()
    monkeypatch.setattr(timezone, "now", lambda: dt.datetime.fromisoformat(now))
    for row in [*Expense.objects.all(), *Movement.objects.all(), *Reading.objects.all()]:
        row.save()
    assert Expense.objects.latest("updated_at").updated_at == timezone.now()
    assert buckets() == before
    assert_totals_are_live()


@pytest.mark.parametrize("step", [dt.timedelta(hours=-1), dt.timedelta(days=400)], ids=["back", "ahead"])
def test_a_clock_that_jumps_during_a_rebuild_leaves_totals_exact_and_ready(rows: None, step: dt.timedelta) -> None:
    definition = registry.definition(ExpenseTotals)
    now = itertools.accumulate(itertools.repeat(step), initial=dt.datetime(2026, 3, 1, tzinfo=dt.UTC))
    for run, _found in rebuild(definition, Options(batch_size=3), using="default", clock=lambda: next(now)):
        ended = run
    assert ended.state == ended.State.COMPLETE
    assert readiness.ready(definition).keys() == {rollup.name for rollup in definition.rollups}
    assert_totals_are_live()
