"""A warehouse to write to."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from decimal import Decimal
from types import SimpleNamespace
from typing import Any

import pytest
from django.db import connection, models
from django.db.models.signals import ModelSignal
from django.test.utils import isolate_apps

from aggregates import registry
from aggregates.definitions import Definition
from tests.testapp.models import UNKNOWN_CARRIER, Carrier, Item, Movement, Site

NOON = dt.datetime(2026, 3, 7, 12, tzinfo=dt.UTC)

upserts = pytest.mark.skipif(
    not connection.features.supports_update_conflicts_with_target, reason="MariaDB does not say what an upsert changed"
)


def quoted(model: type[models.Model]) -> str:
    """Return the name of a model's table as it stands in statements."""
    return str(connection.ops.quote_name(model._meta.db_table))


@contextmanager
def tables_of(declare: Callable[[], Definition]) -> Iterator[Definition]:
    """Yield what ``declare`` defines for one test alone; its source and its totals have tables meanwhile."""
    with isolate_apps("tests.testapp"):
        definition = declare()
        with connection.schema_editor() as editor:
            editor.create_model(definition.source)
            editor.create_model(definition.totals)
        try:
            yield definition
        finally:
            with connection.schema_editor() as editor:
                editor.delete_model(definition.totals)
                editor.delete_model(definition.source)


class Warehouse(SimpleNamespace):
    """Two of everything, and ``movement()`` that makes a movement, unsaved, with what differs given."""

    def movement(self, **values: Any) -> Movement:
        defaults = {
            "site": self.north,
            "item": self.bolt,
            "carrier": self.rail,
            "kind": "in",
            "moved_at": NOON,
            "quantity": 7,
            "value": Decimal("1.25"),
        }
        return Movement(**{**defaults, **values})

    def moved(self, **values: Any) -> Movement:
        """Return a movement that is stored."""
        movement = self.movement(**values)
        movement.save()
        return movement


@pytest.fixture
def warehouse(db: None) -> Warehouse:
    unknown, _ = Carrier.objects.get_or_create(pk=UNKNOWN_CARRIER, defaults={"name": "unknown"})
    return Warehouse(
        unknown=unknown,
        north=Site.objects.create(name="north"),
        south=Site.objects.create(name="south"),
        bolt=Item.objects.create(name="bolt"),
        nut=Item.objects.create(name="nut"),
        rail=Carrier.objects.create(pk=UNKNOWN_CARRIER + 1, name="rail"),
        road=Carrier.objects.create(pk=UNKNOWN_CARRIER + 2, name="road"),
    )


@pytest.fixture
def declared(monkeypatch: pytest.MonkeyPatch) -> Callable[[Definition], Definition]:
    """Make the checks look at one definition alone."""

    def declare(definition: Definition) -> Definition:
        monkeypatch.setattr(registry, "_definitions", {definition.label: definition})
        return definition

    return declare


Receive = Callable[[ModelSignal, type, Callable[..., None]], None]


@pytest.fixture(params=["before the engine", "after the engine"])
def receive(request: pytest.FixtureRequest) -> Iterator[Receive]:
    """``receive(signal, sender, function)`` connects a receiver of the host's for this test, called once."""
    with ExitStack() as stack:
        yield lambda signal, sender, function: stack.enter_context(
            _receiving(signal, sender, function, first=request.param == "before the engine")
        )


@contextmanager
def _receiving(signal: ModelSignal, sender: type, function: Callable[..., None], *, first: bool) -> Iterator[None]:
    called = []

    def once(**kwargs: Any) -> None:
        if not called:
            called.append(True)
            function(kwargs["instance"])

    signal.connect(once, sender=sender, weak=False)
    if first:
        with signal.lock:
            signal.receivers.insert(0, signal.receivers.pop())
            signal.sender_receivers_cache.clear()
    try:
        yield
        assert called, "the receiver was never called"
    finally:
        signal.disconnect(once, sender=sender)
