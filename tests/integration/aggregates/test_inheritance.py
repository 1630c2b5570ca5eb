"""A child in a table of its own is a row of its parent's source as well."""

from __future__ import annotations

from decimal import Decimal

import pytest
from django.db import transaction
from django.db.models import F

from tests.integration.aggregates.exactness import assert_exact
from tests.testapp.models import Reading, RemoteReading, SeasonTicket, Ticket

pytestmark = pytest.mark.django_db


@pytest.fixture
def season() -> SeasonTicket:
    Ticket.objects.create(gate="a", price=1)
    return SeasonTicket.objects.create(gate="a", price=50, holder="ada")


def test_a_new_child_is_counted(season: SeasonTicket) -> None:
    assert_exact()


@pytest.mark.guarantee("multi-table inheritance, written from the child", "exact")
def test_a_changed_child_is_counted_as_what_its_parent_s_row_became(season: SeasonTicket) -> None:
    season.gate, season.price = "b", Decimal("60.5")
    season.save()
    assert_exact()


@pytest.mark.guarantee("multi-table inheritance, written from the child", "exact")
@pytest.mark.parametrize("names", [["price"], ["holder"], ["gate", "holder"]], ids=str)
def test_update_fields_of_a_child_count_what_is_stored(season: SeasonTicket, names: list[str]) -> None:
    season.gate, season.price, season.holder = "b", Decimal(60), "bob"
    season.save(update_fields=names)
    assert_exact()


@pytest.mark.guarantee("multi-table inheritance, written from the parent", "exact")
def test_a_child_changed_through_its_parent_is_counted(season: SeasonTicket) -> None:
    ticket = Ticket.objects.get(pk=season.ticket_id)
    ticket.price = Decimal(70)
    ticket.save()
    assert_exact()


@pytest.mark.guarantee("multi-table inheritance, written from the child", "exact", case="SeasonTicket")
@pytest.mark.guarantee("multi-table inheritance, written from the parent", "exact", case="Ticket")
@pytest.mark.parametrize("model", [Ticket, SeasonTicket])
def test_an_update_from_either_end_is_counted(season: SeasonTicket, model: type[Ticket]) -> None:
    model.objects.filter(price__gt=10).update(gate="c", price=F("price") * 2)
    assert_exact()


def test_an_update_of_the_child_s_own_columns_changes_no_total(season: SeasonTicket) -> None:
    SeasonTicket.objects.update(holder="bob")
    assert_exact()


@pytest.mark.guarantee("multi-table inheritance, written from the child", "exact", case="SeasonTicket")
@pytest.mark.guarantee("multi-table inheritance, written from the parent", "exact", case="Ticket")
@pytest.mark.parametrize("model", [Ticket, SeasonTicket])
def test_a_delete_from_either_end_takes_the_parent_s_row_out(season: SeasonTicket, model: type[Ticket]) -> None:
    model.objects.get(price=50).delete()
    assert Ticket.objects.count() == 1
    assert_exact()


@pytest.mark.guarantee("multi-table inheritance, written from the child", "exact", case="SeasonTicket")
@pytest.mark.guarantee("multi-table inheritance, written from the parent", "exact", case="Ticket")
@pytest.mark.parametrize("model", [Ticket, SeasonTicket])
def test_a_queryset_delete_from_either_end_takes_the_parents_rows_out(
    season: SeasonTicket, model: type[Ticket]
) -> None:
    SeasonTicket.objects.create(gate="b", price=51, holder="bob")
    model.objects.filter(price__gte=50).delete()
    assert Ticket.objects.count() == 1
    assert_exact()


@pytest.mark.guarantee("multi-table inheritance, bulk_create of the child", "refused: by Django; save each instance")
def test_children_are_not_inserted_in_bulk(season: SeasonTicket) -> None:
    with pytest.raises(ValueError, match="multi-table"), transaction.atomic():
        SeasonTicket.objects.bulk_create([SeasonTicket(gate="a", price=2, holder="bob")])
    assert Ticket.objects.count() == 2
    assert_exact()


@pytest.mark.guarantee("multi-table inheritance, written from the child", "exact")
@pytest.mark.parametrize("force", [(Ticket,), (Ticket, SeasonTicket)], ids=str)
def test_a_child_of_which_some_tables_are_forced_to_insert_is_counted(force: tuple[type[Ticket], ...]) -> None:
    child = SeasonTicket(gate="b", price=2, holder="bob")
    child.save(force_insert=force)
    assert Ticket.objects.get().price == 2
    assert_exact()


@pytest.mark.guarantee("multi-table inheritance, written from the child", "exact")
def test_a_child_given_to_another_parent_s_row_is_counted_as_a_change_of_that_row(season: SeasonTicket) -> None:
    other = Ticket.objects.get(price=1)
    season.ticket, season.id, season.price, season.gate = other, other.pk, Decimal(77), "c"
    season.save()
    assert sorted(Ticket.objects.values_list("gate", "price")) == [("a", Decimal(50)), ("c", Decimal(77))]
    assert_exact()


def test_a_child_deleted_without_its_parent_leaves_the_total(season: SeasonTicket) -> None:
    season.delete(keep_parents=True)
    assert Ticket.objects.count() == 2
    assert_exact()


@pytest.mark.parametrize("how", ["save", "create"])
def test_a_child_added_to_a_row_that_is_there_counts_as_a_change_of_it(how: str) -> None:
    reading = Reading.objects.create(machine="press", level=3)
    child = RemoteReading(reading_ptr=reading, machine="saw", level=9, station="north")
    child.save(force_insert=how == "create")
    assert Reading.objects.get().level == 9
    assert_exact()


def test_a_child_saved_raw_beside_its_parent_changes_no_total() -> None:
    reading = Reading.objects.create(machine="press", level=3)
    child = RemoteReading(reading_ptr=reading, station="north")
    child.save_base(raw=True)
    assert Reading.objects.get().level == 3
    assert_exact()


def test_a_child_of_the_usual_kind_is_written_from_both_ends() -> None:
    child = RemoteReading.objects.create(machine="saw", level=9, station="north")
    child.level = 10
    child.save()
    RemoteReading.objects.update(level=F("level") + 1, station="south")
    Reading.objects.update(machine="press")
    assert_exact()
    RemoteReading.objects.create(machine="saw", level=9, station="north")
    Reading.objects.filter(machine="press").delete()
    assert_exact()
    RemoteReading.objects.all().delete()
    assert not Reading.objects.exists()
    assert_exact()
