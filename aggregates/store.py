"""The only writer of totals: deltas, corrections, the fold.

Every statement writes its rows in the order of their keys, so that writers of the same totals wait
for each other instead of deadlocking. All functions need an open transaction.
"""

from __future__ import annotations

import uuid
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cache, cached_property
from operator import attrgetter, itemgetter
from typing import Any

from django.db import DatabaseError, connections, models
from django.db.backends.base.base import BaseDatabaseWrapper

from aggregates import deltas, slots, statements, transactions, upsert
from aggregates.batches import batched
from aggregates.definitions import Definition, Rollup
from aggregates.exceptions import TotalOutOfRange
from aggregates.fields import MAX_VALUE, MIN_VALUE, FixedDecimalField
from aggregates.keys import bucket_digits

ROWS_A_STATEMENT = 500
ROWS_IN_ARRAYS = 10_000
ROWS_WITHOUT_ARRAYS = 20  # so few are sent as quickly without
LARGEST = 2**63 - 1
Bounds = Sequence[tuple[Any, Any]]
Fields = tuple["models.Field[Any, Any]", ...]


@dataclass(frozen=True)
class Row:
    """One totals row as proposed to the database; ``values`` only those of its rollup."""

    rollup: Rollup
    values: deltas.Values
    amounts: deltas.Amounts
    slot: int = 0
    generation: int = 0

    @cached_property
    def digits(self) -> str:
        """Return the primary key of the row in hexadecimal digits, in whose order rows are written."""
        return bucket_digits(self.rollup.name, self.values, self.slot)

    @property
    def key(self) -> uuid.UUID:
        """Return the primary key of the row."""
        return uuid.UUID(self.digits)


def apply(definition: Definition, using: str, delta: deltas.Delta) -> list[uuid.UUID]:
    """Add a delta to every rollup, in one upsert (per 500 rows); return the keys of the rows written."""
    transactions.require(using)
    connection = connections[using]
    number = slots.number(definition, connection)
    rows = []
    for rollup in definition.rollups:
        slot = slots.slot(rollup, number)
        projected = deltas.project(delta, definition.places[rollup.name])
        rows += [Row(rollup, values, amounts, slot) for values, amounts in projected.items()]
    _write(definition, connection, upsert.adding(definition, connection), rows)
    return [row.key for row in rows]


def correct(definition: Definition, using: str, rows: Iterable[Row]) -> int:
    """Add corrections to slot 0 where the generation read with them still holds; return how many did.

    A correction that no column can hold is cut to what one can; the next comparison finds the rest.
    """
    transactions.require(using)
    connection = connections[using]
    cut = _cut(list(rows), [_bounds(definition.column(name), connection) for name in definition.measures])
    statement = upsert.correcting(definition, connection)
    if statement.counts:
        return _write(definition, connection, statement, cut)
    current = _current(definition, using, cut)
    _write(definition, connection, statement, current)
    return len(current)


def _cut(rows: list[Row], bounds: Bounds) -> list[Row]:
    columns = zip(*(row.amounts for row in rows), strict=True)
    if all(low <= min(column) and max(column) <= high for column, (low, high) in zip(columns, bounds, strict=False)):
        return rows
    return [
        replace(row, amounts=tuple(min(max(a, low), high) for a, (low, high) in zip(row.amounts, bounds, strict=True)))
        for row in rows
    ]


def _current(definition: Definition, using: str, rows: list[Row]) -> list[Row]:
    """Return the corrections that no other has overtaken, with the totals rows they meet locked."""
    stored: models.QuerySet[Any] = models.QuerySet(definition.totals, using=using)
    met = stored.filter(pk__in=[row.key for row in rows]).order_by("pk").select_for_update()
    generations = dict(met.values_list("pk", "generation"))
    return [row for row in rows if generations.get(row.key, 0) == row.generation - 1]


def _bounds(field: models.Field[Any, Any], connection: BaseDatabaseWrapper) -> tuple[Any, Any]:
    """Return the least and the greatest value of a measure's column."""
    if isinstance(field, FixedDecimalField):
        return MIN_VALUE, MAX_VALUE
    low, high = None, None
    if isinstance(field, models.IntegerField):
        low, high = connection.ops.integer_field_range(field.get_internal_type())
    return (-LARGEST if low is None else low), (LARGEST if high is None else high)


def move(definition: Definition, using: str, source: Sequence[Any], rows: Iterable[Row]) -> None:
    """Add ``rows`` to where they belong and delete the totals rows ``source`` they came from.

    The caller has locked the source rows and read the amounts from them.
    """
    transactions.require(using)
    connection = connections[using]
    remove(definition, using, source)
    _write(definition, connection, upsert.adding(definition, connection), list(rows))


def remove(definition: Definition, using: str, ids: Sequence[Any]) -> None:
    """Delete totals rows that the caller has locked."""
    transactions.require(using)
    connection = connections[using]
    pk: Any = definition.totals._meta.pk
    quote = connection.ops.quote_name
    table, key = quote(definition.totals._meta.db_table), quote(pk.column)
    for batch in batched(ids, ROWS_A_STATEMENT):
        params = [pk.get_db_prep_value(id_, connection) for id_ in batch]
        with connection.cursor() as cursor:
            places = ", ".join(["%s"] * len(params))
            cursor.execute(f"DELETE FROM {table} WHERE {key} IN ({places})", params)  # noqa: S608 - names of ours


@dataclass(frozen=True)
class Stored:
    """A totals row as the database holds it; ``values`` those of all dimensions, by name."""

    id: uuid.UUID
    rollup: str
    values: dict[str, Any]
    amounts: deltas.Amounts


def lock_rows(definition: Definition, rows: models.QuerySet[Any], *, skip_locked: bool) -> list[Stored]:
    """Lock totals rows until the transaction ends and return them, by key."""
    transactions.require(rows.db)
    skip = skip_locked and connections[rows.db].features.has_select_for_update_skip_locked
    columns = ("id", "rollup", *definition.attnames, *definition.measures)
    locked = rows.select_for_update(skip_locked=skip).values_list(*columns)
    width = len(definition.dimensions)
    return [
        Stored(id_, rollup, dict(zip(definition.dimensions, rest, strict=False)), tuple(rest[width:]))
        for id_, rollup, *rest in locked
    ]


def at_slot_0(definition: Definition, stored: Iterable[Stored]) -> list[Row]:
    """Return what the rows hold as one row a bucket, in slot 0."""
    held = deltas.add(
        ((row.rollup, *(row.values[name] for name in definition.rollup(row.rollup).dimensions)), row.amounts)
        for row in stored
    )
    return [Row(definition.rollup(name), tuple(values), amounts) for (name, *values), amounts in held.items()]


def _write(definition: Definition, connection: BaseDatabaseWrapper, statement: upsert.Upsert, rows: list[Row]) -> int:
    written = 0
    ordered = sorted(rows, key=attrgetter("digits"))
    for sql, params, batch in _statements(definition, connection, statement, ordered):
        try:
            with connection.cursor() as cursor:
                cursor.execute(sql, params)
                written += cursor.rowcount
        except DatabaseError as error:
            if not is_out_of_range(error):
                raise
            raise out_of_range(definition, batch) from error
    return written


Statement = tuple[str, list[Any], list[Row]]


def _statements(
    definition: Definition, connection: BaseDatabaseWrapper, statement: upsert.Upsert, rows: list[Row]
) -> Iterator[Statement]:
    """Yield text and parameters of the statements that write the rows, and which rows each writes."""
    if statement.arrays and len(rows) > ROWS_WITHOUT_ARRAYS:
        for batch in batched(rows, ROWS_IN_ARRAYS):
            yield statement.of_arrays(), _columns(connection, definition, statement.fields, batch), batch
        return
    for batch in batched(rows, ROWS_A_STATEMENT):
        forms = [statement.forms[row.rollup.name] for row in batch]
        params = [
            value
            for row, form in zip(batch, forms, strict=True)
            for value in _prepared(connection, definition, form.fields, row)
        ]
        yield statement.of_rows(forms), params, batch


def _prepared(connection: BaseDatabaseWrapper, definition: Definition, fields: Fields, row: Row) -> list[Any]:
    """Return the values of a row's columns as the database takes them."""
    (given,) = _given(definition, fields, [row])
    try:
        return [statements.prepared(field, value, connection) for field, value in zip(fields, given, strict=True)]
    except ValueError as error:
        raise out_of_range(definition, [row]) from error


def _columns(connection: BaseDatabaseWrapper, definition: Definition, fields: Fields, rows: list[Row]) -> list[str]:
    """Return the same of many rows as an array a column, in which most values come again and again."""
    columns = zip(*_given(definition, fields, rows), strict=True)
    try:
        return [
            statements.array(values) if field.primary_key else statements.column(field, values, connection)
            for field, values in zip(fields, columns, strict=True)
        ]
    except ValueError as error:
        culprits = [row for row in rows if not _fits(connection, definition, row)]
        raise out_of_range(definition, culprits) from error


def _fits(connection: BaseDatabaseWrapper, definition: Definition, row: Row) -> bool:
    try:
        _prepared(connection, definition, tuple(definition.totals._meta.concrete_fields), row)
    except TotalOutOfRange:
        return False
    return True


def _given(definition: Definition, fields: Fields, rows: Sequence[Row]) -> list[tuple[Any, ...]]:
    """Return what is proposed for these columns of rows; what a rollup does not have is NULL."""
    picks = {name: _pick(definition, fields, name) for name in {row.rollup.name for row in rows}}
    return [
        picks[row.rollup.name]((row.digits, row.rollup.name, row.slot, row.generation, *row.values, *row.amounts, None))
        for row in rows
    ]


@cache
def _pick(definition: Definition, fields: Fields, rollup: str) -> Callable[[tuple[Any, ...]], tuple[Any, ...]]:
    """Return what takes the values of columns from the parts of a row, of which the last is NULL."""
    names = ["id", "rollup", "slot", "generation", *definition.rollup(rollup).dimensions, *definition.measures]
    return itemgetter(*(names.index(field.name) if field.name in names else len(names) for field in fields))


def is_out_of_range(error: DatabaseError) -> bool:
    """Return whether a statement failed because a number was too large for its column."""
    cause = error.__cause__
    return (
        getattr(cause, "sqlstate", None) == "22003"  # PostgreSQL: numeric_value_out_of_range
        or getattr(cause, "sqlite_errorname", None) == "SQLITE_CONSTRAINT_NOTNULL"  # see upsert.Whole
        or (bool(error.args) and error.args[0] in {1264, 1690})  # MariaDB: out of range for a column, or a type
    )


def out_of_range(definition: Definition, batch: Sequence[Row] = ()) -> TotalOutOfRange:
    """Return the error for totals that would leave their range, naming the first buckets of a batch."""
    buckets = [dict(zip(row.rollup.dimensions, row.values, strict=True)) for row in batch[:3]]
    concerned = f" Buckets concerned: {buckets}{' …' if len(batch) > len(buckets) else ''}" if buckets else ""
    return TotalOutOfRange(
        f"A total of {definition.label} would leave the range of its column, so nothing was written.{concerned}"
    )
