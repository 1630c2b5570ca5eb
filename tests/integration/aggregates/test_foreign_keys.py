"""Totals by what parents say: a purchase's category's group, a node's parent, the branches of two accounts."""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal
from types import SimpleNamespace
from typing import Any

import pytest
from django.core import management, serializers
from django.db import connection, transaction
from django.db.models import F
from django.db.models.functions import Concat
from django.db.models.signals import post_save, pre_save
from django.test.utils import CaptureQueriesContext
from hypothesis import strategies as st

from aggregates import batch
from aggregates.testing import RandomWrites
from tests.integration.aggregates.conftest import quoted
from tests.integration.aggregates.exactness import assert_exact, stored
from tests.testapp.models import (
    Account,
    Category,
    Group,
    Node,
    NodeTotals,
    Purchase,
    PurchaseTotals,
    Shop,
    Transfer,
    TransferTotals,
)

pytestmark = pytest.mark.django_db
PARENT = "a write of a parent that totals follow a foreign key to"


@pytest.fixture
def shopping() -> SimpleNamespace:
    home = Group.objects.create(name="home", division="private")
    work = Group.objects.create(name="work", division="office")
    food = Category.objects.create(name="food", group=home)
    tools = Category.objects.create(name="tools", group=work)
    market, mall = Shop.objects.create(town="Bree"), Shop.objects.create(town="Dale")
    bread = Purchase.objects.create(category=food, shop=market, amount=Decimal("2.50"))
    cheese = Purchase.objects.create(category=food, shop=mall, amount=Decimal("7.25"))
    saw = Purchase.objects.create(category=tools, shop=mall, amount=Decimal(30))
    gift = Purchase.objects.create(category=None, shop=mall, amount=Decimal(11))
    assert_exact()
    return SimpleNamespace(**locals())


def by_division() -> dict[Any, Decimal]:
    return {division: amounts[0] for (division,), amounts in stored(PurchaseTotals, "division").items()}


def changed(row: Any, **values: Any) -> None:
    for name, value in values.items():
        setattr(row, name, value)
    row.save()


WRITES: dict[str, Callable[[SimpleNamespace], object]] = {
    "save": lambda s: changed(s.food, group=s.work),
    "save of a stale instance": lambda s: (changed(Category.objects.get(pk=s.food.pk), group=None), s.food.save()),
    "save with update_fields": lambda s: (setattr(s.food, "group", s.work), s.food.save(update_fields=["group_id"])),
    "save of something else": lambda s: changed(s.food, name="victuals"),
    "save into the filter": lambda s: changed(s.food, secret=True),
    "save out of the filter": lambda s: (changed(s.food, secret=True), changed(s.food, secret=False)),
    "save of a grandparent": lambda s: changed(s.home, division="leisure"),
    "save of an expression": lambda s: changed(s.home, division=Concat(F("division"), F("name"))),
    "update": lambda s: Category.objects.update(group=s.work),
    "update of grandparents": lambda s: Group.objects.update(division=F("name")),
    "update of some": lambda s: Category.objects.filter(purchases__amount__gt=20).update(group=None),
    "bulk_update": lambda s: (setattr(s.food, "group", s.work), Category.objects.bulk_update([s.food], ["group"])),
    "delete sets NULL": lambda s: s.food.delete(),
    "delete of a grandparent sets NULL": lambda s: s.home.delete(),
    "delete cascades": lambda s: s.mall.delete(),
    "delete of all": lambda s: (Shop.objects.all().delete(), Group.objects.all().delete()),
    "related set": lambda s: s.work.categories.set([s.food]),
    "related clear": lambda s: s.home.categories.clear(),
    "related add": lambda s: s.work.categories.add(s.food, bulk=False),
    "update_or_create": lambda s: Category.objects.update_or_create(name="food", defaults={"group": s.work}),
    "an upsert's twin": lambda s: Shop.objects.bulk_create([Shop(town="Lorien"), Shop(pk=10**6, town="Moria")]),
    "several in a batch": lambda s: moved_in_a_batch(s),
}


def moved_in_a_batch(shopping: SimpleNamespace) -> None:
    with batch():
        changed(shopping.food, group=shopping.work)
        changed(shopping.bread, category=shopping.tools, amount=Decimal(1))
        changed(shopping.work, division="workshop")
        shopping.cheese.delete()


@pytest.mark.guarantee(PARENT, "exact")
@pytest.mark.parametrize("write", WRITES.values(), ids=WRITES)
def test_a_parent_moves_the_sums_of_its_children(shopping: SimpleNamespace, write: Callable[..., object]) -> None:
    write(shopping)
    assert_exact()


def test_the_sums_move_to_where_the_parent_went(shopping: SimpleNamespace) -> None:
    assert by_division() == {"private": Decimal("9.75"), "office": Decimal(30), None: Decimal(11)}
    changed(shopping.food, group=shopping.work)
    assert by_division() == {"office": Decimal("39.75"), None: Decimal(11)}
    changed(shopping.work, division="shed")
    assert by_division() == {"shed": Decimal("39.75"), None: Decimal(11)}
    shopping.work.delete()
    assert by_division() == {None: Decimal("50.75")}


@pytest.mark.guarantee("a write of a child whose totals follow its foreign keys", "exact")
@pytest.mark.parametrize(
    "write",
    [
        lambda s: changed(s.bread, category=s.tools),
        lambda s: changed(s.bread, category=None, shop=s.mall),
        lambda s: changed(s.gift, category=s.food),
        lambda s: s.cheese.delete(),
        lambda s: Purchase.objects.filter(category__group__division="private").update(category=s.tools),
        lambda s: Purchase.objects.filter(shop=s.mall).update(shop=s.market, amount=F("amount") * 2),
        lambda s: Purchase.objects.filter(shop__town="Dale").delete(),
        lambda s: Purchase.objects.bulk_create([Purchase(category=s.food, shop=s.mall, amount=n) for n in range(5)]),
        lambda s: s.tools.purchases.set([s.bread, s.gift]),
    ],
)
def test_a_child_is_summed_where_its_parents_are(shopping: SimpleNamespace, write: Callable[..., object]) -> None:
    write(shopping)
    assert_exact()


def test_a_write_of_a_parent_that_is_rolled_back_moves_nothing(shopping: SimpleNamespace) -> None:
    with transaction.atomic():
        savepoint = transaction.savepoint()
        changed(shopping.food, group=shopping.work)
        transaction.savepoint_rollback(savepoint)
        changed(shopping.bread, amount=Decimal(5))
    assert_exact()
    assert by_division()["office"] == Decimal(30)


def test_a_receiver_may_move_the_parent_while_its_child_is_saved(shopping: SimpleNamespace, receive: Any) -> None:
    receive(pre_save, Purchase, lambda _: changed(shopping.food, group=shopping.work))
    receive(post_save, Purchase, lambda _: changed(shopping.work, division="shed"))
    changed(shopping.bread, amount=Decimal(4), category=shopping.tools)
    assert_exact()


def test_a_receiver_may_write_children_while_their_parent_is_saved(shopping: SimpleNamespace, receive: Any) -> None:
    receive(pre_save, Category, lambda _: shopping.cheese.delete())
    receive(post_save, Category, lambda _: changed(shopping.bread, amount=Decimal(4), category=shopping.tools))
    changed(shopping.food, group=shopping.work)
    assert_exact()


@pytest.mark.guarantee("a fixture whose children come before their parents", "exact")
def test_children_may_be_loaded_before_their_parents(shopping: SimpleNamespace, tmp_path: Any) -> None:
    rows = [*Purchase.objects.all(), *Category.objects.all(), *Shop.objects.all(), *Group.objects.all()]
    fixture = tmp_path / "shopping.json"
    fixture.write_text(serializers.serialize("json", rows))
    for model in (Purchase, Category, Shop, Group):
        model.objects.all().delete()
    assert_exact()
    management.call_command("loaddata", str(fixture), verbosity=0)
    assert_exact()
    assert by_division()["private"] == Decimal("9.75")


def test_a_save_of_a_parent_that_decides_nothing_writes_no_total(
    shopping: SimpleNamespace, django_assert_num_queries: Any
) -> None:
    shopping.food.name = "victuals"
    with transaction.atomic(), django_assert_num_queries(1):
        shopping.food.save(update_fields=["name"])


@pytest.mark.parametrize("rows", [1, 300])
def test_moving_a_parent_costs_the_same_however_many_children_it_has(
    shopping: SimpleNamespace, rows: int, django_assert_max_num_queries: Any
) -> None:
    Purchase.objects.bulk_create([Purchase(category=shopping.food, shop=shopping.mall, amount=n) for n in range(rows)])
    with django_assert_max_num_queries(20):
        changed(shopping.food, group=shopping.work)
    assert_exact()


def test_a_node_is_summed_as_itself_and_for_its_children() -> None:
    root = Node.objects.create(label="root", weight=5)
    left, _ = (Node.objects.create(parent=root, label=label, weight=2) for label in ("left", "right"))
    leaf = Node.objects.create(parent=left, label="leaf", weight=1)
    changed(root, label="trunk", weight=9)
    assert_exact()
    changed(leaf, parent=root)
    Node.objects.filter(label__in=["left", "trunk"]).update(label="same", weight=F("weight") + 1)
    assert_exact()
    assert set(stored(NodeTotals, "above")) == {(None,), ("same",)}
    root.delete()
    assert_exact()
    assert stored(NodeTotals, "above") == {}


@pytest.mark.guarantee("any sequence of writes of parents and children", "exact")
def test_any_sequence_of_writes_of_children_and_parents_leaves_totals_exact(shopping: SimpleNamespace) -> None:
    def one(model: Any, **values: Any) -> Callable[[], Any]:
        return lambda: model.objects.filter(**values).latest("pk")

    RandomWrites(
        new=lambda: Purchase(shop=shopping.market, amount=1),
        values={
            "amount": st.integers(-50, 50),
            "category": [one(Category, name="food"), one(Category, name="tools"), None],
            "shop": [shopping.market, one(Shop, pk=shopping.mall.pk)],
        },
        others={
            "re-parent": lambda: changed(Category.objects.filter(name="food").first() or Category(), group=None),
            "re-parent all": lambda: Category.objects.update(group=Group.objects.first()),
            "rename divisions": lambda: Group.objects.update(division=F("name")),
            "hide": lambda: Category.objects.filter(name="tools").update(secret=True),
            "drop a category": lambda: Category.objects.filter(name="food").delete(),
            "drop a group": lambda: [group.delete() for group in Group.objects.all()[:1]],
            "drop a shop": lambda: Shop.objects.filter(pk=shopping.mall.pk).delete(),
            "move a shop": lambda: changed(shopping.market, town="Dale"),
        },
        check=lambda: assert_exact(PurchaseTotals),
    ).run(examples=30)


@pytest.mark.guarantee("any sequence of writes of parents and children", "exact")
def test_any_sequence_of_writes_of_a_tree_leaves_totals_exact() -> None:
    RandomWrites(
        new=lambda: Node(label="n", weight=1),
        values={
            "label": ["a", "b"],
            "weight": st.integers(-5, 5),
            "parent": [lambda: Node.objects.earliest("pk"), lambda: Node.objects.latest("pk"), None],
        },
        check=lambda: assert_exact(NodeTotals),
    ).run(examples=20)


@pytest.mark.guarantee("any sequence of writes of parents and children", "exact")
def test_any_sequence_of_writes_of_rows_with_two_parents_of_a_kind_leaves_totals_exact() -> None:
    ends = [Account.objects.create(branch=branch) for branch in "AB"]
    RandomWrites(
        new=lambda: Transfer(sender=ends[0], receiver=ends[1], amount=1),
        values={"amount": st.integers(-5, 5), "sender": ends, "receiver": ends},
        others={
            "move one": lambda: changed(ends[0], branch="C"),
            "move both": lambda: Account.objects.update(branch="D"),
            "move both apart": lambda: Account.objects.bulk_update(
                [Account(pk=end.pk, branch=f"{n}") for n, end in enumerate(ends)], ["branch"]
            ),
        },
        check=lambda: assert_exact(TransferTotals),
    ).run(examples=20)


def locks_and_writes(write: Callable[[], object]) -> list[tuple[str, type]]:
    """Return the order in which a write shares, locks and inserts rows, by model."""
    with CaptureQueriesContext(connection) as queries:
        write()
    found = []
    for sql in (query["sql"] for query in queries):
        (model,) = [m for m in (Group, Category, Shop, Purchase) if f"FROM {quoted(m)}" in sql] or [Purchase]
        if sql.endswith(("FOR SHARE", "LOCK IN SHARE MODE")):
            found.append(("share", model))
        elif "FOR UPDATE" in sql:
            found.append(("lock", model))
        elif sql.startswith(f"INSERT INTO {quoted(Purchase)}"):
            found.append(("insert", model))
    return found


@pytest.mark.row_locks
def test_a_new_row_shares_what_it_leads_to_before_it_is_inserted(shopping: SimpleNamespace) -> None:
    new = Purchase(category=shopping.food, shop=shopping.mall, amount=1)
    order = locks_and_writes(new.save)
    assert {("share", Category), ("share", Shop)} == set(order[: order.index(("insert", Purchase))])


@pytest.mark.row_locks
def test_a_row_that_moves_shares_old_and_new_parents_before_it_is_locked(shopping: SimpleNamespace) -> None:
    shopping.bread.category = shopping.tools
    order = locks_and_writes(shopping.bread.save)
    before = order[: order.index(("lock", Purchase))]
    assert before == [("share", Group), ("share", Shop), ("share", Category)]


@pytest.mark.row_locks
def test_a_parent_is_locked_after_what_it_leads_to_and_before_its_children(shopping: SimpleNamespace) -> None:
    shopping.food.group = shopping.work
    order = locks_and_writes(shopping.food.save)
    assert order[: order.index(("lock", Category))] == [("share", Group), ("share", Shop)]
    order = [step for step in locks_and_writes(shopping.mall.delete) if step[0] == "lock"]
    assert order[:2] == [("lock", Shop), ("lock", Purchase)]
