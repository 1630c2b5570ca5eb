"""The audit trail of expenses: who wrote which, when, from what to what. Rows are only ever added.

Each write has one record, and an image of each of its expenses before and after. Images are copied
within the database, by one statement for all rows.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from django.conf import settings
from django.core.exceptions import EmptyResultSet
from django.db import connections, models, transaction
from django.db.models import Q, Value
from django.utils import timezone
from uuid_utils.compat import uuid7

from aggregates import ledger
from aggregates.fields import FixedDecimalField
from expenses import acting, months

Rows = models.QuerySet[Any]


class ExpenseWrite(models.Model):
    """One write of expenses, however many they were."""

    class Kind(models.TextChoices):
        CREATED = "created"
        CHANGED = "changed"
        DELETED = "deleted"

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    kind = models.CharField(max_length=7, choices=Kind.choices, editable=False)
    at = models.DateTimeField(db_index=True, editable=False)
    actor = models.ForeignKey(
        settings.AUTH_USER_MODEL, null=True, editable=False, on_delete=models.SET_NULL, related_name="+"
    )
    actor_name = models.CharField(max_length=150, blank=True, editable=False, help_text="The username at that time.")
    via = models.CharField(max_length=acting.MAX_LENGTH, editable=False, help_text="The request or the command.")
    expenses = models.PositiveIntegerField(editable=False, help_text="How many it wrote.")

    class Meta:
        ordering = ("-at", "-id")

    def __str__(self) -> str:
        return f"{self.expenses} {self.kind} by {self.actor_name or self.via} at {self.at:%Y-%m-%d %H:%M:%S}"


class RandomId(models.Func):
    """A random UUID, made by the database for each row that it copies.

    Not a number from a counter: on MariaDB whoever copies rows has the table's counter alone until the
    statement ends, and all writers would wait for one who waits for a row.
    """

    output_field = models.UUIDField()
    template = "%(function)s"

    def as_postgresql(self, compiler: Any, connection: Any, **context: Any) -> Any:
        """Compile for PostgreSQL."""
        return self.as_sql(compiler, connection, function="gen_random_uuid()", **context)

    def as_mysql(self, compiler: Any, connection: Any, **context: Any) -> Any:
        """Compile for MariaDB."""
        return self.as_sql(compiler, connection, function="UUID()", **context)

    def as_sqlite(self, compiler: Any, connection: Any, **context: Any) -> Any:
        """Compile for SQLite, where Django stores the digits alone."""
        return self.as_sql(compiler, connection, function="LOWER(HEX(RANDOMBLOB(16)))", **context)


class ExpenseImage(models.Model):
    """An expense as it was before a write, or after it."""

    id = models.UUIDField(primary_key=True, editable=False, db_default=RandomId())
    write = models.ForeignKey(
        ExpenseWrite, editable=False, on_delete=models.CASCADE, related_name="images", db_constraint=False
    )
    after = models.BooleanField(editable=False)
    expense = models.UUIDField(db_index=True, editable=False, help_text="Its id; it may be gone.")
    owner = models.ForeignKey(
        settings.AUTH_USER_MODEL,
        null=True,  # so that a join leaves out none whose owner is gone
        editable=False,
        on_delete=models.DO_NOTHING,
        related_name="+",
        db_constraint=False,
        db_index=False,
    )
    category_id = models.BigIntegerField(null=True, editable=False)
    amount = FixedDecimalField(editable=False)
    currency = models.CharField(max_length=3, editable=False)
    spent_on = models.DateField(editable=False)
    status = models.CharField(max_length=10, editable=False)
    description = models.TextField(blank=True, editable=False)

    def __str__(self) -> str:
        return f"{self.expense} {'after' if self.after else 'before'} {self.write_id}"


# Of an expense, and of its image: the same names, but for the key.
CONTENT = ("owner_id", "category_id", "amount", "currency", "spent_on", "status", "description")


class Recording:
    """A write that is being recorded. Its caller tells it which rows it is about to write, and which it wrote."""

    def __init__(self, using: str) -> None:
        self._using = using
        self._write = uuid7()
        self._before = self._after = 0

    def before(self, rows: Rows) -> Q:
        """Lock rows and take their images; return the condition that they, and no others, meet."""
        self._before += self._copy(rows.select_for_update(), after=False)
        return Q(pk__in=self._images(after=False).values("expense"))

    def after(self, rows: Rows) -> None:
        """Take the images of rows as they are now."""
        self._after += self._copy(rows, after=True)

    def before_one(self, expense: models.Model) -> None:
        """Lock the stored row of an expense and take its image, if there is one."""
        self._before += self._copy_one(expense, after=False)

    def after_one(self, expense: models.Model) -> None:
        """Take the image of the stored row of an expense."""
        self._after += self._copy_one(expense, after=True)

    def end(self) -> None:
        """Record who wrote, if anything was written; raise MonthClosed where a month is closed."""
        if not (self._before or self._after):
            return
        kind = ExpenseWrite.Kind.CHANGED
        if not (self._before and self._after):
            kind = ExpenseWrite.Kind.DELETED if self._before else ExpenseWrite.Kind.CREATED
        user = acting.user()
        ExpenseWrite.objects.using(self._using).create(
            id=self._write,
            kind=kind,
            at=timezone.now(),
            actor=user,
            actor_name=user.get_username() if user else "",
            via=acting.via(),
            expenses=max(self._before, self._after),
        )
        months.require_open(self._days(), self._using)

    def _days(self) -> list[dt.date]:
        """Return the days that the expenses were spent on, before and after."""
        connection = connections[self._using]
        table, to_python = connection.ops.quote_name(ExpenseImage._meta.db_table), models.DateField().to_python
        with connection.cursor() as cursor:
            cursor.execute(
                f"SELECT DISTINCT spent_on FROM {table} WHERE write_id = %s",  # noqa: S608 - a name of ours
                [models.UUIDField().get_db_prep_value(self._write, connection)],
            )
            return [to_python(day) for (day,) in cursor.fetchall()]

    def _images(self, *, after: bool) -> Rows:
        return ExpenseImage.objects.using(self._using).filter(write=self._write, after=after)

    def _copy(self, rows: Rows, *, after: bool) -> int:
        """Copy the rows to images, in the order of their keys; return how many they were."""
        chosen = rows.using(self._using).order_by("pk").values_list(
            Value(self._write, models.UUIDField()), Value(after, models.BooleanField()), "pk", *CONTENT
        )  # fmt: skip
        try:
            text, params = chosen.query.get_compiler(self._using).as_sql()
        except EmptyResultSet:
            return 0
        return self._insert(text, params)

    def _copy_one(self, expense: models.Model, *, after: bool) -> int:
        """Do the same for one row. Django has nothing to compile here: that took longer than running it."""
        connection = connections[self._using]
        quote = connection.ops.quote_name
        columns = ", ".join(map(quote, ("id", *CONTENT)))
        locked = " FOR UPDATE" if connection.features.has_select_for_update and not after else ""
        uuid = models.UUIDField().get_db_prep_value
        return self._insert(
            f"SELECT %s, %s, {columns} FROM {quote(expense._meta.db_table)} WHERE id = %s{locked}",  # noqa: S608 - names of ours
            [uuid(self._write, connection), after, uuid(expense.pk, connection)],
        )

    def _insert(self, text: str, params: Sequence[Any]) -> int:
        quote = connections[self._using].ops.quote_name
        columns = ", ".join(map(quote, ("write_id", "after", "expense", *CONTENT)))
        with connections[self._using].cursor() as cursor:
            cursor.execute(f"INSERT INTO {quote(ExpenseImage._meta.db_table)} ({columns}) {text}", params)
            return int(cursor.rowcount)


@contextmanager
def recording(using: str) -> Iterator[Recording]:
    """Record a write within the open transaction, which an error rolls back as a whole.

    The totals are written last: whoever waits for one waits for nothing else.
    """
    with transaction.mark_for_rollback_on_error(using), ledger.of(using).applier.batching():
        record = Recording(using)
        yield record
        record.end()
