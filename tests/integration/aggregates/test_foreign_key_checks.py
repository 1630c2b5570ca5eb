"""What is said of a declaration whose totals follow foreign keys to models that cannot be followed."""

from __future__ import annotations

from typing import Any

import pytest
from django.db import models
from django.db.models import Count, F
from django.test.utils import isolate_apps

from aggregates import checks, registry
from aggregates.declarations import define
from aggregates.definitions import Definition, Rollup
from aggregates.models import Totals, Tracked
from aggregates.querysets import TrackedManager
from tests.testapp.models import Group


def follow(monkeypatch: pytest.MonkeyPatch, base: type[models.Model], **parent: Any) -> Definition:
    """Make the checks look at totals by the name of a parent, made of a base and what is given, and at nothing else."""
    meta = {"Meta": type("Meta", (), {"app_label": "testapp"}), "__module__": __name__}
    parents = type("Topic", (base,), {**meta, "name": models.CharField(max_length=5), **parent})
    topic = models.ForeignKey(parents, null=True, on_delete=models.CASCADE)
    source = type("Talk", (Tracked,), {**meta, "topic": topic})
    inner = {"source": source, "dimensions": {"name": F("topic__name")}, "measures": {"count": Count("*")}}
    if "group" in parent:
        inner["measures"] = {"count": Count("topic__group")}
    totals = {
        "name": models.CharField(max_length=5, null=True),
        "count": models.BigIntegerField(default=0),
        "Aggregate": type("Aggregate", (), {**inner, "rollups": (Rollup("name"),)}),
    }
    definition = define(type("TalkTotals", (Totals,), {**meta, **totals}))
    monkeypatch.setattr(registry, "_definitions", {definition.label: definition})
    return definition


def reported() -> list[tuple[str | None, str]]:
    return [(error.id, error.msg) for error in checks.check_declarations()]


@isolate_apps("tests.testapp")
def test_a_tracked_parent_passes(monkeypatch: pytest.MonkeyPatch) -> None:
    follow(monkeypatch, Tracked)
    assert reported() == []


PARENT = "a parent that totals follow a foreign key to and that is not tracked"
REFUSED = "refused: derive it from Tracked, its managers from TrackedManager (checks aggregates.E010 to E012)"


@pytest.mark.guarantee(PARENT, REFUSED)
@isolate_apps("tests.testapp")
def test_a_parent_that_is_not_tracked_is_reported(monkeypatch: pytest.MonkeyPatch) -> None:
    follow(monkeypatch, models.Model)
    ids = [id_ for id_, _ in reported()]
    assert set(ids) == {"aggregates.E010", "aggregates.E011"}
    assert "testapp.Topic decides totals of testapp.TalkTotals but is not tracked" in reported()[0][1]


@pytest.mark.guarantee(PARENT, REFUSED)
@isolate_apps("tests.testapp")
def test_a_parent_whose_base_manager_hides_rows_is_reported(monkeypatch: pytest.MonkeyPatch) -> None:
    class Hiding(TrackedManager):
        def get_queryset(self) -> Any:
            return super().get_queryset().exclude(name="old")

    follow(monkeypatch, Tracked, objects=Hiding())
    assert [id_ for id_, _ in reported()] == ["aggregates.E012"]


@isolate_apps("tests.testapp")
def test_a_cascade_of_a_parent_that_django_writes_past_the_manager_is_reported(monkeypatch: pytest.MonkeyPatch) -> None:
    group = models.ForeignKey(Group, null=True, default=None, on_delete=models.SET_DEFAULT, related_name="+")
    follow(monkeypatch, Tracked, group=group)
    ((id_, message),) = reported()
    assert id_ == "aggregates.E013"
    assert "testapp.Topic.group has on_delete=SET_DEFAULT" in message


class ElsewhereRouter:
    """Writes parents to another database than everything else."""

    def db_for_write(self, model: type[models.Model], **_hints: Any) -> str:
        return "elsewhere" if model.__name__ == "Topic" else "default"


@isolate_apps("tests.testapp")
def test_a_parent_in_another_database_is_reported(monkeypatch: pytest.MonkeyPatch, settings: Any) -> None:
    settings.DATABASE_ROUTERS = [f"{__name__}.ElsewhereRouter"]
    follow(monkeypatch, Tracked)
    (error,) = checks.check_databases()
    assert error.id == "aggregates.E014"
    assert "testapp.Topic to 'elsewhere'" in error.msg


@isolate_apps("tests.testapp")
def test_a_model_and_its_child_summed_by_different_keys_are_reported(monkeypatch: pytest.MonkeyPatch) -> None:
    class Place(Tracked):
        name = models.CharField(max_length=5)

        class Meta:
            app_label = "testapp"

    class Hotel(Place):
        number = models.BigAutoField(primary_key=True)
        place = models.OneToOneField(Place, parent_link=True, on_delete=models.CASCADE)
        stars = models.CharField(max_length=5)

        class Meta:
            app_label = "testapp"

    def totals(source: type[models.Model], name: str) -> Definition:
        attributes = {
            "__module__": __name__,
            "Meta": type("Meta", (), {"app_label": "testapp"}),
            name: models.CharField(max_length=5, null=True),
            "count": models.BigIntegerField(default=0),
            "Aggregate": type(
                "Aggregate", (), {"source": source, "measures": {"count": Count("*")}, "rollups": (Rollup(name),)}
            ),
        }
        return define(type(f"{source.__name__}Totals", (Totals,), attributes))

    found = [totals(Place, "name"), totals(Hotel, "stars")]
    monkeypatch.setattr(registry, "_definitions", {definition.label: definition for definition in found})
    (error,) = checks.check_declarations()
    assert (error.id, error.hint) == ("aggregates.E021", "Make place the primary key of testapp.Hotel.")
