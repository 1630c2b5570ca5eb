"""Writers against each other, with real commits."""

from __future__ import annotations

import datetime as dt
import random
import threading
import uuid
from decimal import Decimal

import pytest
from django.contrib.auth.models import User
from django.db import IntegrityError, connection, transaction
from django.utils import timezone

from aggregates import batch
from aggregates.fields import FixedDecimalField
from expenses.models import Category, Expense, ExpenseTotals
from tests.concurrency.threads import Gate, stopping_before, together
from tests.exactness import assert_totals_match

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.usefixtures("engine_alone")]


@pytest.fixture
def owner():
    return User.objects.create(username="owner")


@pytest.fixture
def buckets():
    return [Category.objects.create(name=name) for name in "AB"]


def make(owner, **given):
    return Expense.objects.create(
        **{"owner": owner, "amount": Decimal(10), "currency": "EUR", "spent_on": dt.date(2026, 3, 5), **given}
    )


@pytest.mark.guarantee("two saves of one row", "exact")
@pytest.mark.row_locks
@pytest.mark.usefixtures("each_update")
def test_a_save_waits_for_another_of_the_same_expense_and_leaves_no_drift(owner, buckets):
    expense = make(owner, category=buckets[0])
    first_saved = Gate()

    def first():
        mine = Expense.objects.get(pk=expense.pk)
        with transaction.atomic():
            mine.amount = Decimal(100)
            mine.save()
            first_saved.wait_here()

    def second():
        mine = Expense.objects.get(pk=expense.pk)
        first_saved.wait_until_reached()
        mine.category = buckets[1]
        first_saved.open_when_somebody_waits_for_a_lock()
        mine.save()

    together(first, second)
    assert_totals_match()


@pytest.mark.guarantee("two saves of one row", "exact")
@pytest.mark.row_locks
@pytest.mark.usefixtures("each_update")
def test_a_draft_submitted_twice_at_once_is_counted_once(owner):
    expense = make(owner, status="draft")
    first_saved = Gate()

    def first():
        mine = Expense.objects.get(pk=expense.pk)
        with transaction.atomic():
            mine.status = "submitted"
            mine.save()
            first_saved.wait_here()

    def second():
        mine = Expense.objects.get(pk=expense.pk)
        first_saved.wait_until_reached()
        first_saved.open_when_somebody_waits_for_a_lock()
        mine.status = "submitted"
        mine.save()

    together(first, second)
    assert_totals_match()
    assert ExpenseTotals.objects.filter(rollup="day").get().count == 1


@pytest.mark.guarantee("two saves of one row", "exact")
def test_many_changes_of_the_same_expenses_leave_no_drift(owner, buckets):
    expenses = [make(owner, category=buckets[0]) for _ in range(3)]

    def writer(seed):
        pick = random.Random(seed)

        def run():
            for _ in range(25):
                mine = Expense.objects.get(pk=pick.choice(expenses).pk)
                mine.amount = Decimal(pick.randrange(-500, 500)) / 100
                mine.category = pick.choice([*buckets, None])
                mine.status = pick.choice(["draft", "submitted", "approved"])
                mine.save()

        return run

    together(*(writer(seed) for seed in range(4)))
    assert_totals_match()


@pytest.mark.guarantee("moves between buckets, read in every snapshot", "exact")
def test_a_move_between_two_buckets_never_deadlocks_with_its_mirror_image(owner, buckets, settings):
    settings.AGGREGATES = {"RETRIES": 0}  # so that a deadlock is an error, not a retry
    pairs = [make(owner, category=bucket) for bucket in buckets]

    def mover(expense, order):
        def run():
            mine = Expense.objects.get(pk=expense.pk)
            for turn in range(60):
                mine.category = order[turn % 2]
                mine.save()

        return run

    together(mover(pairs[0], buckets[::-1]), mover(pairs[1], buckets))
    assert_totals_match()


@pytest.mark.guarantee("the first write of a bucket by many", "exact")
def test_the_first_writes_of_a_bucket_by_many_at_once_all_count(owner):
    start = threading.Barrier(6)

    def write():
        start.wait()
        make(owner, amount=Decimal("0.01"))

    together(*[write] * 6)
    assert_totals_match()
    assert sum(total.count for total in ExpenseTotals.objects.filter(rollup="overview")) == 6


@pytest.mark.guarantee("update racing an insert or a change that matches", "exact")
@pytest.mark.row_locks
def test_an_update_leaves_out_a_row_inserted_after_it_locked_its_own(owner):
    make(owner)
    before_update = Gate()

    def update():
        # PostgreSQL locks and updates in one statement, before which there is nothing to leave out.
        with stopping_before(("WITH", "UPDATE"), before_update):
            Expense.objects.filter(status="submitted").update(amount=Decimal(7))

    def insert():
        before_update.wait_until_reached()
        make(owner, amount=Decimal(3))
        before_update.open()

    together(update, insert)
    assert_totals_match()
    late = Decimal(7) if connection.vendor == "postgresql" else Decimal(3)
    assert sorted(Expense.objects.values_list("amount", flat=True)) == [late, Decimal(7)]


@pytest.mark.guarantee("a save racing an insert of its key", "exact")
@pytest.mark.row_locks
@pytest.mark.usefixtures("each_update")
def test_a_save_that_meets_a_row_inserted_since_is_tried_again(owner):
    key = uuid.uuid4()
    before_update = Gate()

    def replace():
        day = dt.date(2026, 1, 1)
        mine = Expense(id=key, owner=owner, amount=5, currency="EUR", spent_on=day, created_at=timezone.now())
        mine._state.adding = False  # as a client does that saves what it holds
        # PostgreSQL reads the row by the statement that writes it, so there is nothing to try again.
        with stopping_before(("WITH", "UPDATE"), before_update):
            mine.save()

    def insert():
        before_update.wait_until_reached()
        make(owner, id=key, amount=Decimal(8))
        before_update.open()

    together(replace, insert)
    assert_totals_match()
    assert Expense.objects.get().amount == Decimal(5)


@pytest.mark.guarantee("bulk_create(ignore_conflicts=True) racing an insert", "exact")
@pytest.mark.row_locks
def test_ignored_conflicts_with_a_row_being_inserted_are_not_counted(owner):
    key = uuid.uuid4()
    inserted = Gate()

    def insert():
        with transaction.atomic():
            make(owner, id=key)
            inserted.wait_here()

    def ignore():
        rows = [
            Expense(id=id_, owner=owner, amount=Decimal(2), currency="EUR", spent_on=dt.date(2026, 1, 1))
            for id_ in (key, uuid.uuid4())
        ]
        inserted.wait_until_reached()
        inserted.open_when_somebody_waits_for_a_lock()
        Expense.objects.bulk_create(rows, ignore_conflicts=True)

    together(insert, ignore)
    assert_totals_match()
    assert Expense.objects.count() == 2


@pytest.mark.guarantee("a save racing a delete of its row", "exact")
@pytest.mark.row_locks
@pytest.mark.usefixtures("each_update")
def test_an_expense_deleted_while_another_saves_it_is_not_counted_on(owner):
    expense = make(owner)
    deleted = Gate()

    def delete():
        with transaction.atomic():
            Expense.objects.get(pk=expense.pk).delete()
            deleted.wait_here()

    def save():
        mine = Expense.objects.get(pk=expense.pk)
        deleted.wait_until_reached()
        deleted.open_when_somebody_waits_for_a_lock()
        mine.amount = Decimal(99)
        mine.save()  # the row is gone by then, so Django inserts it anew

    together(delete, save)
    assert_totals_match()
    assert Expense.objects.get().amount == Decimal(99)


@pytest.mark.guarantee("a save racing a delete of its row", "exact")
@pytest.mark.row_locks
@pytest.mark.parametrize("status", ["submitted", "draft"])
def test_a_delete_waits_for_a_save_and_takes_out_what_it_stored(owner, status):
    expense = make(owner)
    saved = Gate()

    def save():
        mine = Expense.objects.get(pk=expense.pk)
        with transaction.atomic():
            mine.amount, mine.status = Decimal(99), status
            mine.save()
            saved.wait_here()

    def delete():
        mine = Expense.objects.get(pk=expense.pk)
        saved.wait_until_reached()
        saved.open_when_somebody_waits_for_a_lock()
        assert mine.delete() == (1, {"expenses.Expense": 1})

    together(save, delete)
    assert_totals_match()
    assert not Expense.objects.exists()


@pytest.mark.guarantee("several writes in one transaction, in opposite orders", "exact")
def test_writes_in_opposite_orders_in_one_transaction_are_tried_again_or_netted(owner, buckets):
    expenses = [make(owner, category=bucket) for bucket in buckets for _ in range(2)]

    def writer(order, seed):
        def run():
            pick = random.Random(seed)
            for _ in range(10):
                with batch():
                    for expense in order:
                        Expense.objects.filter(pk=expense.pk).order_by("pk").update(amount=pick.randrange(100))

        return run

    together(writer(expenses[:2], 1), writer(expenses[2:][::-1], 2))
    assert_totals_match()


def test_a_write_that_fails_leaves_neither_row_nor_total(owner):
    expense = make(owner)
    with pytest.raises(IntegrityError):
        make(owner, id=expense.id)
    assert_totals_match()
    assert Expense.objects.count() == 1


def move_something(pick, expenses, buckets):
    rows = Expense.objects.filter(pk__in=[e.pk for e in pick.sample(expenses, 3)])
    choice = pick.randrange(3)
    if choice == 0:
        rows.update(category=pick.choice(buckets))
    elif choice == 1:
        mine = rows.first()
        mine.amount = FixedDecimalField().to_python(pick.randrange(1000))
        mine.save(update_fields=["amount"])
    else:
        rows.update(status=pick.choice(["draft", "approved"]))


@pytest.mark.guarantee("moves between buckets, read in every snapshot", "exact")
def test_amounts_move_between_buckets_and_every_snapshot_is_exact(owner, buckets):
    expenses = [make(owner, category=buckets[i % 2]) for i in range(8)]
    stop = threading.Event()

    def mover(seed):
        def run():
            pick = random.Random(seed)
            for _ in range(40):
                move_something(pick, expenses, buckets)

        return run

    def reader():
        while not stop.is_set():
            assert_totals_match()

    def movers():
        try:
            together(*(mover(seed) for seed in range(3)))
        finally:
            stop.set()

    together(reader, movers)
    assert_totals_match()
