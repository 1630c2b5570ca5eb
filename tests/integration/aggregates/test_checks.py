"""Each misconfiguration that would break the promise is an error of its own before the first write."""

from __future__ import annotations

import pytest
from django.contrib.auth.models import User
from django.db import connections, models
from django.db.models import Count, Sum
from django.test.utils import isolate_apps

from aggregates import checks
from aggregates.declarations import define
from aggregates.definitions import Rollup
from aggregates.fields import FixedDecimalField
from aggregates.models import Totals, Tracked
from aggregates.querysets import TrackedManager


def host(*, base=Tracked, kind=None, **attributes):
    """Return a definition over a source made of the given attributes."""
    meta = type("Meta", (), {"app_label": "testapp"})
    fields = {"kind": kind or models.CharField(max_length=5), "amount": FixedDecimalField(), **attributes}
    source = type("Source", (base,), {"__module__": __name__, "Meta": meta, **fields})
    inner = type(
        "Aggregate", (), {"source": source, "measures": {"amount": Sum("amount")}, "rollups": (Rollup("kind"),)}
    )
    totals = type(
        "SourceTotals",
        (Totals,),
        {
            "__module__": __name__,
            "Meta": type("Meta", (), {"app_label": "testapp"}),
            "kind": models.CharField(max_length=5, null=True),
            "amount": FixedDecimalField(default=0),
            "Aggregate": inner,
        },
    )
    return define(totals)


def owned(on_delete):
    """Return a definition by a foreign key that has this ``on_delete``."""

    class Sale(Tracked):
        owner = models.ForeignKey(User, on_delete=on_delete, null=True, default=None, related_name="+")

        class Meta:
            app_label = "testapp"

    class SaleTotals(Totals):
        owner = models.ForeignKey(User, on_delete=models.DO_NOTHING, null=True, db_constraint=False, related_name="+")
        count = models.BigIntegerField(default=0)

        class Meta:
            app_label = "testapp"

        class Aggregate:
            source = Sale
            measures = {"count": Count("*")}
            rollups = (Rollup("owner"),)

    return define(SaleTotals)


def router_away_from(totals):
    """Return a router that writes these totals elsewhere than everything else."""

    class Router:
        def db_for_write(self, model, **hints):
            return "elsewhere" if model is totals else None

    return Router()


def ids(messages):
    return {message.id for message in messages}


@isolate_apps("tests.testapp")
def test_a_sound_declaration_passes(declared):
    declared(host())
    assert checks.check_declarations() == []


def test_the_projects_own_declarations_pass():
    assert checks.check_declarations() == []


@pytest.mark.guarantee("a source that is not Tracked", "refused: derive it from Tracked (check aggregates.E010)")
@isolate_apps("tests.testapp")
def test_a_source_that_is_not_tracked_is_reported(declared):
    declared(host(base=models.Model))
    assert "aggregates.E010" in ids(checks.check_declarations())


@pytest.mark.guarantee(
    "a manager whose querysets are not tracked",
    "refused: derive the manager from TrackedManager (check aggregates.E011)",
)
@isolate_apps("tests.testapp")
def test_any_manager_that_is_not_tracked_is_reported(declared):
    declared(host(plain=models.Manager()))
    (error,) = checks.check_declarations()
    assert error.id == "aggregates.E011"
    assert "Source.plain" in error.msg


@pytest.mark.guarantee(
    "many-to-many without a through model of your own, as a source",
    "refused: name a through model that derives from Tracked (checks aggregates.E010, E011)",
)
@isolate_apps("tests.testapp")
def test_a_through_model_that_django_makes_is_reported(declared):
    class Wagon(Tracked):
        class Meta:
            app_label = "testapp"

    class Train(Tracked):
        wagons = models.ManyToManyField(Wagon)

        class Meta:
            app_label = "testapp"

    class CouplingTotals(Totals):
        train = models.ForeignKey(Train, on_delete=models.DO_NOTHING, null=True, db_constraint=False, related_name="+")
        count = models.BigIntegerField(default=0)

        class Meta:
            app_label = "testapp"

        class Aggregate:
            source = Train.wagons.through
            measures = {"count": Count("*")}
            rollups = (Rollup("train"),)

    declared(define(CouplingTotals))
    assert ids(checks.check_declarations()) == {"aggregates.E010", "aggregates.E011"}


@pytest.mark.guarantee(
    "a base manager that hides rows",
    "refused: name a manager that shows every row in base_manager_name (check aggregates.E012)",
)
@isolate_apps("tests.testapp")
def test_a_base_manager_that_hides_rows_is_reported(declared):
    class Hiding(TrackedManager):
        def get_queryset(self):
            return super().get_queryset().exclude(kind="gone")

    declared(host(objects=Hiding()))
    assert "aggregates.E012" in ids(checks.check_declarations())


@pytest.mark.guarantee("SET_DEFAULT, SET(callable)", "refused: take SET(constant) or SET_NULL (check aggregates.E013)")
@pytest.mark.parametrize("on_delete", [models.SET_DEFAULT, models.SET(lambda: None)])
@isolate_apps("tests.testapp", "django.contrib.auth", "django.contrib.contenttypes")
def test_a_cascade_that_django_writes_past_the_manager_is_reported(declared, on_delete):
    declared(owned(on_delete))
    assert ids(checks.check_declarations()) == {"aggregates.E013"}


@isolate_apps("tests.testapp")
def test_totals_routed_away_from_their_source_are_reported(declared, settings):
    definition = declared(host())

    settings.DATABASE_ROUTERS = [router_away_from(definition.totals)]
    assert ids(checks.check_databases()) == {"aggregates.E014"}


@isolate_apps("tests.testapp")
def test_sqlite_that_begins_transactions_deferred_is_reported(declared, monkeypatch):
    declared(host())
    if connections["default"].vendor != "sqlite":
        pytest.skip("about SQLite")
    monkeypatch.setitem(connections["default"].settings_dict, "OPTIONS", {})
    assert ids(checks.check_databases(databases=["default"])) == {"aggregates.E015"}
