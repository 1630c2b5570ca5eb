"""How much of a form with files is taken, from whomever it comes."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from django.core.exceptions import RequestDataTooBig
from django.core.files.uploadhandler import FileUploadHandler

from expenses.uploads import MAX_BYTES

MAX_FORM = MAX_BYTES + 200_000
"""Bytes: the largest file, and the fields around it."""


class Bounded(FileUploadHandler):
    """Refuses a form that announces more than MAX_FORM, before any of it is read.

    Django limits fields, not files; it reads a form to find the token in it, so before it knows who sends it.
    """

    def handle_raw_input(
        self,
        input_data: Any,
        META: Mapping[str, Any],  # noqa: N803 - Django's name
        content_length: int,
        boundary: Any,
        encoding: str | None = None,
    ) -> None:
        """Raise RequestDataTooBig, which is answered with 400. The API reads no form at all."""
        if content_length > MAX_FORM:
            raise RequestDataTooBig(f"A form has at most {MAX_FORM} bytes here.")

    def receive_data_chunk(self, raw_data: bytes, start: int) -> bytes:
        """Pass everything on."""
        return raw_data

    def file_complete(self, file_size: int) -> None:
        """Leave the file to the next handler."""
