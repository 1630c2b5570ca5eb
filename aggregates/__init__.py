"""Running totals of changing rows, kept exact by every write.

What a host imports: ``aggregates.models.Tracked`` and ``Totals``, ``aggregates.definitions.Rollup``,
``aggregates.fields.FixedDecimalField``, ``aggregates.ledger.batch``, ``aggregates.reads``.
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
