"""totals_changed tells of committed changes, and of nothing else."""

from __future__ import annotations

import logging

import pytest
from django.db import connection, transaction
from django.db.models import F
from django.utils import timezone

import aggregates
from aggregates import registry
from aggregates.keys import bucket_key
from aggregates.rebuild import Options, rebuild
from aggregates.signals import totals_changed
from tests.integration.aggregates.exactness import assert_exact
from tests.testapp.models import Ticket, TicketTotals

pytestmark = pytest.mark.django_db(transaction=True)

A, B = (bucket_key("gate", [gate]) for gate in "ab")


@pytest.fixture
def heard():
    """Return the list of what a receiver heard of tickets."""
    calls = []

    def receiver(sender, using, keys, **_signal):
        calls.append((using, keys))

    totals_changed.connect(receiver, sender=TicketTotals)
    yield calls
    totals_changed.disconnect(receiver, sender=TicketTotals)


def test_a_commit_is_told_once_with_the_buckets_that_changed(heard):
    with transaction.atomic():
        ticket = Ticket.objects.create(gate="a", price=1)
        ticket.gate = "b"
        ticket.save()
        assert heard == []
    assert heard == [("default", frozenset({A, B}))]


def test_each_transaction_is_told_for_itself(heard):
    Ticket.objects.create(gate="a", price=1)
    Ticket.objects.create(gate="b", price=1)
    assert heard == [("default", frozenset({A})), ("default", frozenset({B}))]


def test_a_write_that_changes_no_total_is_not_told(heard):
    Ticket.objects.create(gate="a", price=0).save()
    heard.clear()
    Ticket.objects.get().save()
    Ticket.objects.update(gate=F("gate"))
    Ticket.objects.filter(gate="z").delete()
    assert heard == []


@pytest.mark.parametrize(
    "write",
    [
        lambda: Ticket.objects.update(gate="b"),
        lambda: Ticket.objects.filter(gate="a").update(gate="b"),
        lambda: Ticket.objects.get().delete(),
        lambda: Ticket.objects.all().delete() and Ticket.objects.create(gate="b", price=1),
    ],
    ids=["an update of all", "an update of some", "a delete", "a delete of all"],
)
def test_every_bucket_that_a_write_changed_is_told(heard, write):
    Ticket.objects.create(gate="a", price=1)
    heard.clear()
    write()
    assert A in frozenset().union(*(keys for _using, keys in heard))


def test_what_is_rolled_back_is_not_told(heard):
    with transaction.atomic():
        Ticket.objects.create(gate="a", price=1)
        transaction.set_rollback(True)
    with transaction.atomic():
        Ticket.objects.create(gate="b", price=1)
        with pytest.raises(ZeroDivisionError), transaction.atomic():
            Ticket.objects.create(gate="a", price=1)
            raise ZeroDivisionError
        savepoint = transaction.savepoint()
        Ticket.objects.create(gate="a", price=1)
        transaction.savepoint_rollback(savepoint)
    assert heard == [("default", frozenset({B}))]
    assert_exact()


def test_a_batch_is_told_by_its_net(heard):
    with aggregates.batch():
        Ticket.objects.create(gate="a", price=1).delete()
        Ticket.objects.create(gate="b", price=1)
    assert heard == [("default", frozenset({B}))]


def test_a_correction_is_told(heard):
    Ticket.objects.create(gate="a", price=1)
    heard.clear()
    with connection.cursor() as cursor:
        cursor.execute("UPDATE testapp_tickettotals SET count = 5")
    list(rebuild(registry.definition(TicketTotals), Options(), using="default", clock=timezone.now))
    assert heard == [("default", frozenset({A}))]


def test_a_receiver_that_raises_is_logged_and_undoes_nothing(heard, caplog):
    def failing(sender, **_signal):
        raise ZeroDivisionError

    totals_changed.connect(failing, sender=TicketTotals)
    try:
        with caplog.at_level(logging.ERROR, logger="aggregates"):
            Ticket.objects.create(gate="a", price=1)
    finally:
        totals_changed.disconnect(failing, sender=TicketTotals)
    assert "failing" in caplog.text
    assert len(heard) == 1
    assert_exact()
