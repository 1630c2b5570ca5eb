"""Which rows a write concerns."""

from __future__ import annotations

import uuid
from dataclasses import replace
from typing import Any

from django.db import models
from django.db.models import F
from django.db.models.functions import Now
from django.test.utils import isolate_apps

from aggregates import registry
from aggregates.models import Tracked
from aggregates.writes import coming, keys_of
from tests.testapp.models import (
    Category,
    Group,
    Movement,
    MovementTotals,
    Purchase,
    PurchaseTotals,
    Reading,
    ReadingTotals,
    RemoteReading,
    SeasonTicket,
    Ticket,
    TicketTotals,
)


def keys(totals: Any, instance: models.Model) -> frozenset[Any]:
    (scope,) = registry.definition(totals).scopes
    return keys_of(scope, instance)


def test_a_new_row_without_a_key_concerns_none() -> None:
    assert keys(MovementTotals, Movement()) == frozenset()


def test_a_key_is_taken_as_the_database_returns_it() -> None:
    key = uuid.uuid4()
    assert keys(MovementTotals, Movement(pk="7")) == {7}
    assert keys(TicketTotals, Ticket(pk=str(key))) == {key}


def test_the_key_of_a_child_is_that_of_the_row_it_extends() -> None:
    season = SeasonTicket(number=7)
    assert keys(TicketTotals, season) == {season.id}
    assert keys(ReadingTotals, RemoteReading(reading_ptr=Reading(pk=3))) == {3}


@isolate_apps("tests.testapp")
def test_a_key_that_the_database_will_make_is_none_yet() -> None:
    class Stamp(Tracked):
        at = models.DateTimeField(primary_key=True, db_default=Now())

        class Meta(Tracked.Meta):
            app_label = "testapp"

    (scope,) = registry.definition(TicketTotals).scopes
    assert keys_of(replace(scope, model=Stamp), Stamp()) == frozenset()


def test_a_row_is_going_to_lead_to_what_its_foreign_keys_say() -> None:
    scopes = {scope.model: scope for scope in registry.definition(PurchaseTotals).scopes}
    group, category, source = scopes[Group], scopes[Category], scopes[Purchase]
    assert coming(source, Purchase(category_id="3", shop_id=None)) == {category: {3}}
    assert coming(source, Purchase(category_id=F("shop_id"))) == {}
    assert coming(category, Category(group_id=5)) == {group: {5}}
    assert coming(group, Group(pk=5)) == {}
