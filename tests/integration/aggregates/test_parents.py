"""Deletes of parents that refuse, of parents that meet in one row, and of a parent of any model."""

from __future__ import annotations

from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import pytest
from django.db import transaction
from django.db.models import ProtectedError, RestrictedError

import aggregates
from tests.integration.aggregates.exactness import assert_exact
from tests.testapp.models import Delivery, Depot, Dock, Label, Sender

pytestmark = pytest.mark.django_db
SEVERAL = "several of these for one row in one delete"


@pytest.fixture
def port() -> SimpleNamespace:
    """Two depots with deliveries of their own, and a dock and a sender that have none."""
    east, west = Depot.objects.create(name="east"), Depot.objects.create(name="west")
    port = SimpleNamespace(
        east=east,
        west=west,
        first=Dock.objects.create(name="first", depot=east),
        spare=Dock.objects.create(name="spare", depot=east),
        other=Dock.objects.create(name="other", depot=west),
        sender=Sender.objects.create(name="regular"),
        stranger=Sender.objects.create(name="stranger"),
    )
    for weight in (1, 2):
        Delivery.objects.create(depot=east, dock=port.first, weight=weight, sender=port.sender)
        Delivery.objects.create(depot=west, dock=port.other, weight=10 * weight)
    return port


def _in_a_batch(delete: Callable[[], Any]) -> None:
    with aggregates.batch():
        delete()


REFUSED: dict[str, Callable[[Any], Any]] = {
    "the instance": lambda parent: parent.delete(),
    "a queryset": lambda parent: type(parent).objects.filter(pk=parent.pk).delete(),
    "a queryset with others that might go": lambda parent: type(parent).objects.all().delete(),
    "the instance, in a batch": lambda parent: _in_a_batch(parent.delete),
}
DELETES = {name: REFUSED[name] for name in ("the instance", "a queryset")}


@pytest.mark.guarantee("RESTRICT", "exact")
@pytest.mark.parametrize("delete", REFUSED.values(), ids=REFUSED)
def test_a_parent_that_restricts_stays_with_its_rows_and_totals(
    port: SimpleNamespace, delete: Callable[[Any], Any]
) -> None:
    with pytest.raises(RestrictedError), transaction.atomic():
        delete(port.first)
    assert (Dock.objects.count(), Delivery.objects.count()) == (3, 4)
    assert_exact()


@pytest.mark.guarantee("PROTECT", "exact")
@pytest.mark.parametrize("delete", REFUSED.values(), ids=REFUSED)
def test_a_parent_that_is_protected_stays_with_its_rows_and_totals(
    port: SimpleNamespace, delete: Callable[[Any], Any]
) -> None:
    with pytest.raises(ProtectedError), transaction.atomic():
        delete(port.sender)
    assert (Sender.objects.count(), Delivery.objects.count()) == (2, 4)
    assert_exact()


@pytest.mark.guarantee("RESTRICT", "exact")
@pytest.mark.guarantee("PROTECT", "exact")
def test_after_a_refusal_the_transaction_goes_on_and_counts_what_follows(port: SimpleNamespace) -> None:
    with transaction.atomic():
        for parent in (port.first, port.sender):
            with pytest.raises((RestrictedError, ProtectedError)):
                parent.delete()
        Delivery.objects.filter(dock=port.first).update(dock=port.spare, sender=None)
        port.first.delete()
        port.sender.delete()
    assert Delivery.objects.filter(dock=port.spare, sender=None).count() == 2
    assert_exact()


@pytest.mark.guarantee("RESTRICT", "exact")
@pytest.mark.parametrize("delete", DELETES.values(), ids=DELETES)
def test_a_parent_that_restricts_goes_where_its_rows_go_by_another_cascade(
    port: SimpleNamespace, delete: Callable[[Depot], Any]
) -> None:
    delete(port.east)
    assert set(Delivery.objects.values_list("weight", flat=True)) == {10, 20}
    assert_exact()


@pytest.mark.guarantee("RESTRICT", "exact")
def test_a_cascade_that_leaves_one_row_of_a_restricting_parent_is_refused_whole(port: SimpleNamespace) -> None:
    Delivery.objects.create(depot=port.west, dock=port.first, weight=5)
    with pytest.raises(RestrictedError), transaction.atomic():
        port.east.delete()
    assert (Depot.objects.count(), Delivery.objects.count()) == (2, 5)
    assert_exact()
    Depot.objects.all().delete()
    assert not Delivery.objects.exists()
    assert_exact()


@pytest.mark.guarantee(SEVERAL, "exact")
def test_a_row_set_to_null_and_deleted_in_one_delete_is_taken_out_once(port: SimpleNamespace) -> None:
    Delivery.objects.create(depot=port.east, dock=port.first, detour=port.spare, weight=100)
    Delivery.objects.create(depot=port.west, dock=port.other, detour=port.spare, weight=200)
    port.east.delete()
    assert list(Delivery.objects.filter(detour=None).order_by("weight").values_list("weight", flat=True)) == [
        10, 20, 200,
    ]  # fmt: skip
    assert_exact()


@pytest.mark.guarantee(SEVERAL, "exact")
def test_a_row_set_to_null_in_many_parents_at_once_moves_once(port: SimpleNamespace) -> None:
    docks = [Dock.objects.create(name=str(n), depot=port.east) for n in range(5)]
    for n, dock in enumerate(docks):
        Delivery.objects.create(depot=port.west, dock=port.other, detour=dock, weight=n)
    Dock.objects.filter(pk__in=[dock.pk for dock in docks]).delete()
    assert not Delivery.objects.exclude(detour=None).exists()
    assert_exact()


LABELS: dict[str, tuple[Callable[[Any, Label, Label], Any], list[str]]] = {
    "add": (lambda labels, mine, other: labels.add(other), ["mine", "other", "second"]),
    "add one by one": (lambda labels, mine, other: labels.add(other, bulk=False), ["mine", "other", "second"]),
    "add of a new one": (
        lambda labels, mine, other: labels.add(Label(text="new"), bulk=False),
        ["mine", "new", "second"],
    ),
    "set": (lambda labels, mine, other: labels.set([mine, other]), ["mine", "other"]),
    "set after clearing": (lambda labels, mine, other: labels.set([other], clear=True), ["other"]),
    "remove": (lambda labels, mine, other: labels.remove(mine), ["second"]),
    "remove one by one": (lambda labels, mine, other: labels.remove(mine, bulk=False), ["second"]),
    "clear": (lambda labels, mine, other: labels.clear(), []),
    "clear one by one": (lambda labels, mine, other: labels.clear(bulk=False), []),
    "create": (lambda labels, mine, other: labels.create(text="new"), ["mine", "new", "second"]),
    "get_or_create": (lambda labels, mine, other: labels.get_or_create(text="new"), ["mine", "new", "second"]),
    "update_or_create": (
        lambda labels, mine, other: labels.update_or_create(text="mine", defaults={"text": "new"}),
        ["new", "second"],
    ),
    "update": (lambda labels, mine, other: labels.update(text="new"), ["new", "new"]),
    "delete": (lambda labels, mine, other: labels.filter(text="mine").delete(), ["second"]),
}  # fmt: skip


@pytest.mark.guarantee("generic relation: add, set, remove, clear, create, update, delete", "exact")
@pytest.mark.parametrize(("write", "left"), LABELS.values(), ids=LABELS)
def test_what_the_manager_of_a_generic_relation_writes_is_counted(
    port: SimpleNamespace, write: Callable[[Any, Label, Label], Any], left: list[str]
) -> None:
    mine, _second = (Label.objects.create(labelled=port.east, text=text) for text in ("mine", "second"))
    other = Label.objects.create(labelled=port.other, text="other")
    write(port.east.labels, mine, other)
    assert sorted(port.east.labels.values_list("text", flat=True)) == left
    assert_exact()


@pytest.mark.guarantee("a generic relation", "exact")
@pytest.mark.parametrize("delete", DELETES.values(), ids=DELETES)
def test_a_parent_of_any_model_takes_its_rows_along(port: SimpleNamespace, delete: Callable[[Depot], Any]) -> None:
    for parent in (port.east, port.east, port.west, port.first):  # a dock knows nothing of its label
        Label.objects.create(labelled=parent, text=parent.name)
    delete(port.east)
    assert sorted(Label.objects.values_list("text", flat=True)) == ["first", "west"]
    assert_exact()
