"""Expenses by arithmetic, made in the server: the same on every machine, however many."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from django.apps import apps
from django.contrib.auth import get_user_model
from django.core.management import call_command
from django.db import DEFAULT_DB_ALIAS, connections, models
from django.db.migrations.state import ProjectState
from django.utils import timezone

from aggregates.models import Run
from aggregates.operations import LeaveRoom
from expenses.models import Category, Expense, ExpenseTotals, Status

MONTHS = [dt.date(year, month, 1) for year in (2024, 2025) for month in range(1, 13)]
STATUSES = (Status.SUBMITTED, Status.APPROVED, Status.REJECTED, Status.REIMBURSED)
CATEGORIES = 12
COARSE = len(MONTHS) * len(STATUSES) * CATEGORIES  # 1,152 buckets by category, status and month
OWNER_GROUPS = 20
DAYS_A_MONTH = 28
ADMIN = 1_000_000  # id of the user who sees everything
NOTHING_MORE: Mapping[str, str] = {}


@dataclass(frozen=True)
class Shape:
    """How many expenses there are, and over how many buckets they are spread."""

    rows: int
    day_buckets: int

    @property
    def month_buckets(self) -> int:
        """Return the number of buckets by owner, category, status and month."""
        return max(self.day_buckets // 10, COARSE)

    @property
    def owners_a_group(self) -> int:
        """Return how many owners share a coarse bucket."""
        return -(-self.month_buckets // COARSE)

    @property
    def owners(self) -> int:
        """Return the number of owners; their ids begin at 1."""
        return self.owners_a_group * OWNER_GROUPS


def dense(rows: int) -> Shape:
    """Return the main data's shape: ten expenses a day bucket, and ten of those a month bucket."""
    return Shape(rows, rows // 10)


def sparse(rows: int) -> Shape:
    """Return a shape of three day buckets to four expenses."""
    return Shape(rows, rows * 3 // 4)


def dimensions(shape: Shape, number: int) -> dict[str, Any]:
    """Return the dimension values of the expense with that number, as ``fill`` computes them."""
    d, m = divmod(number % shape.day_buckets, shape.month_buckets)
    group, coarse = divmod(m, COARSE)
    return {
        "owner_id": 1 + group + shape.owners_a_group * (coarse % OWNER_GROUPS),
        "category_id": 1 + coarse // len(STATUSES) % CATEGORIES,
        "currency": "EUR",
        "spent_on": MONTHS[coarse // (len(STATUSES) * CATEGORIES)] + dt.timedelta(days=(d * 2 + m % 8) % DAYS_A_MONTH),
        "status": STATUSES[m % len(STATUSES)],
    }


def key(number: int) -> str:
    """Return the id of the expense with that number."""
    return f"01900000-0000-7000-8000-{number:012x}"


def migrate(using: str = DEFAULT_DB_ALIAS) -> None:
    """Create the tables of the service and of the benchmarks."""
    for unmigrated in (False, True):  # the benchmarks' tables, which have no migrations, refer to the others
        call_command("migrate", database=using, run_syncdb=unmigrated, verbosity=0, interactive=False)
    # As the migrations of a host do, and the service's have done for its own totals.
    with connections[using].schema_editor() as editor:
        state = ProjectState.from_apps(apps)
        LeaveRoom("RideTotals").database_forwards("benchmarks", editor, state, state)


def people(shape: Shape, using: str = DEFAULT_DB_ALIAS) -> None:
    """Create the owners and categories that expenses of a shape refer to."""
    user = get_user_model()
    user.objects.using(using).bulk_create([user(id=i, username=f"owner-{i}") for i in range(1, shape.owners + 1)])
    Category.objects.using(using).bulk_create([Category(id=i, name=f"Category {i}") for i in range(1, CATEGORIES + 1)])


def fill(
    model: type[models.Model],
    shape: Shape,
    using: str = DEFAULT_DB_ALIAS,
    *,
    first: int = 0,
    extra: Mapping[str, str] = NOTHING_MORE,
) -> None:
    """Insert the rows of a shape, numbered from ``first`` on; totals are left to a rebuild.

    ``extra`` maps further columns to SQL, over the number ``e`` and its places ``d`` and ``m``.
    """
    connection = connections[using]
    words = POSTGRESQL if connection.vendor == "postgresql" else SQLITE
    with connection.cursor() as cursor:
        for before in words.before:
            cursor.execute(before)
        cursor.execute(_insert(model, shape, words, first, extra))
        for after in words.after:
            cursor.execute(after)


@dataclass(frozen=True)
class Words:
    """What two databases say differently; ``e`` is the number of an expense."""

    key: str
    day: str
    stamp: str
    number: str
    before: tuple[str, ...] = ()
    after: tuple[str, ...] = ()


POSTGRESQL = Words(
    key="CAST('01900000-0000-7000-8000-' || LPAD(TO_HEX(e), 12, '0') AS uuid)",
    day="CAST(calendar.day AS date)",
    stamp="CAST('2026-01-01T00:00:00Z' AS timestamptz)",
    number="CAST({} AS bigint)",
    # No check of foreign keys, row by row, of what is right by construction.
    before=("SET session_replication_role = replica",),
    after=("RESET session_replication_role",),
)
SQLITE = Words(
    key="PRINTF('01900000000070008000%012x', e)", day="calendar.day", stamp="'2026-01-01 00:00:00'", number="{}"
)


def _insert(model: type[models.Model], shape: Shape, words: Words, first: int, extra: Mapping[str, str]) -> str:
    columns, values = ("".join(f", {part}" for part in parts) for parts in (extra, extra.values()))
    statuses = " ".join(f"WHEN {i} THEN '{status}'" for i, status in enumerate(STATUSES))
    return f"""
        INSERT INTO {model._meta.db_table} (id, owner_id, category_id, amount, currency, spent_on, status,
                                            description, created_at, updated_at{columns})
        WITH RECURSIVE numbers(e) AS (
            SELECT {words.number.format(first)} UNION ALL SELECT e + 1 FROM numbers WHERE e + 1 < {first + shape.rows}
        ), calendar(month, date, day) AS (VALUES {_calendar()}), placed AS (
            SELECT e, e % {shape.day_buckets} / {shape.month_buckets} AS d,
                   e % {shape.day_buckets} % {shape.month_buckets} AS m FROM numbers
        )
        SELECT {words.key}, 1 + m / {COARSE} + {shape.owners_a_group} * (m % {COARSE} % {OWNER_GROUPS}),
               1 + m % {COARSE} / {len(STATUSES)} % {CATEGORIES}, (e * 7919 % 100000 + 1) * 100, 'EUR', {words.day},
               CASE m % {len(STATUSES)} {statuses} END, 'expense ' || e, {words.stamp}, {words.stamp}{values}
        FROM placed JOIN calendar ON calendar.month = m % {COARSE} / {len(STATUSES) * CATEGORIES}
                                 AND calendar.date = (d * 2 + m % 8) % {DAYS_A_MONTH}
    """


def _calendar() -> str:
    return ", ".join(
        f"({i}, {date}, '{first + dt.timedelta(days=date)}')"
        for i, first in enumerate(MONTHS)
        for date in range(DAYS_A_MONTH)
    )


def create(using: str) -> None:
    """Create the database of another alias, empty, on the same server."""
    if connections[using].vendor == "postgresql":
        _execute(f'CREATE DATABASE "{connections[using].settings_dict["NAME"]}"')
    migrate(using)


def copy(using: str) -> None:
    """Create the database of another alias as a copy of the main one, which nobody may be connected to."""
    name, main = (connections[alias].settings_dict["NAME"] for alias in (using, DEFAULT_DB_ALIAS))
    connections[DEFAULT_DB_ALIAS].close()
    with connections[using]._nodb_cursor() as cursor:
        cursor.execute(f'CREATE DATABASE "{name}" TEMPLATE "{main}" STRATEGY FILE_COPY')


def settle(using: str = DEFAULT_DB_ALIAS) -> None:
    """Let the server do what it would do at leisure: statistics, free space, a checkpoint."""
    with connections[using].cursor() as cursor:
        if connections[using].vendor == "postgresql":
            cursor.execute("VACUUM (ANALYZE)")
            cursor.execute("CHECKPOINT")
        else:
            cursor.execute("ANALYZE")


def empty(totals: type[models.Model], using: str = DEFAULT_DB_ALIAS) -> None:
    """Take all totals away, as nobody but a benchmark should."""
    word = "TRUNCATE" if connections[using].vendor == "postgresql" else "DELETE FROM"
    with connections[using].cursor() as cursor:
        cursor.execute(f"{word} {totals._meta.db_table}")


class Backup:
    """The expenses of some owners and the totals they are in, put back as often as they are deleted."""

    def __init__(self, model: type[models.Model], owners: Iterable[int]) -> None:
        chosen = f"owner_id IN ({', '.join(map(str, owners))})"
        self.rows = _Copy(model, chosen)
        self.totals = _Copy(ExpenseTotals, f"{chosen} OR rollup = 'overview'") if issubclass(model, Expense) else None

    def restore(self) -> None:
        """Put back what is gone, and totals as they were, in their places: that is where writers find them."""
        self.rows.insert()
        if self.totals:
            self.totals.update()

    def drop(self) -> None:
        """Forget the copies."""
        for copy_ in filter(None, (self.rows, self.totals)):
            _execute(f"DROP TABLE {copy_.name}")


class _Copy:
    """Rows of a table in a table of their own."""

    def __init__(self, model: type[models.Model], condition: str) -> None:
        self.table, self.condition = model._meta.db_table, condition
        self.name = f"backup_of_{self.table}"
        _execute(f"CREATE TABLE {self.name} AS SELECT * FROM {self.table} WHERE {condition}")

    def insert(self) -> None:
        """Have the table hold these rows instead of what it has."""
        _execute(f"DELETE FROM {self.table} WHERE {self.condition}")
        _execute(f"INSERT INTO {self.table} SELECT * FROM {self.name}")

    def update(self) -> None:
        """Have the table's own rows hold these amounts, and no others any."""
        others = f"({self.condition}) AND id NOT IN (SELECT id FROM {self.name})"  # slots that writers took since
        _execute(f"UPDATE {self.table} SET amount = 0, count = 0 WHERE {others}")
        _execute(
            f"UPDATE {self.table} SET amount = {self.name}.amount, count = {self.name}.count "
            f"FROM {self.name} WHERE {self.name}.id = {self.table}.id"
        )


def _execute(sql: str, params: Iterable[Any] = ()) -> None:
    with connections[DEFAULT_DB_ALIAS].cursor() as cursor:
        cursor.execute(sql, tuple(params) or None)


def model(name: str) -> type[models.Model]:
    """Return a measured model by its name: ``expense``, ``plain``, ``naive``, ``triggered``."""
    return apps.get_model("expenses", "kept") if name == "expense" else apps.get_model("benchmarks", name)


def now() -> dt.datetime:
    """Return the time, by which runs of the engine are recorded."""
    return timezone.now()


def rebuilt_since(moment: dt.datetime) -> bool:
    """Return whether a run that began at or after a moment is complete."""
    return Run.objects.filter(started_at__gte=moment, state=Run.State.COMPLETE).exists()
