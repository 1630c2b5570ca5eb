"""Expenses from a file: the API's way into ``expenses.importing``."""

from __future__ import annotations

import re
from collections.abc import Callable
from contextlib import closing
from dataclasses import fields
from typing import Any, BinaryIO

from django.db import Error
from django.utils.http import parse_header_parameters
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework import serializers
from rest_framework.permissions import BasePermission
from rest_framework.request import Request
from rest_framework.response import Response

from aggregates.exceptions import ConcurrentInsert
from api import parameters, parsers
from api.access import SEE_ALL
from api.parameters import Parameter
from api.problems import Problem, describe, invalid_parameters
from api.serializers import body
from api.views import PrivateView
from expenses.importing import Import, Reader, delimited
from expenses.imports.exceptions import CannotImport
from expenses.imports.json_lines import json_records
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
from expenses.imports.report import Report
from expenses.imports.values import MAX_DATE, MAX_NAME

JSON_LINES = ("application/jsonl", "application/x-ndjson")
REFUSED = ("import-refused", "Nothing of the file went in")
MAX_DETAIL = 2_000
OPTION = re.compile(r"--(delimiter|encoding|decimal-comma|date-format|currency-column|currency)\b")
"""An option of the command, as the reasons of an import name it."""


class RequiredParameter(Parameter):
    """A query parameter that has to be given."""

    def openapi(self) -> OpenApiParameter:
        """Return the parameter as the schema shows it."""
        parameter = super().openapi()
        parameter.required = True
        return parameter


def _checked(build: Callable[[str], object]) -> Callable[[str], str]:
    """Return a reader of texts from which an option of an import can be built."""

    def read(text: str) -> str:
        try:
            build(text)
        except CannotImport as error:
            raise ValueError(_said(error)) from error
        return text

    return read


def _text(longest: int) -> Callable[[str], str]:
    def read(text: str) -> str:
        if "\0" in text or len(text) > longest:
            raise ValueError(f"Take at most {longest} characters, none of them NUL.")
        return text

    return read


def _source(text: str) -> str:
    if not text.strip():
        raise ValueError("Take the name of the system that the ids are from, such as payroll.")
    return _text(MAX_SOURCE)(text)


def _delimiter(text: str) -> str:
    return _checked(Dialect)("\t" if text in {"\\t", "tab"} else text)


def _encoding(text: str) -> str:
    try:
        return ENCODINGS[text.lower()]
    except KeyError:
        raise ValueError(f"Take of {', '.join(ENCODINGS)}.") from None


def _date_format(text: str) -> str:
    return _checked(lambda text: Notation(date_format=text))(_text(MAX_DATE)(text))


def _yes(text: str) -> bool:
    if text not in {"true", "false"}:
        raise ValueError("Take true or false.")
    return text == "true"


COLUMN = _text(MAX_NAME)
OPTIONAL_NAME = {"type": "string", "maxLength": MAX_NAME, "pattern": parameters.TEXT}
NAME = {**OPTIONAL_NAME, "minLength": 1}
SOURCE = {"type": "string", "maxLength": MAX_SOURCE, "pattern": parameters.TEXT, "default": DEFAULT_SOURCE}
DELIMITER = {"type": "string", "examples": [",", ";", "tab"]}
CURRENCY = {"type": "string", "pattern": f"^{parameters.CODE.pattern}$", "examples": ["EUR"]}
YES = {"type": "boolean", "default": False}
REQUIRED = (
    RequiredParameter("owner_column", COLUMN, "The column of the owner's username. Unknown ones become users.", NAME),
    RequiredParameter("category_column", COLUMN, "Of the category's name; empty for none. New ones are created.", NAME),
    RequiredParameter("date_column", COLUMN, "Of the day the money was spent.", NAME),
    RequiredParameter("amount_column", COLUMN, "Of the amount; a refund is negative.", NAME),
    RequiredParameter("id_column", COLUMN, "Of the source's own id of the expense, unique for its owner.", NAME),
)
PARAMETERS = (
    *REQUIRED,
    Parameter("currency_column", COLUMN, "Of ISO 4217 codes.", OPTIONAL_NAME),
    Parameter("currency", str, "The currency of all amounts, instead of a column.", CURRENCY),
    Parameter("description_column", COLUMN, "Of free text.", OPTIONAL_NAME),
    Parameter("status_column", COLUMN, "Of draft, submitted (also for an empty cell), …", OPTIONAL_NAME),
    Parameter("source", _source, "The system whose ids they are; another source's ids are others.", SOURCE),
    Parameter("delimiter", _delimiter, "Of CSV: one character, or `tab`. Default: a comma.", DELIMITER),
    Parameter(
        "encoding",
        _encoding,
        "Of CSV, in upper or lower case. Default: the charset of the Content-Type.",
        {"type": "string", "enum": list(ENCODINGS)},
    ),
    Parameter("decimal_comma", _yes, "Whether amounts are written 1.234,56 or 1234,56.", YES),
    Parameter("date_format", _date_format, "In the notation of strptime, such as `%d/%m/%Y`. Default: ISO 8601."),
    Parameter("strict", _yes, "Whether nothing goes in if any line is bad.", YES),
)


class MayImport(BasePermission):
    """An import adds expenses of all owners whom it names, and tells what is there of theirs."""

    message = f"An import names owners: it takes expenses.add_expense and {SEE_ALL}."

    def has_permission(self, request: Request, view: Any) -> bool:
        """Return whether the user may add and see expenses of everybody."""
        return request.user.has_perms(("expenses.add_expense", SEE_ALL))


class _SumSerializer(serializers.Serializer[Any]):
    count = serializers.IntegerField()
    sum = serializers.CharField(help_text="A decimal string with the currency's digits.")


class _SumsSerializer(serializers.Serializer[Any]):
    added = serializers.DictField(child=_SumSerializer(), help_text="By currency.")
    unchanged = serializers.DictField(child=_SumSerializer(), help_text="By currency.")


class _RejectionSerializer(serializers.Serializer[Any]):
    line = serializers.IntegerField(help_text="The line it begins on; the first of the file is 1.")
    reason = serializers.CharField(help_text="Every fault, and what to do about it.")


class ImportReportSerializer(serializers.Serializer[Any]):
    """What became of a file. Every row is added, unchanged or rejected."""

    source = serializers.CharField()  # type: ignore[assignment]  # a field of this name is not the attribute
    rows = serializers.IntegerField()
    added = serializers.IntegerField(help_text="Expenses that went in.")
    unchanged = serializers.IntegerField(help_text="Rows whose expense was there already, with this content.")
    rejected = serializers.IntegerField()
    owners_created = serializers.IntegerField()
    categories_created = serializers.IntegerField()
    sums = _SumsSerializer()
    rejections = _RejectionSerializer(many=True, help_text="The first ones.")
    rejections_left_out = serializers.IntegerField()


class ExpenseImportView(PrivateView):
    """Imports of files."""

    permission_classes = (MayImport,)
    parser_classes = (parsers.CsvParser, parsers.JsonLinesParser, parsers.NdjsonParser)

    @extend_schema(
        parameters=parameters.openapi(PARAMETERS),
        request={media_type: {"type": "string"} for media_type in ("text/csv", *JSON_LINES)},
        responses=ImportReportSerializer,
    )
    def post(self, request: Request) -> Response:
        """Import expenses from a file of up to 100 MB: the same rules and report as `manage.py import_expenses`.

        The body is the file: CSV with a header, or JSON lines, objects whose members are the columns. A bad line is
        reported and the others go in, unless `strict`; importing a file again changes nothing.
        """
        media_type, of_type = parse_header_parameters(request.content_type or "")
        is_json = media_type in JSON_LINES
        options = _options(request, of_type.get("charset", UTF_8), is_json=is_json)
        stream: BinaryIO
        with body(request) as stream:
            report = _run(stream, options, json_records if is_json else delimited)
        return Response(_as_answer(report))


def _options(request: Request, charset: str, *, is_json: bool) -> Options:
    """Return what the query and the charset of the Content-Type say; raise the 400."""
    values = parameters.read(request.query_params, PARAMETERS)
    errors = {p.name: f"This is required. {p.description}" for p in REQUIRED if p.name not in values}
    if is_json:
        errors |= {name: "JSON lines have none: leave it out." for name in ("delimiter", "encoding") if name in values}
    encoding = values.get("encoding") or ENCODINGS.get(charset.lower())
    if encoding is None or (is_json and encoding != UTF_8):
        taken = "utf-8" if is_json else ", ".join(ENCODINGS)
        errors.setdefault("encoding", f"The Content-Type has the charset {charset!r}; this takes {taken}.")
    if errors:
        raise invalid_parameters(errors)
    columns: dict[str, Any] = {field.name: values.get(f"{field.name}_column") for field in fields(Columns)}
    try:
        return Options(
            columns=Columns(**columns),
            source=values.get("source", DEFAULT_SOURCE),
            currency=values.get("currency"),
            dialect=Dialect(values.get("delimiter", ","), encoding or UTF_8),
            notation=Notation(values.get("decimal_comma", False), values.get("date_format")),
            strict=values.get("strict", False),
        )
    except CannotImport as error:  # what no reader of one parameter tells
        raise invalid_parameters({"currency": _said(error)}) from error


def _run(stream: BinaryIO, options: Options, reader: Reader) -> Report:
    """Import the stream and return the report; raise the 400 where nothing of it can or shall go in."""
    try:
        with closing(Import(stream, options, reader=reader)) as importing:
            try:
                report = importing.run()
            except (Error, ConcurrentInsert) as error:
                if stopped := _stopped(error, importing.report):
                    raise stopped from error
                raise
    except CannotImport as error:
        raise Problem(400, _said(error), kind=REFUSED) from error
    if options.strict and report.rejected:
        raise _refused(report)
    return report


def _stopped(error: Exception, report: Report) -> Problem | None:
    """Return the problem of a database that stopped an import after a part; None where nothing is in."""
    problem = describe(error)
    if problem is None or not report.added_count:
        return None
    detail = (
        f"The database stopped the import after {report.added_count} expenses had gone in. "
        "Repeat the request to go on: what is in is recognised."
    )
    return Problem(problem.status_code, detail, headers=problem.headers)


def _refused(report: Report) -> Problem:
    """Return the 400 of a strict import."""
    detail = f"Nothing went in, because of strict: correct {report.rejected} of {report.rows} lines and import again."
    errors = [{"pointer": "", "detail": f"Line {r.line}: {_said(r.reason)}"} for r in report.rejections]
    return Problem(400, detail, kind=REFUSED, errors=errors)


def _as_answer(report: Report) -> dict[str, Any]:
    rejections = [{"line": r.line, "reason": _said(r.reason)} for r in report.rejections]
    return {**report.as_dict(), "rejections": rejections}


def _said(reason: object) -> str:
    """Return a reason with the names that options have here, within bounds."""
    return OPTION.sub(lambda option: option[1].replace("-", "_"), str(reason))[:MAX_DETAIL]
