"""What can go wrong with an import as a whole, and with one value of it."""

from __future__ import annotations


class CannotImport(Exception):
    """The import could not run, or not to its end. The message says why and what to change."""


class BadValue(ValueError):
    """One cell cannot be taken. The message quotes the value and says what to write instead."""
