"""Categories, expenses, and the totals kept of them."""

from __future__ import annotations

import datetime as dt
from decimal import Decimal
from typing import Any, ClassVar

from django.conf import settings
from django.core.exceptions import ValidationError
from django.core.validators import MaxValueValidator, MinValueValidator, ProhibitNullCharactersValidator
from django.db import models, router
from django.db.models import Count, F, Q, Sum
from django.db.models.functions import TruncMonth
from uuid_utils.compat import uuid7

from aggregates import instances
from aggregates.definitions import Rollup
from aggregates.fields import FixedDecimalField
from aggregates.models import Totals, Tracked
from expenses import currencies, trail
from expenses.months import Month
from expenses.querysets import ExpenseManager
from expenses.trail import ExpenseImage, ExpenseWrite
from expenses.uploads import ExpenseUpload

__all__ = ["Category", "Expense", "ExpenseImage", "ExpenseTotals", "ExpenseUpload", "ExpenseWrite", "Month", "Status"]

FIRST_DAY = dt.date(1900, 1, 1)
LAST_DAY = dt.date(2099, 12, 31)


def validate_currency(code: str) -> None:
    """Raise ValidationError unless ``code`` is an ISO 4217 currency in use."""
    if code not in currencies.codes():
        raise ValidationError(
            "“%(value)s” is not an ISO 4217 currency code, such as EUR.", code="invalid", params={"value": code}
        )


class Category(models.Model):
    """What money was spent on. Shared by all owners."""

    name = models.CharField(max_length=255, unique=True, validators=[ProhibitNullCharactersValidator()])

    class Meta:
        ordering = ("name",)
        verbose_name_plural = "categories"

    def __str__(self) -> str:
        return self.name


class Status(models.TextChoices):
    """How far an expense has come. Drafts are in no total."""

    DRAFT = "draft"
    SUBMITTED = "submitted"
    APPROVED = "approved"
    REJECTED = "rejected"
    REIMBURSED = "reimbursed"


class Expense(Tracked):
    """One amount of money that somebody spent; a refund is negative.

    Every write is recorded, and raises MonthClosed where it touches a closed month.
    """

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    owner = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.PROTECT, related_name="expenses")
    category = models.ForeignKey(Category, null=True, blank=True, on_delete=models.SET_NULL, related_name="expenses")
    amount = FixedDecimalField(help_text="In major units of the currency. A refund is negative.")
    currency = models.CharField(max_length=3, validators=[validate_currency], help_text="ISO 4217 code, such as EUR.")
    spent_on = models.DateField(
        db_index=True,
        validators=[MinValueValidator(FIRST_DAY), MaxValueValidator(LAST_DAY)],
        help_text="From 1900-01-01 to 2099-12-31.",
    )
    status = models.CharField(
        max_length=10,
        choices=Status.choices,
        default=Status.SUBMITTED,
        help_text="Drafts are in no total.",
    )
    description = models.TextField(blank=True, max_length=10_000, validators=[ProhibitNullCharactersValidator()])
    created_at = models.DateTimeField(auto_now_add=True)
    updated_at = models.DateTimeField(auto_now=True)

    objects: ClassVar[ExpenseManager] = ExpenseManager()

    class Meta(Tracked.Meta):
        ordering = ("-spent_on", "-id")
        permissions = (
            ("view_all_expenses", "Can see everybody's expenses and totals"),
            ("only_read", "Changes nothing through the API, whatever else is permitted"),
        )
        indexes = (models.Index(fields=["owner", "-spent_on", "-id"], name="expense_owner_recent"),)
        constraints = (
            models.CheckConstraint(
                condition=Q(spent_on__gte=FIRST_DAY, spent_on__lte=LAST_DAY), name="expense_spent_on_in_range"
            ),
            models.CheckConstraint(condition=Q(status__in=Status.values), name="expense_status_known"),
        )

    def __str__(self) -> str:
        if not isinstance(self.amount, Decimal):
            return f"{self.amount} {self.currency} on {self.spent_on}"
        return f"{currencies.plain(self.amount, self.currency)} {self.currency} on {self.spent_on}"

    def clean(self) -> None:
        """Refuse an amount with more decimals than its currency has."""
        super().clean()
        if self.amount is None or self.currency not in currencies.codes():
            return  # reported by the field itself
        allowed = currencies.digits(self.currency)
        if currencies.decimals(self.amount) > allowed:
            raise ValidationError(
                {"amount": f"{self.currency} has {allowed} decimals; {self.amount.normalize():f} has more."}
            )

    def _save_table(
        self,
        raw: bool = False,  # noqa: FBT001, FBT002 - Django's signature
        cls: Any = None,
        force_insert: Any = False,  # noqa: FBT002
        force_update: bool = False,  # noqa: FBT001, FBT002
        using: str | None = None,
        update_fields: Any = None,
    ) -> bool:
        """Write the row and record it: every save comes by here, a fixture's too."""
        using = using or router.db_for_write(self.__class__, instance=self)
        with trail.recording(using) as record:
            if not self._inserts:
                record.before_one(self)
            updated = super()._save_table(raw, cls, force_insert, force_update, using, update_fields)
            record.after_one(self)
            return updated

    def delete(self, using: str | None = None, keep_parents: bool = False) -> tuple[int, dict[str, int]]:  # noqa: FBT001, FBT002 - Django's signature
        """Delete the row, record that, and take it out of its totals, in one transaction."""
        using = using or router.db_for_write(self.__class__, instance=self)
        delete = super().delete

        def operation() -> tuple[int, dict[str, int]]:
            with trail.recording(using) as record:
                record.before_one(self)
                return delete(using=using, keep_parents=keep_parents)

        return instances.run(operation, [self], using=using)


class ExpenseTotals(Totals):
    """Sums and counts of expenses that are not drafts, kept exact by every write."""

    owner = models.ForeignKey(
        settings.AUTH_USER_MODEL,
        null=True,
        db_constraint=False,
        on_delete=models.DO_NOTHING,
        related_name="+",
        db_index=False,
    )
    category = models.ForeignKey(
        Category, null=True, db_constraint=False, on_delete=models.DO_NOTHING, related_name="+", db_index=False
    )
    currency = models.CharField(max_length=3, null=True)
    status = models.CharField(max_length=10, null=True)
    day = models.DateField(null=True)
    month = models.DateField(null=True)
    amount = FixedDecimalField(default=Decimal(0))
    count = models.BigIntegerField(default=0)

    class Meta(Totals.Meta):
        # For reads of one owner, and of all. No measure is in an index: its writes could not be HOT.
        indexes = (
            models.Index(fields=["rollup", "owner", "day"], name="expense_totals_by_owner_day"),
            models.Index(fields=["rollup", "day"], name="expense_totals_by_day"),
        )
        verbose_name = "expense total"
        verbose_name_plural = "expense totals"

    class Aggregate:
        source = "expenses.Expense"
        where = ~Q(status=Status.DRAFT)
        dimensions: ClassVar[dict[str, Any]] = {"day": F("spent_on"), "month": TruncMonth("spent_on")}
        measures: ClassVar[dict[str, Any]] = {"amount": Sum("amount"), "count": Count("*")}
        rollups = (
            Rollup("owner", "category", "currency", "status", "day", name="day"),
            Rollup("owner", "category", "currency", "status", "month", name="month"),
            Rollup("category", "currency", "status", "month", slots=16, name="overview"),
        )
