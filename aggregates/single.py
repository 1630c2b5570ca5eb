"""The INSERT, UPDATE or DELETE of a single row: written out where its values are plain, else compiled by Django.

Django's compiling costs more than the running of such a statement.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from decimal import Decimal
from functools import cache, lru_cache
from types import SimpleNamespace
from typing import Any
from uuid import UUID

from django.db import connections, models
from django.db.models import sql

from aggregates import images
from aggregates.fields import FixedDecimalField

PLAIN = frozenset({str, int, bool, type(None), Decimal, UUID, dt.date, dt.datetime})  # most values: a quick look first
# What these fields give to PostgreSQL is what they were given; to ask each takes a tenth of the time of a save.
AS_THEY_ARE = frozenset({
    (models.CharField, str),
    (models.TextField, str),
    (models.UUIDField, UUID),
    (models.DateField, dt.date),
    (models.BooleanField, bool),
})  # fmt: skip
TEXTS_KEPT = 256  # one for each set of fields that are saved together
Values = Sequence[tuple[Any, Any]]
"""Fields, and what is to be stored in them."""


def insert(model: type[models.Model], using: str, values: Values) -> tuple[str, list[Any]]:
    """Return text and parameters of an INSERT."""
    if not are_plain(values):
        # Their fields were asked for the values once, which they may not take twice.
        given: Any = SimpleNamespace(**{field.attname: value for field, value in values})
        query = sql.InsertQuery(model)
        query.insert_values([field for field, _value in values], [given], raw=True)
        ((statement, params),) = query.get_compiler(using=using).as_sql()
        return statement, list(params)
    return inserting(model, using, tuple([field.column for field, _value in values])), prepared(values, using)


@lru_cache(TEXTS_KEPT)
def inserting(model: type[models.Model], using: str, columns: tuple[str, ...]) -> str:
    """Return the text of an INSERT with a place for each of these columns."""
    names, places = ", ".join(quoted(using, column) for column in columns), ", ".join(["%s"] * len(columns))
    return f"INSERT INTO {quoted(using, model._meta.db_table)} ({names}) VALUES ({places})"  # noqa: S608 - names of ours


def update(rows: models.QuerySet[Any], key: Any, values: Values) -> tuple[str, list[Any]]:
    """Return text and parameters of an UPDATE of the row with that key."""
    if rows.query.where or not images.is_plain(rows) or not are_plain(values):
        return compiled_update(rows.filter(pk=key), values)
    pk: Any = rows.model._meta.pk
    sets = ", ".join([f"{quoted(rows.db, field.column)} = %s" for field, _value in values])
    table, column = quoted(rows.db, rows.model._meta.db_table), quoted(rows.db, pk.column)
    statement = f"UPDATE {table} SET {sets} WHERE {table}.{column} = %s"  # noqa: S608 - names of ours
    return statement, [*prepared(values, rows.db), pk.get_db_prep_value(key, connections[rows.db])]


def delete(model: type[models.Model], using: str, key: Any) -> tuple[str, list[Any]]:
    """Return text and parameters of a DELETE of the row with that key."""
    pk: Any = model._meta.pk
    table, column = quoted(using, model._meta.db_table), quoted(using, pk.column)
    statement = f"DELETE FROM {table} WHERE {table}.{column} = %s"  # noqa: S608 - names of ours, quoted; the key is bound
    return statement, [pk.get_db_prep_value(key, connections[using])]


def compiled_update(rows: models.QuerySet[Any], values: Values) -> tuple[str, list[Any]]:
    """Return text and parameters of an UPDATE of all these rows, as Django compiles it."""
    query: Any = rows.query.chain(sql.UpdateQuery)
    query.add_update_fields([(field, None, value) for field, value in values])
    query.annotations = {}
    statement, params = query.get_compiler(using=rows.db).as_sql()
    return statement, list(params)


def are_plain(values: Values) -> bool:
    """Return whether a statement has nothing but a place for each value."""
    for field, value in values:
        if type(value) not in PLAIN and hasattr(value, "resolve_expression"):
            return False
        kind: Any = type(field)
        if not _has_a_place(kind):
            return False
    return bool(values)


@cache
def _has_a_place(field: type[Any]) -> bool:
    return issubclass(field, FixedDecimalField) or not hasattr(field, "get_placeholder")


def out_of_range(values: Values, using: str) -> bool:
    """Return whether a value is out of the range of its own column."""
    for field, value in values:
        column: Any = field
        while column.remote_field:
            column = column.target_field
        if hasattr(value, "resolve_expression") or isinstance(value, models.Model):
            continue  # the server computes it, or it is the key of a row that is stored
        if not _is_in_range(column, column.get_prep_value(value), using):
            return True
    return False


def _is_in_range(column: Any, value: Any, using: str) -> bool:
    if value is not None and isinstance(column, models.IntegerField):
        low, high = connections[using].ops.integer_field_range(column.get_internal_type())
        return bool(low <= value <= high)
    if value is not None and isinstance(column, models.DecimalField):
        return bool(abs(round(value, column.decimal_places)) < 10 ** (column.max_digits - column.decimal_places))
    return True


def prepared(values: Values, using: str) -> list[Any]:
    """Return values as PostgreSQL's driver takes them."""
    connection = connections[using]
    return [
        value
        if (type(field), type(value)) in AS_THEY_ARE or (type(field) is models.DateTimeField and is_utc(value))
        else field.get_db_prep_save(value, connection)
        for field, value in values
    ]


def is_utc(value: Any) -> bool:
    """Return whether a value is a time in UTC, as Django's own are."""
    return type(value) is dt.datetime and value.tzinfo is dt.UTC


@cache
def quoted(using: str, name: str) -> str:
    """Return a name as it stands in statements."""
    return str(connections[using].ops.quote_name(name))


def executed(statement: str, params: Sequence[Any], using: str) -> list[Any]:
    """Return the row that a statement returned; an empty one where it wrote none, or returns nothing."""
    with connections[using].cursor() as cursor:
        cursor.execute(statement, params)
        return list(cursor.fetchone() or ()) if cursor.description else []


def converted(row: list[Any], asked: Sequence[Any], using: str) -> list[Any]:
    """Return the values of the fields asked for as Python values, in the one row that Django expects."""
    if not asked:
        return []
    compiler: Any = sql.Query(asked[0].model).get_compiler(using=using)
    converters = compiler.get_converters([field.get_col(field.model._meta.db_table) for field in asked])
    return [list(found) for found in compiler.apply_converters([row], converters)] if converters else [row]
