"""Queries that are compiled once and run again and again: of one source row, by its key, and of totals.

Django builds and compiles a query anew each time, which for these costs as much as running it or
more: with it, a save took four to five times as long as one without totals.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from django.db import connections, models
from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.models.expressions import Expression

from aggregates.definitions import Definition

Build = Callable[[Definition, str], models.QuerySet[Any, Any]]

PLACE = object()


class Key(Expression):
    """Stands for the primary key that is asked for; takes its place among the parameters."""

    def as_sql(self, compiler: Any, connection: Any) -> tuple[str, tuple[Any, ...]]:
        """Compile to a placeholder."""
        return "%s", (PLACE,)


Converters = tuple[tuple[int, tuple[Callable[..., Any], ...], Any], ...]
"""Positions of columns, what makes Python values of theirs one after the other, and the expression they are of."""


@dataclass(frozen=True)
class Query:
    """A compiled query without an open place."""

    sql: str
    params: tuple[Any, ...]
    converters: Converters

    def rows(self, using: str) -> list[tuple[Any, ...]]:
        """Return all rows."""
        connection = connections[using]
        with connection.cursor() as cursor:
            cursor.execute(self.sql, self.params)
            found = cursor.fetchall()
        return converted(found, self.converters, connection)


@dataclass(frozen=True)
class Row:
    """What a statement returns of one row: its text, and what turns each column into a Python value."""

    sql: str
    converters: Converters

    def converted(self, row: list[Any], using: str) -> list[Any]:
        """Turn each column of a row into a Python value, in place."""
        connection = connections[using]
        for position, converters, expression in self.converters:
            for convert in converters:
                row[position] = convert(row[position], expression, connection)
        return row


@dataclass(frozen=True)
class Statement(Row):
    """A compiled query of one row, with its parameters."""

    params: tuple[Any, ...]

    def rows(self, definition: Definition, using: str, key: Any) -> list[list[Any]]:
        """Return the rows with that primary key: one, or none."""
        with connections[using].cursor() as cursor:
            cursor.execute(self.sql, self.given(definition, using, key))
            return [self.converted(list(row), using) for row in cursor.fetchall()]

    def given(self, definition: Definition, using: str, key: Any) -> tuple[Any, ...]:
        """Return the parameters for that primary key."""
        pk: Any = definition.source._meta.pk
        prepared = pk.get_db_prep_value(key, connections[using])
        return tuple(prepared if param is PLACE else param for param in self.params)


@dataclass(frozen=True)
class Returned(Row):
    """The columns alone, as a RETURNING clause lists them, without parameters."""

    width: int


def converted(
    rows: Sequence[tuple[Any, ...]], converters: Converters, connection: BaseDatabaseWrapper
) -> list[tuple[Any, ...]]:
    """Return rows with Python's values; column by column, which takes half as long as row by row."""
    if not rows:
        return []
    columns: list[Iterable[Any]] = list(zip(*rows, strict=True))
    for position, converts, expression in converters:
        for convert in converts:
            columns[position] = [convert(value, expression, connection) for value in columns[position]]
    return list(zip(*columns, strict=True))


_statements: dict[tuple[Definition, str, Build], Statement] = {}
_returned: dict[tuple[Definition, str, Build, str], Returned] = {}


def query(queryset: models.QuerySet[Any, Any]) -> Query:
    """Return the compiled form of a query; raise EmptyResultSet where no row can match."""
    compiler = queryset.query.get_compiler(using=queryset.db)
    sql, params = compiler.as_sql()
    return Query(sql, tuple(params), _converters(compiler))


def statement(definition: Definition, using: str, build: Build) -> Statement:
    """Return the compiled form of the query that ``build`` makes, with ``Key()`` as primary key."""
    known = (definition, using, build)
    if known not in _statements:
        compiled = query(build(definition, using))
        _statements[known] = Statement(compiled.sql, compiled.converters, compiled.params)
    return _statements[known]


def returned(definition: Definition, using: str, build: Build, row: str) -> Returned:
    """Return the columns of that query by themselves; of the ``row`` that a statement knows by this name, if any."""
    known = (definition, using, build, row)
    if known not in _returned:
        built = build(definition, using).query
        if row:
            built.change_aliases({built.get_initial_alias(): row})
        compiler = built.get_compiler(using=using)
        compiler.as_sql()
        columns = [compiled for _column, compiled, _alias in compiler.select]
        text, params = ", ".join(sql for sql, _params in columns), [value for _sql, each in columns for value in each]
        _returned[known] = Returned(_written_out(text, params, using), _converters(compiler), len(columns))
    return _returned[known]


def _written_out(text: str, params: Sequence[Any], using: str) -> str:
    """Return a text with its parameters in their places: they are the same each time, and dear to send and to bind."""
    operations: Any = connections[using].ops
    return str(operations.compose_sql(text, params)).replace("%", "%%")


def _converters(compiler: Any) -> Converters:
    return converters_of(compiler, [column for column, _sql, _alias in compiler.select])


def converters_of(compiler: Any, columns: Iterable[Any]) -> Converters:
    """Return what turns the values of these columns, as a compiler's database has them, into Python's."""
    converters = compiler.get_converters(columns)
    return tuple((position, tuple(convert), column) for position, (convert, column) in converters.items())
