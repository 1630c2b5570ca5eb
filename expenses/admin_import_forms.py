"""What is asked for an import in the admin: the file, then what its columns are and how it is written."""

from __future__ import annotations

import codecs
import itertools
import re
from collections.abc import Mapping, Sequence
from contextlib import closing
from dataclasses import fields
from io import BytesIO
from typing import Any

from django import forms
from unfold.widgets import (
    UnfoldAdminFileFieldWidget,
    UnfoldAdminSelectWidget,
    UnfoldAdminTextInputWidget,
    UnfoldBooleanWidget,
)

from expenses.imports.exceptions import CannotImport
from expenses.imports.lines import records
from expenses.imports.options import (
    DEFAULT_SOURCE,
    ENCODINGS,
    MAX_SOURCE,
    UTF_8,
    Columns,
    Dialect,
    Notation,
    Options,
)
from expenses.imports.values import MAX_DATE, MAX_NAME
from expenses.uploads import MAX_BYTES

CODECS = {UTF_8: "utf-8", "iso-8859-1": "iso-8859-1, latin-1"}
DELIMITERS = {",": "comma", ";": "semicolon", "\t": "tab", "|": "bar"}
GUESSED_FROM = 4_096
"""Bytes of a file that its delimiter and encoding are guessed from."""
REQUIRED = ("id", "owner", "category", "date", "amount")
LABELS = {
    "id": "Id, the source’s own",
    "owner": "Owner’s username",
    "category": "Category",
    "date": "Date",
    "amount": "Amount",
    "currency": "Currency",
    "description": "Description",
    "status": "Status",
}
# How columns are often named; the first that a file has is proposed.
OFTEN = {
    "id": ("id", "external id", "reference", "nr", "number"),
    "owner": ("owner", "user", "username", "employee", "name"),
    "category": ("category", "type", "kind"),
    "date": ("date", "day", "spent on"),
    "amount": ("amount", "sum", "total", "value"),
    "currency": ("currency",),
    "description": ("description", "text", "note", "purpose"),
    "status": ("status", "state"),
}
OPTION = re.compile(r"--(delimiter|encoding|decimal-comma|date-format|currency-column|currency)\b")


def said(reason: object) -> str:
    """Return a reason with the names that options have here."""
    return OPTION.sub(lambda option: option[1].replace("-", " "), str(reason))


def guessed(content: bytes) -> Dialect:
    """Return how a file seems to be written; the form asks whether it is."""
    begin = content[:GUESSED_FROM]
    encoding = UTF_8
    if begin.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        encoding = "utf-16"
    else:
        try:
            codecs.getincrementaldecoder("utf-8")().decode(begin)
        except UnicodeDecodeError:
            encoding = "cp1252"
    header = begin.decode(encoding, "replace").partition("\n")[0]
    return Dialect(max(DELIMITERS, key=header.count), encoding)


def header(content: bytes, dialect: Dialect) -> list[str]:
    """Return the names of a file's columns; raise CannotImport where it has no header that can be read."""
    with closing(records(BytesIO(content), dialect)) as found:
        first = next(found, None)
    if first is None:
        raise CannotImport("The file is empty: its first line has to name the columns.")
    if first.problem:
        raise CannotImport(f"Line {first.line}, the header: {first.problem}.")
    return [cell.strip() for cell in first.cells]


class UploadForm(forms.Form):
    """Takes the file."""

    file = forms.FileField(
        label="CSV file with a header",
        max_length=MAX_NAME,
        help_text=f"Up to {MAX_BYTES // 1_000_000} MB. Nothing is imported before you have seen what would be.",
        widget=UnfoldAdminFileFieldWidget(attrs={"accept": ".csv,.txt,.tsv,text/csv"}),
    )

    def clean_file(self) -> Any:
        """Refuse a file that is too large to be looked at in a request."""
        file = self.cleaned_data["file"]
        if file.size > MAX_BYTES:
            raise forms.ValidationError(TOO_LARGE)
        return file


TOO_LARGE = (
    f"The file has more than {MAX_BYTES // 1_000_000} MB: part it, or import it with manage.py import_expenses "
    "or through the API."
)


class OptionsForm(forms.Form):
    """Asks for what ``import_expenses`` has options for."""

    delimiter = forms.ChoiceField(choices=list(DELIMITERS.items()), widget=UnfoldAdminSelectWidget())
    encoding = forms.ChoiceField(
        choices=[(codec, CODECS.get(codec, codec)) for codec in dict.fromkeys(ENCODINGS.values())],
        widget=UnfoldAdminSelectWidget(),
    )
    currency = forms.CharField(
        required=False,
        max_length=3,
        label="Currency of all amounts",
        help_text="Such as EUR, where the file has no column of it.",
        widget=UnfoldAdminTextInputWidget(),
    )
    decimal_comma = forms.BooleanField(
        required=False, label="Amounts are written 1.234,56", widget=UnfoldBooleanWidget()
    )
    date_format = forms.CharField(
        required=False,
        max_length=MAX_DATE,
        label="Date format",
        help_text="Such as %d/%m/%Y; empty for 2026-01-31.",
        widget=UnfoldAdminTextInputWidget(),
    )
    source = forms.CharField(
        max_length=MAX_SOURCE,
        initial=DEFAULT_SOURCE,
        label="Source",
        help_text="The system whose ids they are. Another source’s ids are others.",
        widget=UnfoldAdminTextInputWidget(),
    )
    strict = forms.BooleanField(required=False, label="Import nothing if any line is bad", widget=UnfoldBooleanWidget())

    def __init__(self, columns: Sequence[str], *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        named = [(name, name) for name in columns if name]
        for role, label in LABELS.items():
            required = role in REQUIRED
            field = forms.ChoiceField(
                label=f"Column: {label}",
                required=required,
                choices=[("", "Choose a column" if required else "not in the file"), *named],
                initial=_proposed(role, columns),
                widget=UnfoldAdminSelectWidget(),
            )
            self.fields[f"{role}_column"] = field
        order = itertools.chain(*([f"{role}_column"] for role in LABELS))
        self.order_fields([*order, "currency"])

    def clean(self) -> dict[str, Any]:
        """Refuse what no import can be asked to do."""
        values: dict[str, Any] = super().clean() or self.cleaned_data
        if not self.errors:
            try:
                options(values)
            except CannotImport as error:
                raise forms.ValidationError(said(error)) from error
        return values


def _proposed(role: str, columns: Sequence[str]) -> str:
    plain = {re.sub(r"[\s_-]+", " ", name).strip().lower(): name for name in reversed(columns)}
    return next((plain[name] for name in OFTEN[role] if name in plain), "")


def options(values: Mapping[str, Any]) -> Options:
    """Return the options of an import that a valid form asks for; raise CannotImport."""
    columns = {field.name: values.get(f"{field.name}_column") or None for field in fields(Columns)}
    return Options(
        columns=Columns(**columns),  # type: ignore[arg-type]  # the form requires those that are
        source=values["source"],
        currency=values["currency"] or None,
        dialect=Dialect(values["delimiter"], values["encoding"]),
        notation=Notation(values["decimal_comma"], values["date_format"] or None),
        strict=values["strict"],
    )
