"""The audit trail: every write of expenses is in it, whichever way it came in, and nothing else is."""

from __future__ import annotations

import datetime as dt
import io
import json
import uuid
from decimal import Decimal
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.core.management import call_command
from django.db import connection, transaction
from django.db.models import F, Value
from django.db.models.signals import post_delete, post_save
from django.test.utils import CaptureQueriesContext

from aggregates.fields import FixedDecimalField
from expenses.models import Category, Expense, ExpenseImage, ExpenseWrite
from tests.exactness import assert_totals_match

pytestmark = pytest.mark.django_db
COLUMNS = ("owner_id", "category_id", "amount", "currency", "spent_on", "status", "description")
Content = tuple[Any, ...]


@pytest.fixture
def owner() -> User:
    return User.objects.create_user("olga")


@pytest.fixture
def travel() -> Category:
    return Category.objects.create(name="Travel")


@pytest.fixture
def expense(owner: User) -> Expense:
    """Return an expense whose creation is in no trail."""
    expense = made(owner)
    expense.save()
    ExpenseWrite.objects.all().delete()
    return expense


def made(owner: User, amount: str = "10.00", **values: Any) -> Expense:
    return Expense(
        **{"owner": owner, "amount": Decimal(amount), "currency": "EUR", "spent_on": dt.date(2026, 1, 15), **values}
    )


def content(row: Expense | ExpenseImage) -> Content:
    return tuple(getattr(row, column) for column in COLUMNS)


def stored(key: uuid.UUID) -> Content:
    return content(Expense.objects.get(pk=key))


def trail() -> list[tuple[str, dict[uuid.UUID, Content], dict[uuid.UUID, Content]]]:
    """Return kind, images before and images after of every write, the first one first."""
    found = []
    for write in ExpenseWrite.objects.order_by("at", "id"):
        before, after = (
            {image.expense: content(image) for image in write.images.filter(after=moment)} for moment in (False, True)
        )
        assert write.expenses == len({*before, *after})
        found.append((write.kind, before, after))
    return found


def test_a_new_expense(owner: User) -> None:
    expense = made(owner)
    expense.save()
    assert trail() == [("created", {}, {expense.pk: stored(expense.pk)})]


def test_a_new_expense_with_a_key_that_is_given(owner: User) -> None:
    expense = made(owner, id=uuid.uuid4())
    expense.save(force_insert=True)
    assert trail() == [("created", {}, {expense.pk: stored(expense.pk)})]


def test_a_change_is_recorded_as_the_database_has_it(expense: Expense) -> None:
    before = stored(expense.pk)
    stale = Expense.objects.get(pk=expense.pk)
    Expense.objects.filter(pk=expense.pk).update(description="since then")
    between = stored(expense.pk)
    stale.amount = F("amount") + Value(Decimal("0.50"), output_field=FixedDecimalField())
    stale.spent_on = "2026-02-03"  # type: ignore[assignment]
    stale.save(update_fields=["amount", "spent_on"])
    after = stored(expense.pk)
    assert after[2:5] == (Decimal("10.50"), "EUR", dt.date(2026, 2, 3))
    assert trail() == [
        ("changed", {expense.pk: before}, {expense.pk: between}),
        ("changed", {expense.pk: between}, {expense.pk: after}),
    ]


def test_a_deleted_instance(expense: Expense) -> None:
    key, before = expense.pk, stored(expense.pk)
    expense.delete()
    assert trail() == [("deleted", {key: before}, {})]


def test_deleting_what_is_gone_already_is_no_write(expense: Expense) -> None:
    twin = Expense.objects.get(pk=expense.pk)
    expense.delete()
    twin.delete()
    assert [kind for kind, _, _ in trail()] == ["deleted"]


def test_set_writes(owner: User, travel: Category) -> None:
    expenses = [made(owner, str(number)) for number in range(1, 6)]
    Expense.objects.bulk_create(expenses)
    keys = [expense.pk for expense in expenses]
    Expense.objects.filter(amount__gte=4).update(amount=F("amount") * 2, category=travel)  # the filter fits no more
    Expense.objects.filter(category__name="Travel", amount=8).update(status="approved")
    expenses[0].description = "one"
    expenses[1].description = "two"
    Expense.objects.bulk_update(expenses[:2], ["description"])
    Expense.objects.filter(amount__lt=3).delete()
    Expense.objects.filter(amount=1000).update(amount=1)
    written = trail()
    assert [(kind, len(before), len(after)) for kind, before, after in written] == [
        ("created", 0, 5), ("changed", 2, 2), ("changed", 1, 1), ("changed", 2, 2), ("deleted", 2, 0),
    ]  # fmt: skip
    assert set(written[0][2]) == set(keys)
    assert {key: (b[2], written[1][2][key][2]) for key, b in written[1][1].items()} == {
        keys[3]: (4, 8),
        keys[4]: (5, 10),
    }
    assert [after[5] for after in written[2][2].values()] == ["approved"]
    assert set(written[4][1]) == set(keys[:2])
    assert replayed() == now()
    assert_totals_match()


def replayed() -> dict[uuid.UUID, Content]:
    """Return what the trail says that there is; check that each image before is the one after the write before."""
    rows: dict[uuid.UUID, Content] = {}
    for _kind, before, after in trail():
        assert {key: rows.pop(key) for key in before} == before
        rows |= after
    return rows


def now() -> dict[uuid.UUID, Content]:
    return {row.pk: content(row) for row in Expense.objects.all()}


def test_rows_that_conflict_are_in_no_trail(owner: User, expense: Expense) -> None:
    fresh = made(owner)
    Expense.objects.bulk_create([made(owner, "99", id=expense.pk), fresh], ignore_conflicts=True)
    assert trail() == [("created", {}, {fresh.pk: stored(fresh.pk)})]


@pytest.mark.skipif(connection.vendor == "mysql", reason="does not say which unique fields decide")
def test_an_upsert_shows_both(owner: User, expense: Expense) -> None:
    fresh, before = made(owner), stored(expense.pk)
    Expense.objects.bulk_create(
        [made(owner, "99", id=expense.pk), fresh], update_conflicts=True, unique_fields=["id"], update_fields=["amount"]
    )
    keys = (expense.pk, fresh.pk)
    assert trail() == [("changed", {expense.pk: before}, {key: stored(key) for key in keys})]


def test_a_deleted_category_changes_its_expenses(owner: User, travel: Category) -> None:
    expenses = [made(owner, category=travel), made(owner)]
    Expense.objects.bulk_create(expenses)
    travel.delete()
    [_, (kind, before, after)] = trail()
    assert (kind, set(before), set(after)) == ("changed", {expenses[0].pk}, {expenses[0].pk})
    assert after[expenses[0].pk] == stored(expenses[0].pk)
    assert replayed() == now()


def test_a_related_managers_writes(owner: User, travel: Category, expense: Expense) -> None:
    travel.expenses.add(expense)
    travel.expenses.clear()
    owner.expenses.create(amount=1, currency="EUR", spent_on=dt.date(2026, 1, 1))
    assert [kind for kind, _, _ in trail()] == ["changed", "changed", "created"]


def test_a_fixture(owner: User, expense: Expense, tmp_path: Any) -> None:
    out = io.StringIO()
    call_command("dumpdata", "expenses.expense", stdout=out)
    [row] = json.loads(out.getvalue())
    row["fields"]["description"] = "from a file"
    path = tmp_path / "rows.json"
    path.write_text(json.dumps([row, {**row, "pk": str(uuid.uuid4())}]))
    call_command("loaddata", str(path), verbosity=0)
    assert [(kind, len(before), len(after)) for kind, before, after in trail()] == [
        ("changed", 1, 1),
        ("created", 0, 1),
    ]
    assert_totals_match()


def test_what_is_rolled_back_is_in_no_trail(owner: User, expense: Expense) -> None:
    class Stop(Exception):
        pass

    with pytest.raises(Stop), transaction.atomic():
        expense.amount = Decimal(7)
        expense.save()
        Expense.objects.update(amount=8)
        raise Stop
    assert trail() == []


def test_a_host_that_listens_to_deletes_changes_nothing(owner: User, expense: Expense) -> None:
    """Django then deletes row by row, and says so once a row."""
    Expense.objects.bulk_create([made(owner) for _ in range(2)])
    heard: list[Any] = []

    def hear(instance: Expense, **_signal: Any) -> None:
        heard.append(instance)

    post_delete.connect(hear, sender=Expense)
    try:
        Expense.objects.all().delete()
    finally:
        post_delete.disconnect(hear, sender=Expense)
    assert len(heard) == 3
    assert [(kind, len(before)) for kind, before, _ in trail()] == [("created", 0), ("deleted", 3)]
    assert_totals_match()


def test_a_receiver_that_saves_again_leaves_two_writes(owner: User) -> None:
    def again(instance: Expense, created: bool, **_signal: Any) -> None:
        if created:
            instance.description = "noted"
            instance.save()

    post_save.connect(again, sender=Expense)
    try:
        made(owner).save()
    finally:
        post_save.disconnect(again, sender=Expense)
    assert [kind for kind, _, _ in trail()] == ["created", "changed"]
    assert replayed() == now()
    assert_totals_match()


def test_a_set_write_takes_the_same_number_of_statements_however_many_rows(owner: User) -> None:
    def statements(rows: int) -> list[int]:
        expenses = [made(owner, description=str(rows)) for _ in range(rows)]
        mine = Expense.objects.filter(description=str(rows))
        counts = []
        for write in (
            lambda: Expense.objects.bulk_create(expenses),
            lambda: mine.update(amount=3),
            mine.delete,
        ):
            with CaptureQueriesContext(connection) as queries:
                write()
            counts.append(len(queries))
        return counts

    statements(1)  # the month's row, and what is looked up once a process
    assert statements(2) == statements(90)  # of more, Django makes several INSERTs on SQLite


def test_a_command_is_named(owner: User, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.argv", ["/somewhere/manage.py", "import_expenses", "secret-file.csv"])
    made(owner).save()
    write = ExpenseWrite.objects.get()
    assert (write.via, write.actor, write.actor_name) == ("manage.py import_expenses", None, "")


def test_who_has_written_may_be_deleted(owner: User, expense: Expense) -> None:
    somebody = User.objects.create_user("gone")
    write = ExpenseWrite.objects.create(
        kind="changed", at="2026-01-01T00:00Z", actor=somebody, actor_name="gone", via="x", expenses=1
    )
    somebody.delete()
    write.refresh_from_db()
    assert (write.actor, write.actor_name) == (None, "gone")
