"""Which rows of an INSERT that may run into others went in, and which were there."""

from __future__ import annotations

from functools import reduce
from operator import or_
from typing import Any, TypeVar

from django.db import IntegrityError, connections, models
from django.db.models import Q, sql
from django.db.models.constants import OnConflict

M = TypeVar("M", bound=models.Model)

MOST_WARNINGS = 65_535
ROWS_AN_INSERT = 10_000  # far fewer than warnings that are kept
ER_DUP_ENTRY = 1062


class Unique:
    """The unique fields that decide whether an instance is in the table."""

    def __init__(self, model: type[models.Model], names: list[str]) -> None:
        self._fields: list[Any] = [model._meta.get_field(name) for name in names]

    def partition(self, objs: list[M]) -> tuple[list[M], list[M]]:
        """Return the instances that conflict with nothing, for NULL equals nothing, and the others."""
        loose = [obj for obj in objs if None in self._values(obj)]
        return loose, [obj for obj in objs if None not in self._values(obj)]

    def without(self, objs: list[M], inserted: models.QuerySet[Any]) -> list[M]:
        """Return the instances that are not among the inserted rows; give the others their keys.

        Of two instances with the same values the first was inserted.
        """
        names = [field.attname for field in self._fields]
        keys = {tuple(values): key for key, *values in inserted.values_list("pk", *names)}
        rest = []
        for obj in objs:
            key = keys.pop(self._values(obj), None)
            if key is None:
                rest.append(obj)
            else:
                obj.pk = key
        return rest

    def condition(self, objs: list[Any]) -> Q:
        """Return the condition that a row has the values of one of the instances."""
        return reduce(or_, [Q(**{f.attname: getattr(obj, f.attname) for f in self._fields}) for obj in objs])

    def _values(self, obj: models.Model) -> tuple[Any, ...]:
        return tuple(field.to_python(getattr(obj, field.attname)) for field in self._fields)


def insert_returning_keys(model: type[models.Model], using: str, objs: list[Any], fields: Any) -> list[Any]:
    """Insert what conflicts with nothing and return the keys of what went in."""
    query = sql.InsertQuery(model, on_conflict=OnConflict.IGNORE)
    query.insert_values(fields, objs)
    compiler: Any = query.get_compiler(using=using)
    compiler.returning_fields = [model._meta.pk]
    run = _forgiving_duplicates_alone if connections[using].vendor == "mysql" else _run
    rows: list[Any] = []
    with connections[using].cursor() as cursor:
        for statement, params in compiler.as_sql():
            rows += run(cursor, statement, params)
    converters = compiler.get_converters([model._meta.pk.get_col(model._meta.db_table)])
    return [key for (key,) in compiler.apply_converters(rows, converters)]


def _run(cursor: Any, statement: str, params: Any) -> Any:
    cursor.execute(statement, params)
    return cursor.fetchall()


def _forgiving_duplicates_alone(cursor: Any, statement: str, params: Any) -> Any:
    """Run MariaDB's INSERT IGNORE, which warns of every error and stores something else: 0 for NULL, 255 for 256.

    It keeps as many warnings as it is told to; a duplicate makes one, so that no other warning is lost.
    """
    rows = _run(cursor, f"SET STATEMENT max_error_count = {MOST_WARNINGS} FOR {statement}", params)
    for _level, code, message in _run(cursor, "SHOW WARNINGS", None):
        if code != ER_DUP_ENTRY:
            raise IntegrityError(code, message)
    return rows
