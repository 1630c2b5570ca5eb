"""What a host's migrations may do to a table of totals."""

from __future__ import annotations

from typing import Any

from django.db.migrations.operations.base import Operation

FULL = 100


class LeaveRoom(Operation):
    """Leave part of each page of a totals table empty, on PostgreSQL; elsewhere this does nothing.

    A total is written again and again, and where its page has room the new version of the row stays
    on it, without an entry in every index. ``fillfactor`` is the per cent of a page that new rows fill.
    """

    reduces_to_sql = True
    reversible = True

    def __init__(self, name: str, fillfactor: int = 70) -> None:
        self.name = name
        self.fillfactor = fillfactor

    def state_forwards(self, app_label: str, state: Any) -> None:
        """Change no model: Django does not know of this."""

    def database_forwards(self, app_label: str, schema_editor: Any, from_state: Any, to_state: Any) -> None:
        """Leave room on pages that are filled from now on."""
        self._fill(app_label, schema_editor, to_state, self.fillfactor)

    def database_backwards(self, app_label: str, schema_editor: Any, from_state: Any, to_state: Any) -> None:
        """Fill pages again."""
        self._fill(app_label, schema_editor, to_state, FULL)

    def describe(self) -> str:
        """Say what this does, for ``migrate``."""
        return f"Leave room on the pages of {self.name}"

    def _fill(self, app_label: str, schema_editor: Any, state: Any, fillfactor: int) -> None:
        model = state.apps.get_model(app_label, self.name)
        if schema_editor.connection.vendor != "postgresql" or not self.allow_migrate_model(
            schema_editor.connection.alias, model
        ):
            return
        table = schema_editor.quote_name(model._meta.db_table)
        schema_editor.execute(f"ALTER TABLE {table} SET (fillfactor = {fillfactor})")
