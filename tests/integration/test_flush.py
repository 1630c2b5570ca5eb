"""What a test that commits leaves to the next."""

from __future__ import annotations

import pytest
from django.core.management import call_command
from django.db import connection
from django.utils import timezone

from aggregates.models import RollupState


def flush() -> None:
    call_command("flush", interactive=False, verbosity=0)


@pytest.fixture
def a_new_table(transactional_db: None) -> None:
    """A table of states that was dropped and made again, as tests of migrations do."""
    flush()
    with connection.schema_editor() as editor:
        editor.delete_model(RollupState)
        editor.create_model(RollupState)


def test_rows_brought_back_are_those_that_were_there_and_new_ones_have_keys_of_their_own(a_new_table: None) -> None:
    flush()
    before = set(RollupState.objects.values_list("pk", "totals", "rollup"))
    assert before
    RollupState.objects.all().delete()
    flush()
    assert set(RollupState.objects.values_list("pk", "totals", "rollup")) == before
    added = RollupState.objects.create(totals="testapp.Gone", rollup="gone", checked_at=timezone.now())
    assert added.pk not in {key for key, *_ in before}
