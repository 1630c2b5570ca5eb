"""Each mistake in a declaration has the stable id of its kind, and a message that says what to write instead."""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from django.db import models
from django.db.models import Avg, Count, F, Q, Sum
from django.db.models.functions import TruncDate, TruncHour
from django.test.utils import isolate_apps

from aggregates.definitions import Rollup
from aggregates.exceptions import DeclarationError
from aggregates.fields import MAX_VALUE, MIN_VALUE, FixedDecimalField
from aggregates.models import Tracked
from tests.unit.aggregates.test_declarations import column, declare, foreign_key


@pytest.fixture(autouse=True)
def isolated() -> Iterator[None]:
    with isolate_apps("tests.testapp"):
        yield


ST_JOHNS = ZoneInfo("America/St_Johns")

MISTAKES: dict[str, tuple[dict[str, Any], str, str]] = {
    "an unknown word": ({"dimension": {}}, "E001", "it takes ['dimensions', 'measures', 'rollups', 'source', 'where']"),
    "no measures": ({"measures": {}, "fields": {"count": None}}, "E001", "write measures = {'count': Count('*')}"),
    "no rollups": ({"rollups": ()}, "E001", "write rollups = (Rollup(…),)"),
    "a name for a rollup": ({"rollups": ("kind",)}, "E001", "write Rollup('dimension', …)"),
    "a long name": ({"rollups": (Rollup("kind", name="k" * 101),)}, "E001", "give it a short name=…"),
    "one name twice": ({"rollups": (Rollup("kind"), Rollup("kind", slots=2))}, "E001", "give each its own name=…"),
    "a name for a filter": ({"where": "kind"}, "E001", "write where = Q(…)"),
    "a value for a dimension": ({"dimensions": {"kind": 5}}, "E001", "write F('field') or a database function"),
    "no such source": ({"source": "nowhere.Nothing"}, "E002", "write 'app_label.Model' of an installed model"),
    "a nullable measure": (
        {"fields": {"count": models.BigIntegerField(null=True)}},
        "E003",
        "declare it with default=0 and without null=True",
    ),
    "a dimension that is not nullable": (
        {"fields": {"urgent": models.BooleanField()}},
        "E003",
        "declare it with null=True",
    ),
    "a foreign key that cascades": (
        {"fields": {"item": foreign_key(models.CASCADE)}},
        "E003",
        "declare it with on_delete=DO_NOTHING and db_constraint=False",
    ),
    "a rollup of an unknown dimension": ({"rollups": (Rollup("colour"),)}, "E004", "declare a field for each"),
    "a measure without a column": (
        {"measures": {"count": Count("*"), "total": Count("*")}},
        "E005",
        "has no such field: add one",
    ),
    "a dimension of many rows": (
        {"dimensions": {"kind": F("item__movements__kind")}},
        "E005",
        "Take columns of the row itself, or of rows that its foreign keys lead to",
    ),
    "a dimension over several rows": (
        {"dimensions": {"kind": Sum("quantity")}},
        "E005",
        "take columns of the row itself",
    ),
    "a filter that changes by itself": (
        {"where": Q(moved_at__lt=models.functions.Now())},
        "E005",
        "take columns of the row itself",
    ),
    "a day without a time zone": (
        {"fields": {"day": column(models.DateField)}, "dimensions": {"day": TruncDate("moved_at")}},
        "E006",
        "pass tzinfo=datetime.UTC or a ZoneInfo",
    ),
    "an hour that comes twice": (
        {
            "fields": {"hour": column(models.DateTimeField)},
            "dimensions": {"hour": TruncHour("moved_at", tzinfo=ST_JOHNS)},
        },
        "E006",
        "pass tzinfo=datetime.UTC, or truncate to a date",
    ),
    "an average": ({"measures": {"count": Avg("quantity")}}, "E007", "write Sum(…) or Count(…), not distinct"),
    "a sum of another scale": (
        {"measures": {"count": Sum("value")}},
        "E008",
        "take FixedDecimalField for a FixedDecimalField, BigIntegerField for whole numbers",
    ),
    "a dimension of floats": (
        {"fields": {"ratio": column(models.FloatField)}, "dimensions": {"ratio": F("quantity")}},
        "E009",
        "take text, whole numbers, dates, booleans, UUIDs or exact decimals",
    ),
    "a dimension of another type": (
        {"dimensions": {"kind": F("quantity")}},
        "E009",
        "take the same type, or a function such as TruncDate",
    ),
    "a dimension that is too short": (
        {"fields": {"kind": column(models.CharField, max_length=3)}},
        "E009",
        "give it the same max_length",
    ),
}


@pytest.mark.parametrize(("declared", "number", "remedy"), MISTAKES.values(), ids=MISTAKES)
def test_a_mistake_has_its_id_and_its_remedy(declared: dict[str, Any], number: str, remedy: str) -> None:
    with pytest.raises(DeclarationError) as refusal:
        declare(**declared)
    assert refusal.value.id == f"aggregates.{number}"
    assert remedy in str(refusal.value)


def test_every_id_of_a_declaration_is_held_by_a_mistake() -> None:
    assert {number for _declared, number, _remedy in MISTAKES.values()} == {f"E{n:03}" for n in range(1, 10)}


@pytest.mark.parametrize(
    ("default", "reason"),
    [(Decimal("0.00001"), "more than 4 decimals"), ("1e30", "is outside"), ("none", "is not a number")],
    ids=str,
)
def test_a_default_that_cannot_be_stored_is_reported_with_the_reason(default: Any, reason: str) -> None:
    field = FixedDecimalField(default=default)
    field.set_attributes_from_name("price")
    (message,) = [message for message in field.check() if message.id == "aggregates.E101"]
    assert message.msg.startswith("The default cannot be stored: ")
    assert reason in message.msg
    assert message.hint == f"Write a number of at most 4 decimals, from {MIN_VALUE} to {MAX_VALUE}."


@pytest.mark.parametrize("default", [0, "1.5", Decimal("-0.0001"), None, Decimal], ids=str)
def test_a_default_that_can_be_stored_or_is_made_later_is_not_reported(default: Any) -> None:
    field = FixedDecimalField(default=default, null=True)
    field.set_attributes_from_name("price")
    assert "aggregates.E101" not in {message.id for message in field.check()}


def test_a_source_with_a_key_of_several_columns_is_refused() -> None:
    class Berth(Tracked):
        pk = models.CompositePrimaryKey("pier", "number")
        pier = models.IntegerField()
        number = models.IntegerField()
        kind = models.CharField(max_length=5)

        class Meta(Tracked.Meta):
            app_label = "testapp"

    with pytest.raises(DeclarationError, match="give it a key of one column, and a UniqueConstraint") as refusal:
        declare(source=Berth)
    assert refusal.value.id == "aggregates.E002"
