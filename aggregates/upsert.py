"""The text of the one statement that writes totals, for each database."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from django.db import models
from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.models import F, Func
from django.db.models.expressions import Expression

from aggregates import statements
from aggregates.definitions import Definition, Rollup

PLAIN = re.compile(r"[A-Za-z0-9_,. -]+")  # text that means the same in quotes on every database


class Excluded(Expression):
    """The value that an upsert proposed for a column of the row it ran into."""

    def __init__(self, field: models.Field[Any, Any]) -> None:
        super().__init__(output_field=field)

    def as_sql(self, compiler: Any, connection: Any) -> tuple[str, tuple[str | int, ...]]:
        """Compile to ``EXCLUDED."column"``, as PostgreSQL and SQLite have it."""
        return f"EXCLUDED.{compiler.quote_name_unless_alias(self.output_field.column)}", ()

    def as_mysql(self, compiler: Any, connection: Any) -> tuple[str, tuple[str | int, ...]]:
        """Compile to ``VALUES(column)``, as MariaDB has it."""
        return f"VALUES({compiler.quote_name_unless_alias(self.output_field.column)})", ()


class Whole(Func):
    """A whole number that stays one: SQLite turns a sum that overflows into a float.

    NULL takes its place, which no measure may be, so that the write is refused.
    """

    template = "%(expressions)s"
    arity = 1

    def as_sqlite(self, compiler: Any, connection: Any, **_context: Any) -> tuple[str, tuple[str | int, ...]]:
        """Compile to a CASE over the type of the value."""
        return self.as_sql(
            compiler,
            connection,
            template="CASE WHEN typeof(%(expressions)s) = 'integer' THEN %(expressions)s END",
        )


@dataclass(frozen=True)
class Form:
    """How a row of one rollup stands in a statement: its text, and the fields for which it has places.

    What is the same in every row of the rollup is written out: fewer values to send, and short
    statements that a driver remembers.
    """

    text: str
    fields: tuple[models.Field[Any, Any], ...]


@dataclass(frozen=True)
class Upsert:
    """INSERT … ON CONFLICT in three parts; the middle one is a form for each row."""

    head: str
    forms: Mapping[str, Form]
    """By the name of the rollup."""
    tail: str
    arrays: str
    """What stands in the place of the rows where each column is sent as one array; empty where there are none."""
    fields: tuple[models.Field[Any, Any], ...]
    """The columns in their order."""
    counts: bool
    """Whether the database tells how many rows it wrote, so without those that a guard kept from it."""

    def of_rows(self, forms: Iterable[Form]) -> str:
        """Return the statement for rows of these forms."""
        return f"{self.head} VALUES {', '.join([form.text for form in forms])} {self.tail}"

    def of_arrays(self) -> str:
        """Return the statement for any number of rows: a driver takes long to fill in thousands of places."""
        return f"{self.head} {self.arrays} {self.tail}"


def adding(definition: Definition, connection: BaseDatabaseWrapper) -> Upsert:
    """Return the upsert that adds the proposed amounts to the stored ones."""
    return _upsert(definition, connection, corrects=False)


def correcting(definition: Definition, connection: BaseDatabaseWrapper) -> Upsert:
    """Return the upsert that does so only where the generation is one less than the proposed one.

    It takes over the proposed generation, and the columns that name the bucket.
    """
    return _upsert(definition, connection, corrects=True)


_cache: dict[tuple[Definition, str, bool], Upsert] = {}


def _upsert(definition: Definition, connection: BaseDatabaseWrapper, *, corrects: bool) -> Upsert:
    # The text is the same for every write, and compiling it costs more than running it.
    key = (definition, connection.vendor, corrects)
    if key not in _cache:
        _cache[key] = _compile(definition, connection, corrects=corrects)
    return _cache[key]


def _compile(definition: Definition, connection: BaseDatabaseWrapper, *, corrects: bool) -> Upsert:
    quote: Any = connection.ops.quote_name
    meta = definition.totals._meta
    expression = _expressions(definition, connection)
    sets = {name: expression(Whole(F(name) + Excluded(_field(definition, name)))) for name in definition.measures}
    guard = ""
    if corrects:
        taken = ("rollup", "slot", *definition.dimensions, "generation")  # this one last, see _tail
        sets |= {name: expression(Excluded(_field(definition, name))) for name in taken}
        guard = f"{expression(F('generation'))} = {sets['generation']} - 1"
    fields = tuple(meta.concrete_fields)
    return Upsert(
        head=f"INSERT INTO {quote(meta.db_table)} ({', '.join(quote(f.column) for f in fields)})",
        forms={rollup.name: _form(definition, rollup, corrects=corrects) for rollup in definition.rollups},
        tail=_tail(definition, connection, sets, guard),
        arrays=_arrays(fields, connection),
        fields=fields,
        counts=connection.vendor != "mysql",  # which counts an update twice, and a row left as it is once
    )


def _form(definition: Definition, rollup: Rollup, *, corrects: bool) -> Form:
    fixed = {name: "NULL" for name in definition.dimensions if name not in rollup.dimensions}
    if PLAIN.fullmatch(rollup.name):
        fixed["rollup"] = f"'{rollup.name}'"
    if rollup.slots == 1:
        fixed["slot"] = "0"
    if not corrects:
        fixed["generation"] = "0"
    fields = definition.totals._meta.concrete_fields
    places = ", ".join(fixed.get(field.name, "%s") for field in fields)
    return Form(f"({places})", tuple(field for field in fields if field.name not in fixed))


def _arrays(fields: Iterable[models.Field[Any, Any]], connection: BaseDatabaseWrapper) -> str:
    if connection.vendor != "postgresql":
        return ""
    arrays = ", ".join(f"%s::{statements.array_type(field, connection)}" for field in fields)
    return f"SELECT * FROM UNNEST({arrays})"  # noqa: S608 - types of ours


def _tail(definition: Definition, connection: BaseDatabaseWrapper, sets: dict[str, str], guard: str) -> str:
    quote: Any = connection.ops.quote_name
    columns = {name: quote(_field(definition, name).column) for name in sets}
    if connection.vendor == "mysql":
        # No WHERE here; assignments run from left to right, so the generation comes last.
        table = quote(definition.totals._meta.db_table)
        changes = [
            f"{columns[name]} = " + (f"IF({guard}, {value}, {table}.{columns[name]})" if guard else value)
            for name, value in sets.items()
        ]
        return f"ON DUPLICATE KEY UPDATE {', '.join(changes)}"
    key = quote(definition.totals._meta.pk.column)
    changes = [f"{columns[name]} = {value}" for name, value in sets.items()]
    return f"ON CONFLICT ({key}) DO UPDATE SET {', '.join(changes)}" + (f" WHERE {guard}" if guard else "")


def _expressions(definition: Definition, connection: BaseDatabaseWrapper) -> Callable[[Any], str]:
    query = models.sql.UpdateQuery(definition.totals)
    query.get_initial_alias()
    compiler = query.get_compiler(connection=connection)

    def text(expression: Any) -> str:
        sql, _params = compiler.compile(expression.resolve_expression(query, allow_joins=False))
        return str(sql)

    return text


def _field(definition: Definition, name: str) -> models.Field[Any, Any]:
    return definition.totals._meta.get_field(name)  # type: ignore[return-value]
