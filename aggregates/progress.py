"""Progress of long work: on standard error, and only where a person watches it."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

from tqdm import tqdm

if TYPE_CHECKING:
    from aggregates.models import Run


def bar(total: int | None, *, unit: str, label: str) -> tqdm[Any]:
    """Return a bar to ``update(n)`` and to leave as a context; ``total`` None where unknown.

    Shows rate and time left. Silent unless standard error is a terminal, so that logs and pipes
    stay clean; the bar goes when it is done, so that what is printed next stands alone.
    """
    return tqdm(
        total=total,
        unit=unit,
        desc=label,
        file=sys.stderr,
        disable=None,  # tqdm's word for "unless the file is a terminal"
        leave=False,
        unit_scale=unit == "B",
        dynamic_ncols=True,
    )


def show(shown: tqdm[Any], run: Run) -> None:
    """Let a bar stand where a run has come to; how much there is to do is shown before any of it is done."""
    if shown.total != run.chunks:
        shown.total = run.chunks
        shown.refresh()
    shown.update(run.chunks_done - shown.n)
