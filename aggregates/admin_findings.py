"""What a run found, as it is shown in the admin."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString

from aggregates.models import Run

COLUMNS = ("rollup", "bucket", "stored", "expected", "difference")
TABLE = (
    '<div class="scroll" tabindex="0" role="region" aria-label="Drifted buckets">'
    '<table class="numbers" id="findings"><thead><tr>{}</tr></thead><tbody>{}</tbody></table></div>'
)


def table(run: Run) -> str:
    """Return the first drifted buckets of a run as a table, and how many others there are."""
    if not run.findings:
        return "none" if run.clean_result else "none so far"
    head = format_html_join("", '<th scope="col">{}</th>', ((column,) for column in COLUMNS))
    body = format_html_join("", "<tr>{}</tr>", ((_cells(finding),) for finding in run.findings))
    shown = format_html(TABLE, head, body)
    left_out = run.drifted - len(run.findings)
    return format_html("{}<p>… and {} more.</p>", shown, left_out) if left_out > 0 else shown


def _cells(finding: Mapping[str, Any]) -> SafeString:
    return format_html_join("", "<td>{}</td>", ((pairs(finding.get(column)),) for column in COLUMNS))


def pairs(value: Any) -> str:
    """Return a mapping as ``name: value, …``, in the order of the alphabet, anything else as text."""
    if isinstance(value, Mapping):
        return ", ".join(f"{name}: {'none' if v is None else v}" for name, v in sorted(value.items()))
    return "" if value is None else str(value)
