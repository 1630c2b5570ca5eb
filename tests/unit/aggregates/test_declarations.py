"""What may be declared, and what is said of what may not."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Iterator
from itertools import count
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from django.db import models
from django.db.models import Avg, Case, Count, Exists, F, Max, OuterRef, Q, Sum, Value, When, Window
from django.db.models.functions import (
    Cast,
    ExtractHour,
    Lower,
    Now,
    NullIf,
    Random,
    RowNumber,
    TruncDate,
    TruncHour,
    TruncMonth,
)
from django.test.utils import isolate_apps

from aggregates.declarations import define
from aggregates.definitions import Definition, Rollup
from aggregates.exceptions import DeclarationError
from aggregates.fields import FixedDecimalField
from aggregates.models import Totals
from tests.testapp.models import WAREHOUSE_TIME, Category, Group, Item, Movement, Node, Purchase, RemoteReading

KIND = Rollup("kind")
NUMBERS = count(1)  # a model's name may be registered once


@pytest.fixture(autouse=True)
def isolated() -> Iterator[None]:
    with isolate_apps("tests.testapp"):
        yield


def declare(*, fields: dict[str, Any] | None = None, **declared: Any) -> Definition:
    """Return the definition of a Totals class with a kind and a count, and what is given besides."""
    inner = {"source": Movement, "measures": {"count": Count("*")}, "rollups": (KIND,), **declared}
    columns = {"kind": models.CharField(max_length=20, null=True), "count": models.BigIntegerField(default=0)}
    meta = type("Meta", (), {"app_label": "testapp"})
    aggregate = type("Aggregate", (), {name: value for name, value in inner.items() if value is not ...})
    attributes = {"__module__": __name__, "Meta": meta, **columns, **(fields or {}), "Aggregate": aggregate}
    return define(type(f"Declared{next(NUMBERS)}Totals", (Totals,), attributes))


def column(kind: type[models.Field], **options: Any) -> models.Field:
    return kind(null=True, **options)


def foreign_key(on_delete: Any = models.DO_NOTHING, **options: Any) -> models.ForeignKey:
    return models.ForeignKey(
        Item, null=True, on_delete=on_delete, **{"db_constraint": False, "related_name": "+", **options}
    )


REFUSED: dict[str, tuple[dict[str, Any], str]] = {
    "no source": ({"source": ...}, "source is None"),
    "a source that is not installed": ({"source": "nowhere.Nothing"}, "installed model"),
    "an unknown word": ({"dimension": {}}, "unknown \\['dimension'\\]"),
    "no measures": ({"measures": {}, "fields": {"count": None}}, "declares no measures"),
    "no rollups": ({"rollups": ()}, "declares no rollups"),
    "a rollup of an unknown dimension": ({"rollups": (Rollup("colour"),)}, "names \\['colour'\\]"),
    "two rollups of one name": ({"rollups": (KIND, Rollup("kind", slots=2))}, "one name"),
    "a rollup whose name is too long": ({"rollups": (Rollup("kind", name="k" * 101),)}, "100"),
    "something else for a rollup": ({"rollups": ("kind",)}, "Rollup"),
    "something else for the filter": ({"where": "kind"}, "Q"),
    "a measure without a column": ({"measures": {"count": Count("*"), "total": Count("*")}}, "no such field"),
    "a dimension without a column": ({"dimensions": {"colour": F("kind")}}, "no such field"),
    "a dimension that is not nullable": ({"fields": {"urgent": models.BooleanField()}}, "null=True"),
    "a dimension the source does not have": ({"fields": {"colour": column(models.TextField)}}, "cannot be computed"),
    "a dimension by its column's name": (
        {"fields": {"item": foreign_key()}, "dimensions": {"item_id": F("site")}},
        "item",
    ),
    "a dimension that is a plain value": ({"dimensions": {"kind": 5}}, "write F"),
    "a dimension that is an aggregate": ({"dimensions": {"kind": Sum("quantity")}}, "kind"),
    "a dimension that is a window": ({"dimensions": {"kind": Window(RowNumber())}}, "kind"),
    "a dimension of another type": ({"dimensions": {"kind": F("quantity")}}, "CharField"),
    "a datetime for a date": (
        {"fields": {"day": column(models.DateField)}, "dimensions": {"day": F("moved_at")}},
        "TruncDate",
    ),
    "a dimension too short for its source": (
        {"fields": {"kind": column(models.CharField, max_length=3)}},
        "max_length",
    ),
    "a float dimension": (
        {
            "fields": {"ratio": column(models.FloatField)},
            "dimensions": {"ratio": Cast("quantity", models.FloatField())},
        },
        "ratio",
    ),
    "a JSON dimension": (
        {"fields": {"data": column(models.JSONField)}, "dimensions": {"data": Cast("kind", models.JSONField())}},
        "data",
    ),
    "a dimension of many rows": ({"dimensions": {"kind": F("item__movements__kind")}}, "any number of rows"),
    "a filter on many rows": ({"where": Q(site__movements__kind="in")}, "any number of rows"),
    "a dimension of a parent that may be longer": ({"dimensions": {"kind": F("item__name")}}, "longer"),
    "a column stored with another model": (
        {"source": RemoteReading, "dimensions": {"kind": F("machine")}},
        "stored with testapp.Reading",
    ),
    "a way along a parent link": (
        {"source": RemoteReading, "dimensions": {"kind": F("reading_ptr__machine")}},
        "not a foreign key to a primary key",
    ),
    "a filter by a subquery": ({"where": Exists(Item.objects.filter(pk=OuterRef("item")))}, "Exists"),
    "a filter by the clock": ({"where": Q(moved_at__lt=Now())}, "Now"),
    "a dimension by chance": ({"dimensions": {"kind": Cast(Random(), models.CharField())}}, "Random"),
    "a day without a time zone": (
        {"fields": {"day": column(models.DateField)}, "dimensions": {"day": TruncDate("moved_at")}},
        "tzinfo",
    ),
    "a day by a lookup without a time zone": (
        {"fields": {"day": column(models.DateField)}, "dimensions": {"day": F("moved_at__date")}},
        "tzinfo",
    ),
    "an hour without a time zone": (
        {"fields": {"hour": column(models.IntegerField)}, "dimensions": {"hour": ExtractHour("moved_at")}},
        "tzinfo",
    ),
    "an hour of a clock that shows it twice": (
        {
            "fields": {"hour": column(models.DateTimeField)},
            "dimensions": {"hour": TruncHour("moved_at", tzinfo=ZoneInfo("America/St_Johns"))},
        },
        "twice",
    ),
    "a filter on a day without a time zone": ({"where": Q(moved_at__date=dt.date(2026, 3, 7))}, "tzinfo"),
    "a filter on an hour without a time zone": ({"where": Q(moved_at__hour__gte=18)}, "tzinfo"),
    "a filter on a year without a time zone": ({"where": ~Q(kind="in", moved_at__year=2026)}, "tzinfo"),
    "a measure filtered by an hour without a time zone": (
        {"measures": {"count": Count("pk", filter=Q(moved_at__hour=3))}},
        "tzinfo",
    ),
    "an average": ({"measures": {"count": Avg("quantity")}}, "divided by a count"),
    "a maximum": ({"measures": {"count": Max("quantity")}}, "adds up"),
    "a plain value for a measure": ({"measures": {"count": 3}}, "write Sum"),
    "a distinct sum": ({"measures": {"count": Sum("quantity", distinct=True)}}, "not distinct"),
    "a distinct count": ({"measures": {"count": Count("kind", distinct=True)}}, "not distinct"),
    "a sum of decimals in whole numbers": ({"measures": {"count": Sum("value")}}, "FixedDecimalField"),
    "a sum of whole numbers in decimals": (
        {"fields": {"count": FixedDecimalField(default=0)}, "measures": {"count": Sum("quantity")}},
        "BigIntegerField",
    ),
    "a sum in floats": (
        {"fields": {"count": models.FloatField(default=0)}, "measures": {"count": Sum("quantity")}},
        "FloatField",
    ),
    "a count in text": ({"fields": {"count": models.CharField(max_length=9)}}, "CharField"),
    "a count in floats": ({"fields": {"count": models.FloatField(default=0)}}, "FloatField"),
    "a count that cannot be negative": ({"fields": {"count": models.PositiveIntegerField(default=0)}}, "Positive"),
    "a count of other rows": ({"measures": {"count": Count("site__movements")}}, "any number of rows"),
    "totals that go with a parent": ({"fields": {"item": foreign_key(models.CASCADE)}}, "DO_NOTHING"),
    "totals with a constraint": ({"fields": {"item": foreign_key(db_constraint=True)}}, "db_constraint"),
}


@pytest.mark.parametrize(("declared", "words"), REFUSED.values(), ids=REFUSED)
def test_a_declaration_that_cannot_work_is_refused_and_told_what_to_write(declared: dict[str, Any], words: str) -> None:
    with pytest.raises(DeclarationError, match=words) as refusal:
        declare(**declared)
    assert refusal.value.id.startswith("aggregates.E0")


def test_a_class_without_a_declaration_is_refused() -> None:
    with pytest.raises(DeclarationError, match="inner class Aggregate"):
        define(
            type("BareTotals", (Totals,), {"__module__": __name__, "Meta": type("Meta", (), {"app_label": "testapp"})})
        )


@pytest.mark.parametrize(
    ("build", "words"),
    [
        (lambda: Rollup(), "at least one dimension"),
        (lambda: Rollup("kind", "kind"), "twice"),
        (lambda: Rollup("kind", slots=0), "1 to 256"),
        (lambda: Rollup("kind", slots=257), "1 to 256"),
        (lambda: Rollup("kind", chunk_by="day"), "one of its dimensions"),
    ],
)
def test_a_rollup_that_makes_no_sense_is_refused(build: Callable[[], Rollup], words: str) -> None:
    with pytest.raises(DeclarationError, match=words):
        build()


def test_a_rollup_is_named_after_its_dimensions_and_chunked_by_the_last() -> None:
    rollup = Rollup("site", "day")
    assert (rollup.name, rollup.chunk_by, rollup.slots) == ("site,day", "day", 1)
    assert rollup == Rollup("site", "day")
    with pytest.raises(AttributeError):
        rollup.slots = 2  # type: ignore[misc]


ACCEPTED: dict[str, dict[str, Any]] = {
    "a day of a time zone": {
        "fields": {"day": column(models.DateField)},
        "dimensions": {"day": TruncDate("moved_at", tzinfo=WAREHOUSE_TIME)},
    },
    "a month of UTC": {
        "fields": {"day": column(models.DateField)},
        "dimensions": {"day": TruncMonth("moved_at", tzinfo=dt.UTC, output_field=models.DateField())},
    },
    "an hour of UTC": {
        "fields": {"hour": column(models.DateTimeField)},
        "dimensions": {"hour": TruncHour("moved_at", tzinfo=dt.UTC)},
    },
    "a function of text": {"dimensions": {"kind": Lower("kind")}},
    "a dimension by its name": {"dimensions": {"kind": "inspector"}, "fields": {"kind": column(models.TextField)}},
    "a foreign key": {"fields": {"item": foreign_key()}},
    "a filter on a foreign key": {"where": Q(item__isnull=False) & ~Q(site=3)},
    "a filter on instants": {"where": Q(moved_at__gte=dt.datetime(2026, 1, 1, tzinfo=dt.UTC))},
    "a filtered count": {"measures": {"count": Count("pk", filter=Q(kind="in"))}},
    "a sum of an expression": {"measures": {"count": Sum(F("quantity") * 2 - F("quantity"))}},
}


@pytest.mark.parametrize("declared", ACCEPTED.values(), ids=ACCEPTED)
def test_a_declaration_that_works_is_taken(declared: dict[str, Any]) -> None:
    assert isinstance(declare(**declared), Definition)


def test_the_columns_that_matter_are_those_the_declaration_reads() -> None:
    definition = declare(
        fields={"item": foreign_key()},
        where=Q(urgent=True) | ~Q(lot__isnull=True),
        measures={"count": Sum("quantity", filter=Q(inspector="ada"))},
    )
    (scope,) = definition.scopes
    assert scope.columns == {"kind", "item", "item_id", "urgent", "lot", "quantity", "inspector"}
    assert scope.concerns(frozenset({"item_id", "note"}))
    assert scope.concerns(None)
    assert not scope.concerns(frozenset({"note", "value"}))
    assert not scope.concerns(frozenset())


def test_what_foreign_keys_lead_to_matters_too_and_comes_before_what_leads_there() -> None:
    definition = declare(source=Purchase, dimensions={"kind": F("category__group__division")}, where=Q(shop__pk__gt=1))
    assert [(scope.model, scope.paths, scope.columns) for scope in definition.scopes] == [
        (Group, ("category__group",), {"division"}),
        (Category, ("category",), {"group", "group_id"}),
        (Purchase, ("",), {"category", "category_id", "shop", "shop_id"}),
    ]


def test_a_model_that_is_source_and_parent_is_one_scope_with_both_paths() -> None:
    (scope,) = declare(source=Node, dimensions={"kind": F("parent__label")}).scopes
    assert (scope.model, set(scope.paths), scope.columns) == (Node, {"", "parent"}, {"parent", "parent_id", "label"})


CHANGES: dict[str, dict[str, Any]] = {
    "another filter": {"where": Q(urgent=True)},
    "the opposite filter": {"where": ~Q(kind="in")},
    "another value in the filter": {"where": Q(kind="out")},
    "another measure": {"measures": {"count": Sum("quantity")}},
    "a filtered measure": {"measures": {"count": Count("pk", filter=Q(kind="in"))}},
    "another dimension": {"dimensions": {"kind": Lower("kind")}},
    "another name": {"rollups": (Rollup("kind", name="other"),)},
}


@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES)
def test_another_meaning_has_another_fingerprint(change: dict[str, Any]) -> None:
    base = {"where": Q(kind="in")}
    assert _fingerprint(**base) == _fingerprint(**base)
    assert _fingerprint(**{**base, **change}) != _fingerprint(**base)


def test_slots_and_chunks_change_no_meaning() -> None:
    assert _fingerprint(rollups=(Rollup("kind", slots=9),)) == _fingerprint()


def test_a_fingerprint_does_not_depend_on_the_order_of_a_set() -> None:
    assert list({0, 8}) != list({8, 0}), "these sets iterate in different orders"
    assert _fingerprint(where=Q(quantity__in={0, 8})) == _fingerprint(where=Q(quantity__in={8, 0}))


def test_a_choice_counts_for_the_value_it_stands_for() -> None:
    def kinds(value: str) -> Any:
        return models.TextChoices("Kind", [("PLANNED", value)])

    assert _fingerprint(where=~Q(kind=kinds("a").PLANNED)) != _fingerprint(where=~Q(kind=kinds("b").PLANNED))


def _fingerprint(**declared: Any) -> str:
    (fingerprint,) = declare(**declared).fingerprints.values()
    return fingerprint


@pytest.mark.parametrize(
    "argument",
    [NullIf("kind", Value("planned")), Case(When(kind="in", then=1)), F("kind"), "kind"],
    ids=["function", "case", "F", "name"],
)
def test_a_count_of_an_expression_counts_where_it_is_not_null_or_is_refused(argument: Any) -> None:
    try:
        definition = declare(measures={"count": Count(argument)})
    except DeclarationError:
        return
    sql = str(models.QuerySet(Movement).annotate(amount=definition.measures["count"]).values("amount").query)
    assert "IS NOT NULL" in sql
