"""Questions about sums of expenses, answered from the totals alone."""

from __future__ import annotations

import datetime as dt
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from decimal import Decimal
from fractions import Fraction
from typing import Any

from django.contrib.auth import get_user_model
from django.db import DEFAULT_DB_ALIAS, models
from django.db.models import Case, Count, F, Func, Q, QuerySet, Sum, Value, When, Window
from django.db.models.functions import Cast, Now, NullIf, TruncMonth, TruncQuarter, TruncYear

from aggregates import reads
from aggregates.reads import Part, Ready
from expenses import currencies
from expenses.models import ExpenseTotals, Status

PERIODS = ("day", "month", "quarter", "year")
KEYS = ("owner", "category", "currency", "status", *PERIODS)
MEASURES = ("sum", "average", "count")
# Drafts are in no total.
COUNTED = frozenset(Status.values) - {str(Status.DRAFT)}


@dataclass(frozen=True)
class Selection:
    """Which expenses are meant. None is no restriction; in ``categories`` it is uncategorised.

    ``date_from`` is inclusive, ``date_to`` exclusive.
    """

    owners: frozenset[int] | None = None
    categories: frozenset[int | None] | None = None
    currencies: frozenset[str] | None = None
    statuses: frozenset[str] | None = None
    date_from: dt.date | None = None
    date_to: dt.date | None = None

    def __post_init__(self) -> None:
        if self.date_from and self.date_to and self.date_from >= self.date_to:
            raise ValueError(f"A range ends after it begins: {self.date_from} … {self.date_to} is empty.")

    def condition(self, date: str) -> Q:
        """Return the selection as a condition, given the name of the column that holds the date."""
        condition = self.restriction()
        if self.date_from:
            condition &= Q((f"{date}__gte", self.date_from))
        if self.date_to:
            condition &= Q((f"{date}__lt", self.date_to))
        return condition

    def restriction(self) -> Q:
        """Return the selection, but for its range, as a condition."""
        condition = Q()
        for column, allowed in self.restrictions().items():
            found = Q((f"{column}__in", [value for value in allowed if value is not None]))
            condition &= found | Q((f"{column}__isnull", True)) if None in allowed else found
        return condition

    def restrictions(self) -> dict[str, frozenset[Any]]:
        """Return the allowed values of each restricted column but the date."""
        columns = {
            "owner": self.owners,
            "category": self.categories,
            "currency": self.currencies,
            "status": self.statuses,
        }
        return {column: allowed for column, allowed in columns.items() if allowed is not None}


@dataclass(frozen=True)
class Question(Selection):
    """By which keys the selected expenses are summed. The currency is always one of them."""

    group_by: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        super().__post_init__()
        if unknown := set(self.group_by) - set(KEYS):
            raise ValueError(f"group_by takes {', '.join(KEYS)}, not {', '.join(sorted(unknown))}.")
        if len(set(self.group_by)) != len(self.group_by):
            raise ValueError("group_by names a key twice: name each once.")

    @property
    def keys(self) -> tuple[str, ...]:
        """Return the grouped keys, the currency last where it was not asked for."""
        return self.group_by if "currency" in self.group_by else (*self.group_by, "currency")

    @property
    def columns(self) -> tuple[str, ...]:
        """Return the names of a row's values, in order: keys, their names, measures."""
        named = [column for key in self.keys for column in (key, f"{key}_name") if column in _NAMES or column == key]
        return (*named, *MEASURES)


_NAMES = {"owner_name": "owner__username", "category_name": "category__name"}


def parts(question: Question, ready: Ready) -> list[Part]:
    """Return which rows of which rollups answer a question, each the smallest that can.

    Whole months come from a rollup by month, and what the range has of other months from days; days
    alone answer where days are asked for or no rollup by month is ready. Raises TotalsNotReady where
    the ready rollups cannot answer.
    """
    base = {*question.restrictions(), *question.keys} - set(PERIODS)
    low, high = question.date_from, question.date_to
    if not (low or high or set(PERIODS) & set(question.group_by)):
        return [Part(ready.smallest(base)[0])]
    first, last = low and _month_from(low), high and high.replace(day=1)
    months = "day" not in question.group_by and (first is None or last is None or first < last)
    by_month, by_day = base | {"month"}, base | {"day"}
    rollup, chosen = ready.smallest(*([by_month, by_day] if months else [by_day]))
    if "day" in chosen:
        return [Part(rollup, "day", low, high)]
    edges = [edge for edge in ((low, first), (last, high)) if edge[0] != edge[1]]
    return [Part(rollup, "month", first, last), *(Part(ready.smallest(by_day)[0], "day", *edge) for edge in edges)]


def _month_from(day: dt.date) -> dt.date:
    """Return the first day, from the given one on, that a month begins with."""
    return day if day.day == 1 else following("month", day)


@dataclass(frozen=True)
class Answer:
    """The rows that answer a question: read page by page or as a stream, never all at once."""

    question: Question
    queryset: QuerySet[Any, dict[str, Any]]

    def page(self, offset: int, limit: int) -> tuple[list[dict[str, Any]], int]:
        """Return at most ``limit`` rows from ``offset`` on, and the number of all rows.

        Both come from one statement, so they agree; past the last row the number is 0.
        """
        counted = self.queryset.annotate(row_count=Window(Count("*")))
        found = list(counted[offset : offset + limit])
        return [self.row(values) for values in found], found[0]["row_count"] if found else 0

    def stream(self) -> Iterator[dict[str, Any]]:
        """Yield every row."""
        return (self.row(values) for values in self.queryset.iterator(chunk_size=1000))

    def row(self, values: Mapping[str, Any]) -> dict[str, Any]:
        """Return one row: keys and names; periods by their first day; sum and average in major units."""
        row = {column: values[f"key_{column}"] for column in self.question.columns if column not in MEASURES}
        return {**row, **measured(values["total_sum"], values["total_count"], row["currency"])}


def answer(
    question: Question, ordering: Sequence[str] = (), *, using: str = DEFAULT_DB_ALIAS, ready: Ready | None = None
) -> Answer:
    """Return the totals that answer a question, from the smallest ready rollups; no expense is read.

    ``ordering`` names columns of the answer, ``-`` before one for descending order, nulls lowest;
    what it leaves open is settled by the keys. Buckets without expenses are left out. ``ready`` is for
    who has several questions. Raises TotalsNotReady where no ready rollup can answer.
    """
    chosen = parts(question, ready or reads.ready(ExpenseTotals, using=using))
    queryset = (
        reads.rows(ExpenseTotals, chosen, using=using)
        .filter(question.restriction())
        .values(**keys(question, chosen))
        .annotate(total_sum=Sum("amount"), total_count=Sum("count"))
        .exclude(total_count=0)
        .order_by(*_ordering(question, ordering))
    )
    return Answer(question, queryset)


def behind(question: Question, row: Mapping[str, Any]) -> Selection:
    """Return the selection of the very expenses that a row of the answer sums."""
    selection = Selection(
        owners=frozenset({row["owner"]}) if "owner" in row else question.owners,
        categories=frozenset({row["category"]}) if "category" in row else question.categories,
        currencies=frozenset({row["currency"]}),
        statuses=frozenset({row["status"]}) if "status" in row else COUNTED & (question.statuses or COUNTED),
        date_from=question.date_from,
        date_to=question.date_to,
    )
    for period in set(PERIODS) & set(row):
        first, last = row[period], following(period, row[period])
        selection = replace(
            selection,
            date_from=max(first, selection.date_from or first),
            date_to=min(last, selection.date_to or last),
        )
    return selection


def following(period: str, first: dt.date) -> dt.date:
    """Return the first day of the next day, month, quarter or year."""
    if period == "day":
        return first + dt.timedelta(days=1)
    months = {"month": 1, "quarter": 3, "year": 12}[period]
    year, month = divmod(first.year * 12 + first.month - 1 + months, 12)
    return dt.date(year, month + 1, 1)


def measured(total: Decimal, count: int, currency: str) -> dict[str, Any]:
    """Return the measures of a row: sum and average in major units, and count. Of nothing there is no average."""
    return {"sum": total, "average": average(total, count, currency) if count else None, "count": count}


def average(total: Decimal, count: int, currency: str) -> Decimal:
    """Return the sum divided by the count, half to even at the currency's digits, in exact arithmetic."""
    digits = currencies.digits(currency)
    return Decimal(round(Fraction(total) * 10**digits / count)).scaleb(-digits)


def keys(question: Question, chosen: Sequence[Part]) -> dict[str, Any]:
    """Return what the keys of an answer, and their names, are in the rows of the chosen parts."""
    return {f"key_{column}": _key(column, chosen) for column in question.columns if column not in MEASURES}


def _key(column: str, chosen: Sequence[Part]) -> Any:
    """Return what a column of the answer is in the rows of the chosen parts."""
    if column in ("owner", "category"):
        return F(f"{column}_id")
    if column not in PERIODS:
        return F(_NAMES.get(column, column))
    *others, (_rollup, last) = {part.rollup.name: _period(column, part.dimension) for part in chosen}.items()
    if not others:
        return last
    # PostgreSQL truncates a date to a timestamp, which one among dates makes of them all.
    return Cast(Case(*(When(rollup=name, then=period) for name, period in others), default=last), models.DateField())


def _period(column: str, dimension: str) -> Any:
    """Return the first day of a row's day, month, quarter or year, made from one of its dimensions."""
    made = {"month": TruncMonth, "quarter": TruncQuarter, "year": TruncYear}
    return F(column) if column == dimension else made[column](dimension, output_field=models.DateField())


class _SortKey(Func):
    """A column of the answer to sort by, which each database wants to be told in another way.

    MariaDB takes rows read in the order of an index for sorted, also after it counted them.
    PostgreSQL takes two expressions for different where their values are sent apart from the text.
    """

    template = "%(expressions)s"
    arity = 1

    def __init__(self, column: str) -> None:
        super().__init__(F(column))
        self.column = column

    def as_postgresql(self, compiler: Any, connection: Any, **_context: Any) -> tuple[str, Any]:
        """Compile to the name of the column."""
        return connection.ops.quote_name(self.column), ()

    def as_mysql(self, compiler: Any, connection: Any, **_context: Any) -> tuple[str, Any]:
        """Compile to an expression that no index is in the order of."""
        return self.as_sql(compiler, connection, template="COALESCE(%(expressions)s)")


def measures(prefix: str) -> dict[str, Any]:
    """Return what the measures of an answer are to sort by, given how the annotations begin that hold them."""
    total, count = f"{prefix}_sum", f"{prefix}_count"
    quotient = Cast(total, models.FloatField()) / NullIf(Cast(count, models.FloatField()), Value(0.0))
    return {"sum": F(total), "count": F(count), "average": quotient}


def ordered(question: Question, ordering: Collection[str], columns: Mapping[str, Any]) -> list[Any]:
    """Return the order of an answer's rows, nulls lowest, settled by the keys.

    ``columns`` holds what each column is to sort by that is neither key nor name.
    """
    by: dict[str, Any] = {}
    for term in (*ordering, *question.keys):
        column = term.removeprefix("-")
        expression = columns.get(column) or _SortKey(f"key_{column}")
        by.setdefault(
            column, expression.desc(nulls_last=True) if term.startswith("-") else expression.asc(nulls_first=True)
        )
    return list(by.values())


def _ordering(question: Question, ordering: Collection[str]) -> list[Any]:
    return ordered(question, ordering, measures("total"))


def database_time(user_id: Any, using: str = DEFAULT_DB_ALIAS) -> dt.datetime:
    """Return the database's present time, asked beside a row that certainly exists: the user's own."""
    users = get_user_model()._default_manager.using(using).filter(pk=user_id)
    now: dt.datetime = users.values_list(Now(), flat=True).get()
    return now
