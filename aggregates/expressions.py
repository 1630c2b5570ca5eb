"""The expressions of a declaration, checked and brought into the form the engine computes with."""

from __future__ import annotations

import datetime as dt
from typing import TYPE_CHECKING, Any

from django.conf import settings
from django.core.exceptions import FieldError
from django.db import models
from django.db.models import Case, Count, F, Q, Subquery, Sum, Value, When
from django.db.models.expressions import Combinable, ExpressionWrapper, Star
from django.db.models.functions import (
    Cast,
    Coalesce,
    Now,
    Random,
    TruncDay,
    TruncMonth,
    TruncQuarter,
    TruncWeek,
    TruncYear,
)
from django.db.models.functions.datetime import TimezoneMixin, TruncBase
from django.db.models.lookups import IsNull

from aggregates import references
from aggregates.definitions import value_field
from aggregates.exceptions import DeclarationError
from aggregates.fields import FixedDecimalField

if TYPE_CHECKING:
    from aggregates.models import Totals

# Columns between which values pass unchanged. The first that fits counts: a DateTimeField is a DateField.
FAMILIES: tuple[tuple[type[Any], ...], ...] = (
    (models.BooleanField,),
    (models.DateTimeField,),
    (models.DateField,),
    (models.UUIDField,),
    (FixedDecimalField,),
    (models.DecimalField,),
    (models.IntegerField,),
    (models.CharField, models.TextField),
)


PERIODS = (TruncDay, TruncWeek, TruncMonth, TruncQuarter, TruncYear)


class Instant(ExpressionWrapper):  # type: ignore[type-arg]  # generic in the stubs alone
    """A datetime truncated in UTC. Django's functions refuse NULL where MariaDB knows no other time zones."""

    def convert_value(self, value: Any, _expression: Any, _connection: Any) -> Any:
        """Return the datetime in UTC, as the function itself would."""
        return value.replace(tzinfo=dt.UTC) if value is not None and settings.USE_TZ else value


class Period(Cast):
    """A date truncated to the first day of a week, month, quarter or year."""

    def as_postgresql(self, compiler: Any, connection: Any, **_context: Any) -> tuple[str, tuple[Any, ...]]:
        """Truncate a timestamp: a date by itself becomes one with a time zone, which takes twice as long."""
        truncation: Any = self.source_expressions[0]
        sql, params = compiler.compile(truncation.lhs)
        return f"DATE_TRUNC(%s, ({sql})::timestamp)::date", (truncation.kind, *params)


UNSIGNED = (models.PositiveIntegerField, models.PositiveSmallIntegerField, models.PositiveBigIntegerField)


def dimension(totals: type[Totals], source: type[models.Model], name: str, expression: Any) -> Combinable:
    """Return the expression of a dimension, cast to the column's type where it is computed."""
    if isinstance(expression, str):
        expression = F(expression)
    if not isinstance(expression, Combinable):
        raise DeclarationError(
            f"Dimension {name!r} of {totals.__name__} is {expression!r}: write F('field') or a database function."
        )
    resolved = _resolved(totals, source, name, expression)
    if _family(value_field(totals, name)) is None:
        raise DeclarationError(
            f"Dimension {name!r} of {totals.__name__} is a {type(value_field(totals, name)).__name__}, whose values "
            "are not exactly equal or not at all: take text, whole numbers, dates, booleans, UUIDs or exact decimals.",
            id="aggregates.E009",
        )
    if not isinstance(expression, F):
        return _computed(totals, name, expression, resolved)
    column, given, origin = value_field(totals, name), resolved.output_field, references.name_of(expression)
    if _family(column) != _family(given):
        raise DeclarationError(
            f"Dimension {name!r} of {totals.__name__} is a {type(column).__name__}, but {origin} is a "
            f"{type(given).__name__}: take the same type, or a function such as TruncDate.",
            id="aggregates.E009",
        )
    if column.max_length and (given.max_length or column.max_length + 1) > column.max_length:
        raise DeclarationError(
            f"Dimension {name!r} of {totals.__name__} holds {column.max_length} characters, but {origin} may "
            "be longer: give it the same max_length.",
            id="aggregates.E009",
        )
    return expression


def _computed(totals: type[Totals], name: str, expression: Any, resolved: Any) -> Combinable:
    """Return a computed dimension as a value of its column's type."""
    column = value_field(totals, name)
    if isinstance(expression, PERIODS) and type(resolved.lhs.output_field) is type(column) is models.DateField:
        return Period(expression, output_field=column)
    if not isinstance(column, models.DateTimeField):
        return Cast(expression, output_field=column)
    if any(isinstance(part, TimezoneMixin) and part.tzinfo is not dt.UTC for part in references.parts(expression)):
        raise DeclarationError(
            f"{name!r} of {totals.__name__} truncates to a datetime in local time, where an hour may come twice: "
            "pass tzinfo=datetime.UTC, or truncate to a date.",
            id="aggregates.E006",
        )
    return Instant(expression, output_field=column) if isinstance(expression, TruncBase) else expression


def contribution(totals: type[Totals], source: type[models.Model], name: str, aggregate: Any) -> Combinable:
    """Return what one row adds to a measure: the argument of its Sum, or one for Count."""
    if not isinstance(aggregate, (Sum, Count)) or getattr(aggregate, "distinct", False):
        raise DeclarationError(
            f"Measure {name!r} of {totals.__name__} is {aggregate!r}: write Sum(…) or Count(…), not distinct. "
            "Only what adds up can be kept by deltas; an average is a sum divided by a count.",
            id="aggregates.E007",
        )
    column = value_field(totals, name)
    zero = Value(0, output_field=column)
    argument: Any = aggregate.source_expressions[0]
    if isinstance(aggregate, Sum):
        _refuse_other_scale(totals, name, column, _resolved(totals, source, name, argument).output_field)
        amount: Combinable = Coalesce(argument, zero, output_field=column)
    else:
        _refuse_other_scale(totals, name, column, models.BigIntegerField())
        amount = Value(1, output_field=column)
        if not isinstance(argument, Star):
            amount = Case(When(IsNull(argument, False), then=amount), default=zero, output_field=column)  # noqa: FBT003
    if aggregate.filter is not None:
        amount = Case(When(aggregate.filter, then=amount), default=zero, output_field=column)
    _resolved(totals, source, name, amount)
    return amount


def condition(totals: type[Totals], source: type[models.Model], where: Q) -> Q:
    """Return the filter, once it is known to depend on the source row alone."""
    if not isinstance(where, Q):
        raise DeclarationError(f"The filter of {totals.__name__} is {where!r}: write where = Q(…).")
    _resolved(totals, source, "where", where)
    return where


def time_zones(expressions: list[Any]) -> frozenset[str]:
    """Return the names of the time zones in which the expressions take dates and times: none without USE_TZ."""
    parts = (part for expression in expressions for part in references.parts(expression))
    names = (part.get_tzname() for part in parts if isinstance(part, TimezoneMixin) and part.tzinfo is not None)
    return frozenset(name for name in names if name is not None)


def _resolved(totals: type[Totals], source: type[models.Model], name: str, expression: Any) -> Any:
    """Return the expression resolved against the source, or raise DeclarationError."""
    try:
        resolved = expression.resolve_expression(models.sql.Query(source))
        references.tables(source, [expression])
    except FieldError as error:
        raise DeclarationError(
            f"{name!r} of {totals.__name__} cannot be computed from a row of {source._meta.label}: {error}. "
            "Take columns of the row itself, or of rows that its foreign keys lead to.",
            id="aggregates.E005",
        ) from error
    if getattr(resolved, "contains_aggregate", False) or getattr(resolved, "contains_over_clause", False):
        raise DeclarationError(
            f"{name!r} of {totals.__name__} is computed over several rows: take columns of the row itself.",
            id="aggregates.E005",
        )
    for part in references.parts(expression):
        if isinstance(part, (Subquery, Now, Random)):
            raise DeclarationError(
                f"{name!r} of {totals.__name__} uses {type(part).__name__}, which changes without a write to the row: "
                "take columns of the row itself.",
                id="aggregates.E005",
            )
        if _depends_on_time_zone(source, part):
            raise DeclarationError(
                f"{name!r} of {totals.__name__} takes a date from a datetime without tzinfo, so one row would fall "
                "into other buckets under another time zone: pass tzinfo=datetime.UTC or a ZoneInfo.",
                id="aggregates.E006",
            )
    return resolved


def _depends_on_time_zone(source: type[models.Model], part: Any) -> bool:
    """Return whether a part takes a date or a time from a datetime in whatever time zone is active."""
    if isinstance(part, F):
        column = references.columns(source, references.name_of(part))[-1]
        if not isinstance(column.field, models.DateTimeField):
            return False
        transforms = [column.field.get_transform(lookup) for lookup in column.lookups]
        return any(transform is not None and issubclass(transform, TimezoneMixin) for transform in transforms)
    if not isinstance(part, TimezoneMixin) or part.tzinfo is not None:
        return False
    function: Any = part  # the stubs know the mixin, not the functions that have it
    resolved = function.resolve_expression(models.sql.Query(source))
    return isinstance(resolved.get_source_expressions()[0].output_field, models.DateTimeField)


def _refuse_other_scale(totals: type[Totals], name: str, column: Any, summed: Any) -> None:
    """Refuse to sum what the column would store with another scale, or not exactly."""
    exact: tuple[type[Any], ...] = (FixedDecimalField, models.IntegerField, models.DecimalField)
    same = any(isinstance(summed, kind) and isinstance(column, kind) for kind in exact)
    # A delta is negative as often as not, and so may one slot's share be.
    if not same or isinstance(column, UNSIGNED):
        raise DeclarationError(
            f"Measure {name!r} of {totals.__name__} is a {type(column).__name__} but sums a {type(summed).__name__}: "
            "take FixedDecimalField for a FixedDecimalField, BigIntegerField for whole numbers.",
            id="aggregates.E008",
        )


def _family(field: models.Field[Any, Any]) -> Any:
    return next((family for family in FAMILIES if isinstance(field, family)), None)
