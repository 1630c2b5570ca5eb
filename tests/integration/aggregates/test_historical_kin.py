"""Historical proxies and multi-table children of a source are refused like the source itself."""

from __future__ import annotations

import pytest
from django.db import connection, transaction
from django.db.migrations.loader import MigrationLoader

from aggregates.exceptions import UntrackedWrite
from tests.integration.aggregates.exactness import assert_exact
from tests.testapp.models import SeasonTicket

pytestmark = pytest.mark.django_db

WRITES = {
    "a proxy's update": lambda past: past("Correction").objects.update(quantity=1),
    "a proxy's save": lambda past: _saved(past("Correction").objects.get(), quantity=1),
    "a proxy's delete": lambda past: past("Correction").objects.get().delete(),
    "a proxy's queryset delete": lambda past: past("Correction").objects.all().delete(),
    "a child's save": lambda past: _saved(past("SeasonTicket").objects.get(), price=1),
    "a child's create": lambda past: past("SeasonTicket").objects.create(gate="b", price=9, holder="bob"),
    "a child's update": lambda past: past("SeasonTicket").objects.update(price=9),
    "a child's delete": lambda past: past("SeasonTicket").objects.get().delete(),
    "a child's queryset delete": lambda past: past("SeasonTicket").objects.all().delete(),
}


def _saved(row, **values):
    for name, value in values.items():
        setattr(row, name, value)
    row.save()


@pytest.fixture
def past(warehouse):
    warehouse.moved()
    SeasonTicket.objects.create(gate="a", price=50, holder="ada")
    apps = MigrationLoader(connection).project_state().apps
    return lambda name: apps.get_model("testapp", name)


@pytest.mark.parametrize("write", WRITES.values(), ids=WRITES)
def test_a_write_of_a_proxy_or_child_is_refused_and_told_the_way(past, write):
    told = pytest.raises(UntrackedWrite, match=r"aggregates\.untracked\('testapp\.(Movement|Ticket)'\)")
    with told, transaction.atomic():
        write(past)
    assert_exact()
