"""Writes whose rows have several keys, or keys with several names."""

from __future__ import annotations

import uuid
from typing import Any

import pytest
from django.db import transaction
from django.db.models import F

from aggregates.exceptions import UntrackedWrite
from tests.integration.aggregates.exactness import assert_exact
from tests.testapp.models import Licence, Reading, RemoteReading, SeasonTicket, Shop, Ticket

pytestmark = pytest.mark.django_db
UPDATE_OF_KEY = "refused: insert rows with the new keys and delete the old ones"


@pytest.mark.guarantee("update of the primary key", UPDATE_OF_KEY)
@pytest.mark.parametrize("name", ["pk", "shop", "shop_id"])
def test_an_update_of_a_key_that_is_a_foreign_key_is_refused_by_each_of_its_names(name: str) -> None:
    one, other = (Shop.objects.create(town=town) for town in ("one", "other"))
    Licence.objects.create(shop=one, kind="a", fee=1)
    values: dict[str, Any] = {name: other.pk, "fee": 5}
    with pytest.raises(UntrackedWrite, match="insert rows with the new keys"), transaction.atomic():
        Licence.objects.filter(kind="a").update(**values)
    assert_exact()


@pytest.mark.guarantee("update of the primary key", UPDATE_OF_KEY)
@pytest.mark.parametrize("values", [{"id": uuid.UUID(int=5), "price": 7}, {"id": uuid.UUID(int=5), "gate": "b"}])
def test_an_update_of_the_key_of_the_parents_row_through_its_child_is_refused(values: dict[str, Any]) -> None:
    Ticket.objects.create(gate="a", price=1)
    SeasonTicket.objects.create(gate="a", price=50, holder="ada")
    with pytest.raises(UntrackedWrite, match="insert rows with the new keys"), transaction.atomic():
        SeasonTicket.objects.filter(holder="ada").update(**values)
    assert_exact()


def test_writes_of_a_source_that_extends_a_source_count_in_both() -> None:
    for level in (1, 2):
        Reading.objects.create(machine="press", level=level)
    for level in (10, 20, 30):
        RemoteReading.objects.create(machine="saw", level=level, station="north")
    far = RemoteReading.objects.filter(station="north", level__gt=10)
    far.update(machine="drill", level=F("level") + 1, station="south")
    assert_exact()
    RemoteReading.objects.filter(level=10).delete()
    assert_exact()


@pytest.mark.guarantee("delete(keep_parents=True) of a multi-table child", "exact")
def test_a_child_deleted_without_its_parent_leaves_the_parents_total() -> None:
    far = RemoteReading.objects.create(machine="saw", level=10, station="north")
    far.delete(keep_parents=True)
    assert Reading.objects.get().level == 10
    assert_exact()


def test_a_row_whose_key_is_a_foreign_key_is_counted_as_it_changes() -> None:
    licence = Licence.objects.create(shop=Shop.objects.create(town="Bree"), kind="a", fee=1)
    licence.fee, licence.kind = 5, "b"
    licence.save()
    Licence(shop=Shop.objects.create(town="Dale"), kind="b", fee=2).save()
    Licence.objects.filter(kind="b").update(fee=F("fee") + 1, kind="c")
    assert_exact()
    Licence.objects.get(fee=6).delete()
    Licence.objects.all().delete()
    assert_exact()
