"""A many-to-many whose through model is a source: its rows are written by the managers of either end."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from asgiref.sync import async_to_sync
from django.db import IntegrityError, models, transaction
from django.db.models.signals import m2m_changed

from tests.integration.aggregates.exactness import assert_exact
from tests.testapp.models import Driver, Pairing, Shift, Truck

pytestmark = pytest.mark.django_db
MANAGER = "many-to-many, its through model a source: add, set, remove, clear, create"
SYMMETRICAL = "many-to-many to the same model, symmetrical"
ENDS = "either end of a many-to-many"


class End:
    """One end of shifts: an object, its manager, and what is at the other end of it."""

    def __init__(self, near: type[models.Model], far: type[models.Model], manager: str) -> None:
        self._near = near._meta.model_name
        self._far = far._meta.model_name
        self.object, elsewhere = near._default_manager.create(name="near"), near._default_manager.create(name="other")
        self.present, self.twice, self.absent = (
            far._default_manager.create(name=name) for name in ("present", "twice", "absent")
        )
        self.manager = getattr(self.object, manager)
        self.shift(self.object, self.present, hours=8)
        self.shift(self.object, self.twice, hours=4)
        self.shift(self.object, self.twice, hours=6, night=True)
        self.shift(elsewhere, self.present, hours=5)
        self.elsewhere = elsewhere

    def shift(self, near: Any, far: Any, **values: Any) -> Shift:
        return Shift.objects.create(**{str(self._near): near, str(self._far): far}, **values)

    def hours(self) -> list[int]:
        """Return the hours of every shift of the object, by night too."""
        return sorted(Shift.objects.filter(**{str(self._near): self.object}).values_list("hours", flat=True))


@pytest.fixture(params=["from one side", "from the other"])
def end(request: pytest.FixtureRequest) -> End:
    return End(Truck, Driver, "drivers") if request.param == "from one side" else End(Driver, Truck, "trucks")


def _one_by_one(end: End) -> None:
    for _ in range(2):
        end.manager.add(end.absent)


def _awaited(end: End) -> None:
    async_to_sync(end.manager.aadd)(end.absent, through_defaults={"hours": 1})
    async_to_sync(end.manager.aremove)(end.present)
    async_to_sync(end.manager.acreate)(name="new", through_defaults={"hours": 2})
    async_to_sync(end.manager.aset)([end.absent, end.present])
    async_to_sync(end.manager.aget_or_create)(name="newer", through_defaults={"hours": 3})
    async_to_sync(end.manager.aupdate_or_create)(name="newest", through_defaults={"hours": 4})


WRITES: dict[str, tuple[Callable[[End], Any], list[int]]] = {
    "add": (lambda end: end.manager.add(end.present, end.absent), [4, 6, 8, 8]),
    "add by key": (lambda end: end.manager.add(end.present.pk, str(end.absent.pk)), [4, 6, 8, 8]),
    "add the same twice at once": (lambda end: end.manager.add(end.absent, end.absent), [4, 6, 8, 8]),
    "add the same twice": (_one_by_one, [4, 6, 8, 8]),
    "add with defaults": (
        lambda end: end.manager.add(end.absent, through_defaults={"hours": 3, "night": True}),
        [3, 4, 6, 8],
    ),
    "add with a default that is called": (
        lambda end: end.manager.add(end.absent, through_defaults={"hours": lambda: 9}),
        [4, 6, 8, 9],
    ),
    "add nothing": (lambda end: end.manager.add(), [4, 6, 8]),
    "set": (lambda end: end.manager.set([end.twice, end.absent]), [4, 6, 8]),
    "set with defaults": (
        lambda end: end.manager.set([end.present, end.absent], through_defaults={"hours": 1}),
        [1, 8],
    ),
    "set after clearing": (
        lambda end: end.manager.set([end.present, end.absent], clear=True, through_defaults={"hours": 2}),
        [2, 2],
    ),
    "set to what its own queryset selects": (lambda end: end.manager.set(end.manager.filter(name="twice")), [4, 6]),
    "set to nothing": (lambda end: end.manager.set([]), []),
    "remove": (lambda end: end.manager.remove(end.present), [4, 6]),
    "remove what is there twice": (lambda end: end.manager.remove(end.twice.pk, end.absent), [8]),
    "clear": (lambda end: end.manager.clear(), []),
    "create": (lambda end: end.manager.create(name="new", through_defaults={"hours": 2}), [2, 4, 6, 8]),
    "get_or_create of what is there": (lambda end: end.manager.get_or_create(name="present"), [4, 6, 8]),
    "get_or_create": (lambda end: end.manager.get_or_create(name="new"), [4, 6, 8, 8]),
    "update_or_create": (
        lambda end: end.manager.update_or_create(name="new", through_defaults={"hours": 1}),
        [1, 4, 6, 8],
    ),
    "the async twins": (_awaited, [1, 3, 4, 8]),
    "delete what is at the other end": (lambda end: end.manager.filter(name="twice").delete(), [8]),
    "update of the through rows": (lambda end: end.object.shifts.update(hours=7), [7, 7, 7]),
}


@pytest.mark.guarantee(MANAGER, "exact")
@pytest.mark.parametrize(("write", "left"), WRITES.values(), ids=WRITES)
def test_what_a_manager_of_either_end_writes_is_counted(end: End, write: Callable[[End], Any], left: list[int]) -> None:
    write(end)
    assert end.hours() == left
    assert Shift.objects.filter(hours=5).exists()
    assert_exact()


@pytest.mark.guarantee(MANAGER, "exact")
def test_what_was_fetched_before_does_not_decide_what_is_written(end: End) -> None:
    (near,) = type(end.object)._default_manager.prefetch_related(end.manager.prefetch_cache_name).filter(name="near")
    manager = getattr(near, end.manager.prefetch_cache_name)
    Shift.objects.filter(hours=8).delete()
    manager.set([end.present, end.absent])
    assert_exact()


@contextmanager
def _listening(function: Callable[[str], None]) -> Iterator[None]:
    def receiver(action: str, **_signal: object) -> None:
        function(action)

    m2m_changed.connect(receiver, sender=Shift)
    try:
        yield
    finally:
        m2m_changed.disconnect(receiver, sender=Shift)


def _add_and_remove(end: End) -> None:
    end.manager.add(end.absent)
    end.manager.remove(end.present)
    end.manager.clear()


@pytest.mark.guarantee(MANAGER, "exact")
def test_a_receiver_of_the_relation_writes_and_totals_stay_exact(end: End) -> None:
    heard: list[str] = []

    def write(action: str) -> None:
        heard.append(action)
        end.shift(end.elsewhere, end.absent, hours=len(heard))
        Shift.objects.filter(hours__lt=3).update(hours=40)

    with _listening(write):
        _add_and_remove(end)
    assert heard == [f"{when}_{what}" for what in ("add", "remove", "clear") for when in ("pre", "post")]
    assert_exact()


@pytest.mark.guarantee(MANAGER, "exact")
@pytest.mark.parametrize("refused", ["pre_add", "post_add", "post_remove", "post_clear"])
def test_a_receiver_of_the_relation_that_raises_undoes_the_write_and_its_totals(end: End, refused: str) -> None:
    def refuse(action: str) -> None:
        if action == refused:
            raise ZeroDivisionError

    with _listening(refuse), pytest.raises(ZeroDivisionError), transaction.atomic():
        _add_and_remove(end)
    assert end.hours() == [4, 6, 8]
    assert_exact()


@pytest.mark.guarantee(MANAGER, "exact")
def test_a_row_that_the_database_refuses_leaves_no_trace(end: End) -> None:
    with pytest.raises(IntegrityError), transaction.atomic():
        end.manager.set([end.absent], through_defaults={"hours": None})
    assert end.hours() == [4, 6, 8]
    assert_exact()


DELETES: dict[str, tuple[Callable[[End], Any], list[int]]] = {
    "an instance": (lambda end: end.object.delete(), [5]),
    "an instance at the other end": (lambda end: end.present.delete(), [4, 6]),
    "a queryset": (lambda end: type(end.object)._default_manager.filter(name="near").delete(), [5]),
    "a queryset of the other end": (lambda end: type(end.twice)._default_manager.all().delete(), []),
    "one after the other": (lambda end: (end.present.delete(), end.object.delete()), []),
}


@pytest.mark.guarantee(ENDS, "exact")
@pytest.mark.parametrize(("delete", "left"), DELETES.values(), ids=DELETES)
def test_a_deleted_end_takes_its_rows_out(end: End, delete: Callable[[End], Any], left: list[int]) -> None:
    delete(end)
    assert sorted(Shift.objects.values_list("hours", flat=True)) == left
    assert_exact()


@pytest.fixture
def drivers() -> list[Driver]:
    drivers = [Driver.objects.create(name=name) for name in ("ada", "bob", "cyd")]
    drivers[0].mates.add(drivers[1], through_defaults={"trips": 3})
    return drivers


@pytest.mark.guarantee(SYMMETRICAL, "exact")
@pytest.mark.parametrize(
    ("write", "left"),
    [
        (lambda ada, bob, cyd: ada.mates.add(bob, cyd, cyd), [1, 1, 3, 3]),
        (lambda ada, bob, cyd: (cyd.mates.add(ada), ada.mates.add(cyd)), [1, 1, 3, 3]),
        (lambda ada, bob, cyd: ada.mates.add(ada), [1, 3, 3]),
        (lambda ada, bob, cyd: bob.mates.set([cyd], through_defaults={"trips": 2}), [2, 2]),
        (lambda ada, bob, cyd: bob.mates.set([ada, cyd], clear=True), [1, 1, 1, 1]),
        (lambda ada, bob, cyd: bob.mates.remove(ada, cyd), []),
        (lambda ada, bob, cyd: ada.mates.clear(), []),
        (lambda ada, bob, cyd: cyd.mates.create(name="dan", through_defaults={"trips": 5}), [3, 3, 5, 5]),
        (lambda ada, bob, cyd: bob.delete(), []),
        (lambda ada, bob, cyd: ada.mates.all().delete(), []),
        (lambda ada, bob, cyd: Driver.objects.all().delete(), []),
    ],
    ids=[
        "add", "add from both ends", "add of itself", "set", "set after clearing", "remove", "clear", "create",
        "delete of one", "delete of the mates", "delete of all",
    ],
)  # fmt: skip
def test_both_rows_of_a_symmetrical_pair_are_counted(
    drivers: list[Driver], write: Callable[..., Any], left: list[int]
) -> None:
    write(*drivers)
    assert sorted(Pairing.objects.values_list("trips", flat=True)) == left
    assert_exact()
