"""System checks: what would break the promise is said before the first write."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from django.core import checks
from django.db import connections, models, router
from django.db.models import SET_DEFAULT

from aggregates import mariadb, registry
from aggregates.definitions import Definition, Scope
from aggregates.models import Tracked
from aggregates.querysets import TrackedQuerySet


@checks.register(checks.Tags.models)
def check_declarations(**_options: Any) -> list[checks.CheckMessage]:
    """Report declarations that cannot work, and sources that could be written untracked."""
    found: list[checks.CheckMessage] = [
        checks.Error(str(error), obj=label, id=error.id) for label, error in registry.broken()
    ]
    for definition in registry.definitions():
        for scope in definition.scopes:
            found += _source(scope)
            found += _managers(scope.model)
            found += _on_delete(scope)
            found += _keys(scope)
    return found


@checks.register(checks.Tags.database)
def check_databases(databases: Any = None, **_options: Any) -> list[checks.CheckMessage]:
    """Report databases that cannot keep totals exact, and totals kept apart from their source."""
    found: list[checks.CheckMessage] = []
    for definition in registry.definitions():
        found += _routing(definition)
    for alias in databases or ():
        here = [d for d in registry.definitions() if router.allow_migrate_model(alias, d.totals)]
        if connections[alias].vendor == "sqlite" and here:
            found += _sqlite(alias, here)
        if connections[alias].vendor == "mysql" and here:
            found += mariadb.check(alias, here)
    return found


def _source(scope: Scope) -> Iterator[checks.CheckMessage]:
    if not issubclass(scope.model, Tracked):
        yield checks.Error(
            f"{scope.model._meta.label} decides totals of {scope.definition.label} but is not tracked, so its saves "
            "are not one transaction with them.",
            hint="Derive it from aggregates.models.Tracked.",
            obj=scope.model,
            id="aggregates.E010",
        )


def _managers(model: type[models.Model]) -> Iterator[checks.CheckMessage]:
    """Every manager writes, and Django itself writes through the base manager."""
    for manager in {*model._meta.managers, model._meta.base_manager}:
        if not isinstance(manager.get_queryset(), TrackedQuerySet):
            yield checks.Error(
                f"{model._meta.label}.{manager.name or '_base_manager'} makes querysets that are not tracked: their "
                "update(), delete() and bulk_create() would leave the totals behind.",
                hint="Derive the manager from aggregates.querysets.TrackedManager, or make it from a subclass of "
                "TrackedQuerySet.",
                obj=model,
                id="aggregates.E011",
            )
    if model._meta.base_manager.get_queryset().query.where:
        yield checks.Error(
            f"{model._meta.label}'s base manager hides rows, so cascades and saves would miss them.",
            hint='Set base_manager_name = "objects" in Meta to a manager that shows every row.',
            obj=model,
            id="aggregates.E012",
        )


def _on_delete(scope: Scope) -> Iterator[checks.CheckMessage]:
    """Django writes these cascades with a bare UPDATE, past every manager."""
    for field in scope.model._meta.concrete_fields:
        if not isinstance(field, models.ForeignKey) or not scope.concerns(frozenset({field.name})):
            continue
        on_delete = field.remote_field.on_delete
        value = _set_value(on_delete)
        if on_delete is SET_DEFAULT or callable(value):
            yield checks.Error(
                f"{scope.model._meta.label}.{field.name} has on_delete="
                f"{'SET_DEFAULT' if on_delete is SET_DEFAULT else 'SET(callable)'}, which Django writes past the "
                f"tracked manager: {scope.definition.label} would drift.",
                hint="Use SET_NULL, SET(constant), CASCADE, PROTECT or RESTRICT.",
                obj=field,
                id="aggregates.E013",
            )


def _keys(scope: Scope) -> Iterator[checks.CheckMessage]:
    """A set write locks its rows by one key for everybody who watches them."""
    watched = {each.model for definition in registry.definitions() for each in definition.scopes}
    for ancestor in watched.intersection(scope.model._meta.get_parent_list()):
        link: Any = scope.model._meta.get_ancestor_link(ancestor)
        if not link.primary_key:
            yield checks.Error(
                f"{scope.model._meta.label} and {ancestor._meta.label}, which it extends, both decide totals, but by "
                "different keys.",
                hint=f"Make {link.name} the primary key of {scope.model._meta.label}.",
                obj=scope.model,
                id="aggregates.E021",
            )


def _set_value(on_delete: Any) -> Any:
    """Return what ``SET(value)`` was given, or None."""
    deconstruct = getattr(on_delete, "deconstruct", None)
    return deconstruct()[1][0] if deconstruct is not None else None


def _routing(definition: Definition) -> Iterator[checks.CheckMessage]:
    totals = router.db_for_write(definition.totals)
    for scope in definition.scopes:
        if (rows := router.db_for_write(scope.model)) != totals:
            yield checks.Error(
                f"{definition.label} is routed to {totals!r} but {scope.model._meta.label} to {rows!r}: they cannot "
                "share a transaction.",
                hint="Route both to one database.",
                obj=definition.totals,
                id="aggregates.E014",
            )


def _sqlite(alias: str, definitions: list[Definition]) -> Iterator[checks.CheckMessage]:
    if connections[alias].settings_dict.get("OPTIONS", {}).get("transaction_mode") != "IMMEDIATE":
        yield checks.Error(
            f"The SQLite database {alias!r} does not begin transactions IMMEDIATE: writers would fail instead of "
            "waiting.",
            hint='Set OPTIONS = {"transaction_mode": "IMMEDIATE", "timeout": 20}.',
            id="aggregates.E015",
        )
    for definition in definitions:
        for name in definition.measures:
            if isinstance(field := definition.totals._meta.get_field(name), models.DecimalField):
                yield checks.Error(
                    f"{definition.label}.{name} is a DecimalField, which SQLite keeps as a float.",
                    hint="Use aggregates.fields.FixedDecimalField.",
                    obj=field,
                    id="aggregates.E016",
                )
