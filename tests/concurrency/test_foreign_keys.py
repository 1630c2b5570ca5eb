"""A parent that moves while writers are between the writes of its children and their commits."""

from __future__ import annotations

import random
from decimal import Decimal
from types import SimpleNamespace

import pytest
from django.db import connection, transaction

from aggregates import batch, transactions
from aggregates.exceptions import UntrackedWrite
from aggregates.testing import assert_totals_match
from tests.concurrency.threads import Gate, together
from tests.testapp.models import Category, Group, Purchase, Shop

pytestmark = pytest.mark.django_db(transaction=True)
MOVES = "a parent that moves while writers are between their write and their commit"


@pytest.fixture
def shopping():
    home, work = Group.objects.create(name="home"), Group.objects.create(name="work", division="office")
    food, tools = Category.objects.create(name="food", group=home), Category.objects.create(name="tools", group=work)
    market, mall = Shop.objects.create(town="Bree"), Shop.objects.create(town="Dale")
    bread = Purchase.objects.create(category=food, shop=market, amount=Decimal("2.50"))
    cheese = Purchase.objects.create(category=food, shop=mall, amount=Decimal("7.25"))
    return SimpleNamespace(**locals())


def bought(shopping):
    Purchase.objects.create(category_id=shopping.food.pk, shop_id=shopping.mall.pk, amount=Decimal(4))


def bought_at_once(shopping):
    Purchase.objects.bulk_create([Purchase(category_id=shopping.food.pk, shop_id=shopping.mall.pk, amount=4)])


def dearer(shopping):
    Purchase.objects.filter(pk=shopping.bread.pk).update(amount=9)


def moved_in(shopping):
    saw = Purchase.objects.create(category_id=shopping.tools.pk, shop_id=shopping.mall.pk, amount=Decimal(30))
    saw.category_id = shopping.food.pk
    saw.save()


def moved_out(shopping):
    mine = Purchase.objects.get(pk=shopping.bread.pk)
    mine.category_id = shopping.tools.pk
    mine.save()


def gone(shopping):
    Purchase.objects.get(pk=shopping.bread.pk).delete()


def drop_some(shopping):
    Purchase.objects.filter(amount=4).delete()


CHILDREN = [bought, bought_at_once, dearer, moved_in, moved_out, gone]


def reparented(shopping):
    mine = Category.objects.get(pk=shopping.food.pk)
    mine.group_id = shopping.work.pk
    mine.save()


def reparented_at_once(shopping):
    Category.objects.filter(name="food").update(group=shopping.work)


def division_renamed(shopping):
    Group.objects.filter(name="home").update(division="private")


def uncategorised(shopping):
    Category.objects.get(pk=shopping.food.pk).delete()


PARENTS = [reparented, reparented_at_once, division_renamed, uncategorised]


@pytest.mark.guarantee(MOVES, "exact")
@pytest.mark.row_locks
@pytest.mark.parametrize("child", CHILDREN)
@pytest.mark.parametrize("parent", [reparented, division_renamed])
@pytest.mark.parametrize("first", ["child", "parent"])
def test_who_writes_second_waits_for_the_first_to_commit(shopping, child, parent, first):
    written = Gate()
    earlier, later = (child, parent) if first == "child" else (parent, child)

    def one():
        with transaction.atomic():
            earlier(shopping)
            written.wait_here()

    def other():
        written.wait_until_reached()
        written.open_when_somebody_waits_for_a_lock()
        transactions.run(lambda: later(shopping))

    together(one, other)
    assert_totals_match()


@pytest.mark.guarantee(MOVES, "exact")
@pytest.mark.row_locks
def test_writers_of_children_do_not_wait_for_each_other(shopping):
    written = Gate()

    def one():
        with transaction.atomic():
            bought(shopping)
            written.wait_here()

    def other():
        written.wait_until_reached()
        try:
            # A batch that does not come to writing its totals shares nothing with the other but the parent.
            with pytest.raises(ZeroDivisionError), batch():
                bought(shopping)
                raise ZeroDivisionError
        finally:
            written.open()

    together(one, other)
    assert_totals_match()


@pytest.mark.guarantee(MOVES, "exact")
def test_many_writers_of_parents_and_children_leave_no_drift(shopping):
    def writer(seed):
        pick = random.Random(seed)

        def run():
            for _ in range(25):
                write = pick.choice([*CHILDREN[:-1], drop_some, *PARENTS[:3]])
                transactions.run(lambda write=write: write(shopping))
                Category.objects.filter(pk=shopping.food.pk).update(group=pick.choice([shopping.home, None]))

        return run

    together(*(writer(seed) for seed in range(3)))
    assert_totals_match()


@pytest.mark.guarantee(
    "a parent written in a REPEATABLE READ transaction", "refused: write it in one that is READ COMMITTED"
)
@pytest.mark.row_locks
def test_a_parent_is_not_moved_by_one_who_does_not_see_all_its_children(shopping):
    statement = "SET TRANSACTION ISOLATION LEVEL REPEATABLE READ"
    if connection.vendor == "mysql":
        statement = "SET SESSION TRANSACTION ISOLATION LEVEL REPEATABLE READ"
    try:
        with pytest.raises(UntrackedWrite, match="READ COMMITTED"), transaction.atomic():
            with connection.cursor() as cursor:
                cursor.execute(statement)
            reparented(shopping)
    finally:
        connection.close()
    assert_totals_match()
