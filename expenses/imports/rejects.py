"""The rejected lines as a file of their own: to be corrected and imported with the same options."""

from __future__ import annotations

import csv
from collections.abc import Sequence
from typing import TextIO

from expenses.imports.entries import Rejection
from expenses.imports.lines import UNDECODABLE
from expenses.imports.options import Dialect


class RejectsFile:
    """Writes line, reason and the cells as they came; the import's own delimiter and encoding.

    Nothing is escaped for spreadsheets, for the cells have to be importable again.
    """

    def __init__(self, stream: TextIO, columns: Sequence[str], dialect: Dialect) -> None:
        self._writer = csv.writer(stream, delimiter=dialect.delimiter)
        self._writer.writerow(["line", "reason", *columns])

    def write(self, rejection: Rejection) -> None:
        """Append one rejected line."""
        cells = [cell.replace(UNDECODABLE, "\ufffd") for cell in rejection.cells]
        self._writer.writerow([rejection.line, rejection.reason, *cells])
