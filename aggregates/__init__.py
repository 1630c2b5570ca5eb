"""Running totals of changing rows, kept exact by every write.

A host declares with ``aggregates.models.Tracked`` and ``Totals``, ``aggregates.definitions.Rollup`` and
``aggregates.fields.FixedDecimalField``, and reads with ``aggregates.reads``. ``docs/reference/public-names.md``
lists all that it may import; the rest may change in any release.
"""

from __future__ import annotations

from contextlib import AbstractContextManager

DEFAULT_ALIAS = "default"


def batch(using: str = DEFAULT_ALIAS) -> AbstractContextManager[None]:
    """Run a block in a transaction whose deltas are netted and applied once; see ``ledger.batch``."""
    from aggregates import ledger  # models are not loaded yet when this package is imported

    return ledger.batch(using)


def untracked(source: str, using: str = DEFAULT_ALIAS) -> AbstractContextManager[None]:
    """Let a migration's ``RunPython`` write a source's historical model; see ``historical.untracked``."""
    from aggregates import historical

    return historical.untracked(source, using)
