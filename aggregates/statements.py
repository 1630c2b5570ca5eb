"""Statements about many rows, within what a server takes beside their text."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable
from typing import Any

from django.db import connections, models
from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.models.expressions import RawSQL

# Of PostgreSQL's protocol. Up to Django 5.2 only features that came later know of it.
MOST_PARAMETERS = 2**16 - 1


def most_rows(parameters: int, wanted: int | None, using: str) -> int | None:
    """Return how many rows of so many parameters one statement may hold, at most ``wanted``; None for any number."""
    if not getattr(connections[using].features, "uses_server_side_binding", False):
        return wanted
    most = MOST_PARAMETERS // max(parameters, 1)
    return most if wanted is None else min(wanted, most)


def any_of(model: type[models.Model], keys: Collection[Any], using: str) -> Any:
    """Return what ``pk__in`` takes to find rows by any number of keys."""
    connection = connections[using]
    if connection.vendor != "postgresql":
        return keys
    pk: Any = model._meta.pk
    prepared = array([element(pk.get_db_prep_value(key, connection)) for key in keys])
    return RawSQL(f"SELECT UNNEST(%s::{array_type(pk, connection)})", [prepared])  # noqa: S611 - a type of ours


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
