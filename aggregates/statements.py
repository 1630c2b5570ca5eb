"""Statements about many rows, within what a server takes beside their text."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable
from typing import Any

from django.db import connections, models
from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.models import F, Func, Q

# Of PostgreSQL's protocol. Up to Django 5.2 only features that came later know of it.
MOST_PARAMETERS = 2**16 - 1


def most_rows(parameters: int, wanted: int | None, using: str) -> int | None:
    """Return how many rows of so many parameters one statement may hold, at most ``wanted``; None for any number."""
    if not getattr(connections[using].features, "uses_server_side_binding", False):
        return wanted
    most = MOST_PARAMETERS // max(parameters, 1)
    return most if wanted is None else min(wanted, most)


class _AnyOf(Func):
    """``column = ANY (array)``: one value, and a plan that is good however few rows the server believes there are.

    A join with the array's elements looks at all rows for each of them where the table was empty at its
    last VACUUM.
    """

    output_field = models.BooleanField()

    def __init__(self, key: F, keys: str, type_: str) -> None:
        super().__init__(key)
        self.keys, self.type = keys, type_

    def as_postgresql(self, compiler: Any, connection: Any, **_context: Any) -> tuple[str, list[Any]]:
        """Compile to the operator, which is PostgreSQL's."""
        column, params = compiler.compile(self.source_expressions[0])
        return f"{column} = ANY (%s::{self.type})", [*params, self.keys]


def any_of(model: type[models.Model], keys: Collection[Any], using: str) -> Q:
    """Return the condition that finds rows by any number of primary keys."""
    connection = connections[using]
    pk: Any = model._meta.pk
    if connection.vendor != "postgresql":
        return Q((f"{pk.name}__in", keys))
    prepared = array([element(pk.get_db_prep_value(key, connection)) for key in keys])
    return Q(_AnyOf(F(pk.name), prepared, array_type(pk, connection)))


def array(elements: Iterable[str]) -> str:
    """Return PostgreSQL's text for an array; its driver takes long to adapt values one by one."""
    return f"{{{','.join(elements)}}}"


def element(value: Any) -> str:
    """Return the text of a value, as the database takes it, in such an array."""
    if value is None:
        return "NULL"
    if isinstance(value, str):
        escaped = value.replace("\\", "\\\\").replace('"', '\\"')
        return f'"{escaped}"'
    return str(value)


def prepared(field: models.Field[Any, Any], value: Any, connection: BaseDatabaseWrapper) -> Any:
    """Return what the database takes for a value of a column."""
    return None if value is None else field.get_db_prep_save(value, connection)


def column(field: models.Field[Any, Any], values: Collection[Any], connection: BaseDatabaseWrapper) -> str:
    """Return such an array of values of a column, most of which come again and again."""

    def text(value: Any) -> str:
        return element(prepared(field, value, connection))

    if isinstance(field, models.DateTimeField):  # equal ones may be an hour apart, when a clock is put back
        return array(text(value) for value in values)
    texts = {value: text(value) for value in set(values)}
    return array(texts[value] for value in values)


def array_type(field: models.Field[Any, Any], connection: BaseDatabaseWrapper) -> str:
    """Return PostgreSQL's type for an array of a column's values; without a length, to which a cast would cut."""
    return re.sub(r"\(.*\)", "", field.rel_db_type(connection) or "") + "[]"
