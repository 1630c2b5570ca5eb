"""The figures of the dashboard, read from totals in a constant number of queries. No expense is read."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, fields, replace
from decimal import Decimal
from functools import reduce
from typing import Any

from django.db.models import F, Q, Sum
from django.db.models.functions import Abs

from aggregates import reads
from aggregates.fields import EXACT
from aggregates.reads import Ready
from expenses import comparison, reports
from expenses.dashboard.periods import Span
from expenses.models import ExpenseTotals, Status
from expenses.others import than
from expenses.reports import COUNTED, Question, Selection, behind, following

MOST_CURRENCIES = 3
"""Of how many currencies there are charts. Those with the most expenses come first; the others are a filter away."""
MOST_CATEGORIES = 7
"""How many categories have a colour of their own. What the others add up to has one as well."""
MOST_MOVERS = 6
REST = "rest"
MOST_ROWS = 1000
STATUSES = (Status.SUBMITTED, Status.APPROVED, Status.REIMBURSED, Status.REJECTED)


@dataclass(frozen=True)
class Cell:
    """A sum, in major units of its currency, and the expenses that it is of."""

    amount: Decimal
    count: int
    currency: str
    behind: Selection
    other_than: frozenset[int | None] = frozenset()
    """Categories whose expenses are not among them."""


@dataclass(frozen=True)
class Change:
    """What a currency, or a category, came to in a month, and in the month before."""

    name: str
    now: Cell
    before: Cell

    @property
    def amount(self) -> Decimal:
        """Return the difference."""
        return EXACT.subtract(self.now.amount, self.before.amount)

    @property
    def percent(self) -> Decimal | None:
        """Return the difference in percent of the month before, to one decimal; None where that was nothing."""
        if not self.before.amount:
            return None
        return (self.amount / abs(self.before.amount) * 100).quantize(Decimal("0.1"))


@dataclass(frozen=True)
class Series:
    """What a category came to: in each period, and in all of them."""

    key: int | str | None
    """The category's; None for uncategorised, REST for all that are not among the largest."""
    name: str
    cells: Sequence[Cell]
    total: Cell


@dataclass(frozen=True)
class OfCurrency:
    """Everything about one currency."""

    currency: str
    total: Cell
    starts: Sequence[dt.date]
    """The first days of the periods."""
    periods: Sequence[Cell]
    """What all categories came to in each period."""
    series: Sequence[Series]
    """The largest categories, and last what the others came to."""
    statuses: Sequence[tuple[Status, Cell]]
    movers: Sequence[Change]


@dataclass(frozen=True)
class Figures:
    """All that the dashboard tells of a selection."""

    months: Sequence[Change]
    """By currency, the one with the most expenses first."""
    currencies: Sequence[OfCurrency]
    further: Sequence[Cell]
    """What the currencies without charts came to."""


def read(selection: Selection, span: Span, *, ready: Ready, using: str) -> Figures:
    """Return the figures of a selection; its range is that of ``span``. Raises TotalsNotReady."""
    ranged = replace(selection, date_from=span.low, date_to=span.high)
    source = _Source(ranged, span, ready, using)
    by_status = source.by_status()
    totals = {code: _added(cells.values(), source.of(code)) for code, cells in by_status.items()}
    order = sorted(totals, key=lambda currency: (-totals[currency].count, currency))
    charted = [source.of_currency(code, totals[code], by_status[code]) for code in order[:MOST_CURRENCIES]]
    place = {code: number for number, code in enumerate(order)}
    months = sorted(source.months(), key=lambda change: place.get(change.name, len(place)))
    return Figures(months, charted, [totals[code] for code in order[MOST_CURRENCIES:]])


@dataclass(frozen=True)
class _Source:
    """Where the figures of one selection come from."""

    selection: Selection
    span: Span
    ready: Ready
    using: str

    def of(self, code: str) -> Selection:
        """Return the selection in one currency."""
        return _counted(replace(self.selection, currencies=frozenset({code})))

    def by_status(self) -> dict[str, dict[Status, Cell]]:
        """Return what each currency came to by status."""
        question = _question(self.selection, "status")
        rows, _count = reports.answer(question, using=self.using, ready=self.ready).page(0, MOST_ROWS)
        found: dict[str, dict[Status, Cell]] = {}
        for row in rows:
            found.setdefault(row["currency"], {})[Status(row["status"])] = _cell(row, question, row)
        return found

    def months(self) -> list[Change]:
        """Return what each currency came to in the month that is looked at, and in the one before."""
        question = _question(self._month())
        rows, _count = comparison.compare(question, using=self.using, ready=self.ready).page(0, MOST_ROWS)
        return [_change(row["currency"], row, question) for row in rows]

    def of_currency(self, code: str, total: Cell, statuses: Mapping[Status, Cell]) -> OfCurrency:
        """Return everything about one currency."""
        selection = self.of(code)
        largest = self._largest(selection)
        question = _question(selection, self.span.period)
        rows = {row["start"]: row for row in self._split(question, [key for key, _name in largest])}
        starts = self.span.starts(self.span.period)
        lines = [_Line(question, code, start, rows.get(start, {})) for start in starts]
        series = []
        for number, (key, name) in enumerate(largest):
            cells = [line.of(number, key) for line in lines]
            series.append(Series(key, name, cells, _added(cells, replace(selection, categories=frozenset({key})))))
        others = frozenset(key for key, _name in largest)
        rest = [line.rest(others) for line in lines]
        series.append(Series(REST, "All others", rest, _added(rest, selection)))
        return OfCurrency(
            currency=code,
            total=total,
            starts=starts,
            periods=[line.all for line in lines],
            series=[one for one in series if one.total.count],
            statuses=[(status, statuses.get(status) or _nothing(code, selection)) for status in STATUSES],
            movers=self._movers(code),
        )

    def _largest(self, selection: Selection) -> list[tuple[int | None, str]]:
        """Return keys and names of the categories that the most was spent on."""
        answer = reports.answer(_question(selection, "category"), ("-sum",), using=self.using, ready=self.ready)
        rows, _count = answer.page(0, MOST_CATEGORIES)
        return [(row["category"], _named(row)) for row in rows]

    def _movers(self, code: str) -> list[Change]:
        """Return the categories that changed most from the month before, upwards or downwards."""
        question = _question(replace(self._month(), currencies=frozenset({code})), "category")
        compared = comparison.compare(question, using=self.using, ready=self.ready)
        moved = compared.queryset.exclude(total_sum=F("previous_sum"))
        largest = moved.order_by(Abs(F("total_sum") - F("previous_sum")).desc(), "key_category")
        rows, _count = replace(compared, queryset=largest).page(0, MOST_MOVERS)
        return [_change(_named(row), row, question) for row in rows]

    def _month(self) -> Selection:
        month = self.span.month
        return replace(self.selection, date_from=month, date_to=following("month", month))

    def _split(self, question: Question, categories: Sequence[int | None]) -> list[dict[str, Any]]:
        """Return sum and count of each period, of all and of some categories, which one statement reads."""
        period = question.group_by[0]
        chosen = reports.parts(replace(question, group_by=(period, "category")), self.ready)
        among = [Q(category__isnull=True) if key is None else Q(category=key) for key in categories]
        sums = {f"sum_{number}": Sum("amount", filter=some, default=0) for number, some in enumerate(among)}
        counts = {f"count_{number}": Sum("count", filter=some, default=0) for number, some in enumerate(among)}
        found = (
            reads.rows(ExpenseTotals, chosen, using=self.using)
            .filter(question.restriction())
            .values(start=reports.keys(question, chosen)[f"key_{period}"])
            .annotate(total_sum=Sum("amount"), total_count=Sum("count"), **sums, **counts)
            .order_by("start")
        )
        return list(found[:MOST_ROWS])


@dataclass(frozen=True)
class _Line:
    """One period of a currency: all of it, and what some categories have of it."""

    question: Question
    currency: str
    start: dt.date
    row: Mapping[str, Any]

    @property
    def all(self) -> Cell:
        """Return what all categories came to."""
        return Cell(self._sum(), self.row.get("total_count", 0), self.currency, self._behind({}))

    def of(self, number: int, key: int | None) -> Cell:
        """Return what one category came to."""
        amount, count = self._sum(f"sum_{number}"), self.row.get(f"count_{number}", 0)
        return Cell(amount, count, self.currency, self._behind({"category": key}))

    def rest(self, categories: frozenset[int | None]) -> Cell:
        """Return what the other categories came to."""
        amounts = [self._sum(f"sum_{number}") for number in range(len(categories))]
        counts = [self.row.get(f"count_{number}", 0) for number in range(len(categories))]
        amount = reduce(EXACT.subtract, amounts, self._sum())
        return Cell(amount, self.row.get("total_count", 0) - sum(counts), self.currency, self._behind({}), categories)

    def _sum(self, name: str = "total_sum") -> Decimal:
        amount: Decimal = self.row.get(name, Decimal(0))
        return amount

    def _behind(self, keys: Mapping[str, Any]) -> Selection:
        return behind(self.question, {"currency": self.currency, self.question.group_by[0]: self.start, **keys})


def currencies(owners: frozenset[int] | None, *, ready: Ready, using: str) -> list[str]:
    """Return the currencies in which there are expenses other than drafts, whenever they were."""
    rows, _count = reports.answer(Question(owners=owners), using=using, ready=ready).page(0, MOST_ROWS)
    return [row["currency"] for row in rows]


def totals(selection: Selection, other_than: frozenset[int | None], *, ready: Ready, using: str) -> list[Cell]:
    """Return what a selection comes to by currency, without the expenses of some categories."""
    question = _question(selection)
    chosen = reports.parts(replace(question, group_by=("category",)), ready)
    rows = reads.rows(ExpenseTotals, chosen, using=using).filter(question.restriction()).filter(than(other_than))
    found: Any = rows.values("currency").annotate(sum=Sum("amount"), number=Sum("count")).exclude(number=0)
    ordered = found.order_by("-number", "currency")[:MOST_ROWS]
    return [Cell(row["sum"], row["number"], row["currency"], selection, other_than) for row in ordered]


def _question(selection: Selection, *group_by: str) -> Question:
    """Return the question about a selection, which may be a question itself."""
    given = {field.name: getattr(selection, field.name) for field in fields(Selection)}
    return Question(**given, group_by=group_by)


def _change(name: str, row: Mapping[str, Any], question: Question) -> Change:
    previous = row["previous"]
    return Change(name, _cell(row, question, row), _cell(row, comparison.before(question), previous))


def _cell(row: Mapping[str, Any], question: Question, measures: Mapping[str, Any]) -> Cell:
    return Cell(measures["sum"], measures["count"], row["currency"], behind(question, row))


def _named(row: Mapping[str, Any]) -> str:
    """Return the name of a row's category."""
    if row["category"] is None:
        return "Uncategorised"
    return row["category_name"] or f"{row['category']} (deleted)"


def _added(cells: Iterable[Cell], behind_all: Selection) -> Cell:
    """Return what cells of one currency add up to."""
    first, *others = cells
    amount = reduce(lambda total, cell: EXACT.add(total, cell.amount), others, first.amount)
    return Cell(amount, first.count + sum(cell.count for cell in others), first.currency, behind_all, first.other_than)


def _counted(selection: Selection) -> Selection:
    """Return the selection without drafts, which are in no total."""
    return replace(selection, statuses=COUNTED & (selection.statuses or COUNTED))


def _nothing(code: str, selection: Selection) -> Cell:
    return Cell(Decimal(0), 0, code, selection)
