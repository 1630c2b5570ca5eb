"""``manage.py check`` says which setting is wrong and what to write instead."""

from __future__ import annotations

import io
from collections.abc import Callable
from typing import Any

import pytest
from django.core.management import call_command
from django.core.management.base import SystemCheckError
from django.db import connection, models
from django.test.utils import isolate_apps

from aggregates.definitions import Definition
from aggregates.querysets import TrackedManager
from tests.integration.aggregates.test_amounts import sold
from tests.integration.aggregates.test_checks import host, owned, router_away_from

pytestmark = pytest.mark.django_db


def errors() -> str:
    """Return what ``manage.py check --database default`` finds wrong, without line ends; empty where nothing is."""
    try:
        call_command("check", databases=["default"], stdout=io.StringIO(), stderr=io.StringIO())
    except SystemCheckError as error:
        return " ".join(str(error).split())
    return ""


class HidingManager(TrackedManager):
    """Hides rows."""

    def get_queryset(self) -> Any:
        return super().get_queryset().exclude(kind="gone")


MISTAKES: dict[str, tuple[Callable[[], Definition], str, str]] = {
    "a source that is not tracked": (
        lambda: host(base=models.Model),
        "E010",
        "Derive it from aggregates.models.Tracked.",
    ),
    "a manager that is not tracked": (
        lambda: host(plain=models.Manager()),
        "E011",
        "Derive the manager from aggregates.querysets.TrackedManager, or make it from a subclass of TrackedQuerySet.",
    ),
    "a base manager that hides rows": (
        lambda: host(objects=HidingManager()),
        "E012",
        'Set base_manager_name = "objects" in Meta to a manager that shows every row.',
    ),
}


@pytest.mark.parametrize(("build", "number", "remedy"), MISTAKES.values(), ids=MISTAKES)
@isolate_apps("tests.testapp")
def test_a_source_that_could_be_written_untracked_is_an_error_with_its_remedy(
    declared: Callable[[Definition], Definition], build: Callable[[], Definition], number: str, remedy: str
) -> None:
    declared(build())
    assert f"(aggregates.{number})" in errors()
    assert f"HINT: {remedy}" in errors()


@pytest.mark.parametrize(
    ("on_delete", "words"), [(models.SET_DEFAULT, "SET_DEFAULT"), (models.SET(lambda: None), "SET(callable)")]
)
@isolate_apps("tests.testapp", "django.contrib.auth", "django.contrib.contenttypes")
def test_a_cascade_past_the_manager_is_an_error_with_its_remedy(
    declared: Callable[[Definition], Definition], on_delete: Any, words: str
) -> None:
    declared(owned(on_delete))
    assert f"(aggregates.E013) testapp.Sale.owner has on_delete={words}" in errors()
    assert "HINT: Use SET_NULL, SET(constant), CASCADE, PROTECT or RESTRICT." in errors()


@isolate_apps("tests.testapp")
def test_totals_kept_apart_from_their_source_are_an_error_with_its_remedy(
    declared: Callable[[Definition], Definition], settings: Any
) -> None:
    definition = declared(host())

    settings.DATABASE_ROUTERS = [router_away_from(definition.totals)]
    assert "(aggregates.E014) testapp.SourceTotals is routed to 'elsewhere' but testapp.Source to 'default'" in errors()
    assert "HINT: Route both to one database." in errors()


@pytest.mark.skipif(connection.vendor != "sqlite", reason="about SQLite")
@isolate_apps("tests.testapp")
def test_writers_that_would_fail_instead_of_waiting_are_an_error_with_its_remedy(
    declared: Callable[[Definition], Definition], monkeypatch: pytest.MonkeyPatch
) -> None:
    declared(host())
    assert errors() == ""
    monkeypatch.setitem(connection.settings_dict, "OPTIONS", {})
    assert "(aggregates.E015)" in errors()
    assert 'HINT: Set OPTIONS = {"transaction_mode": "IMMEDIATE", "timeout": 20}.' in errors()


@isolate_apps("tests.testapp")
def test_decimals_that_sqlite_would_round_are_an_error_there_alone(
    declared: Callable[[Definition], Definition],
) -> None:
    declared(sold())
    found = errors()
    if connection.vendor == "sqlite":
        assert "(aggregates.E016) testapp.SaleTotals.price is a DecimalField, which SQLite keeps as a float." in found
        assert "HINT: Use aggregates.fields.FixedDecimalField." in found
    else:
        assert found == ""


def test_databases_that_hold_no_totals_are_not_looked_at(settings: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    class Router:
        def allow_migrate(self, db: str, app_label: str, **hints: Any) -> bool:
            return False

    settings.DATABASE_ROUTERS = [Router()]
    monkeypatch.setitem(connection.settings_dict, "OPTIONS", {})
    assert "aggregates.E015" not in errors()
