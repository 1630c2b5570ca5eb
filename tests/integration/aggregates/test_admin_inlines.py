"""The admin's inlines, which add, change and delete rows beside their parent."""

from __future__ import annotations

from typing import Any

import pytest
from django.contrib import admin
from django.test import Client
from django.urls import path

from tests.integration.aggregates.conftest import Warehouse
from tests.integration.aggregates.exactness import assert_exact
from tests.testapp.models import Movement, Site

pytestmark = [pytest.mark.django_db, pytest.mark.urls(__name__)]


class MovementInline(admin.TabularInline):
    model = Movement
    fields = ("moved_at", "quantity", "kind", "item")


class SiteAdmin(admin.ModelAdmin):
    inlines = (MovementInline,)


house = admin.AdminSite(name="admin")  # the namespace that the admin's own pages look for
house.register(Site, SiteAdmin)
urlpatterns = [path("house/", house.urls)]


def row(number: int, item: int, movement: Movement | None = None, **values: Any) -> dict[str, Any]:
    given = {
        "id": movement.pk if movement else "",
        "site": movement.site_id if movement else "",
        "moved_at_0": "2026-03-07",
        "moved_at_1": "12:00:00",
        "quantity": movement.quantity if movement else 0,
        "kind": "in",
        "item": item,
        **values,
    }
    return {f"movements-{number}-{name}": value for name, value in given.items()}


@pytest.mark.guarantee("admin: an inline", "exact")
def test_rows_written_beside_their_parent_are_counted(admin_client: Client, warehouse: Warehouse) -> None:
    changed, deleted, kept = (warehouse.moved(quantity=n) for n in (1, 2, 4))
    form = {
        "name": "north",
        "movements-TOTAL_FORMS": 4,
        "movements-INITIAL_FORMS": 3,
        **row(0, warehouse.nut.pk, changed, quantity=50, kind="out"),
        **row(1, warehouse.bolt.pk, deleted, DELETE="on"),
        **row(2, warehouse.bolt.pk, kept),
        **row(3, warehouse.bolt.pk, site=warehouse.north.pk, quantity=70),
    }
    response = admin_client.post(f"/house/testapp/site/{warehouse.north.pk}/change/", form)
    assert response.status_code == 302
    assert sorted(Movement.objects.values_list("quantity", flat=True)) == [4, 50, 70]
    assert_exact()


@pytest.mark.guarantee("admin: an inline", "exact")
def test_a_parent_deleted_with_its_rows_takes_them_out(admin_client: Client, warehouse: Warehouse) -> None:
    warehouse.moved()
    warehouse.moved(site=warehouse.south)
    response = admin_client.post(f"/house/testapp/site/{warehouse.north.pk}/delete/", {"post": "yes"})
    assert response.status_code == 302
    assert Movement.objects.count() == 1
    assert_exact()
