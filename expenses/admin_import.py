"""Import in the admin: a file is uploaded, what it would do is shown line by line, and then it is done.

The file waits in the database between these requests, so that nothing rests on one server's disk.
"""

from __future__ import annotations

import csv
import datetime as dt
import io
from collections.abc import Callable
from contextlib import closing
from io import BytesIO
from typing import Any

from django.contrib import messages
from django.core.exceptions import PermissionDenied
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.template.response import TemplateResponse
from django.urls import URLPattern, path, reverse
from django.utils import timezone
from django.views.decorators.csrf import csrf_exempt
from unfold.admin import ModelAdmin

from expenses.admin_base import EVERYBODY
from expenses.admin_import_forms import TOO_LARGE, OptionsForm, UploadForm, guessed, header, options, said
from expenses.importing import Import, Listeners
from expenses.imports.exceptions import CannotImport
from expenses.imports.foresight import Foresight, Window
from expenses.imports.options import Dialect
from expenses.imports.rejects import RejectsFile
from expenses.uploads import KEPT, MAX_BYTES, MAX_NAME, ExpenseUpload

ADDRESS = "admin:expenses_expense_import"
NEEDED = ("expenses.add_expense", EVERYBODY)
"""An import adds expenses of whomever it names, and tells what is there of theirs."""
AROUND = 100_000
"""Bytes of a request beside the file."""
LINES_SHOWN = 200


def may_import(request: HttpRequest) -> bool:
    """Return whether the user may import."""
    return request.user.has_perms(NEEDED)


class Imports(ModelAdmin):  # type: ignore[misc]
    """A list of expenses into which a file can be imported."""

    def get_urls(self) -> list[URLPattern]:
        """Add the pages' addresses."""
        wrap = self.admin_site.admin_view
        pages: list[URLPattern] = [
            path("import/", self._within_limits(wrap(self.import_view)), name="expenses_expense_import"),
            path("import/rejects/", wrap(self.rejects_view), name="expenses_expense_import_rejects"),
        ]
        return [*pages, *super().get_urls()]

    def _within_limits(self, view: Callable[..., HttpResponse]) -> Callable[..., HttpResponse]:
        """Refuse a body that is too large before it is read. The token is looked for by the view within."""

        def checked(request: HttpRequest) -> HttpResponse:
            if int(request.META.get("CONTENT_LENGTH") or 0) > MAX_BYTES + AROUND:
                messages.error(request, TOO_LARGE)
                return redirect(ADDRESS)
            return view(request)

        return csrf_exempt(checked)

    def import_view(self, request: HttpRequest) -> HttpResponse:
        """Show how far the user's import is; take the file, look at it, import it, or put it away."""
        _require(request)
        upload = ExpenseUpload.objects.filter(user=request.user.pk).first()
        if request.method != "POST":
            return self._page(request, upload)
        doing = request.POST.get("do")
        if doing == "upload":
            return self._take(request)
        if upload is None:
            messages.error(request, "There is no file to import: upload one.")
        elif doing == "preview":
            return self._look(request, upload)
        elif doing == "import":
            self._import(request, upload)
        elif doing == "discard":
            upload.delete()
        return redirect(ADDRESS)

    def rejects_view(self, request: HttpRequest) -> HttpResponse:
        """Return the rejected lines as a file: to be corrected, and imported with the same options."""
        _require(request)
        upload = ExpenseUpload.objects.filter(user=request.user.pk).first()
        if upload is None or not upload.options:
            raise Http404
        return HttpResponse(
            upload.rejects if upload.imported_at else _rejects(upload),
            content_type="text/csv",
            headers={"Content-Disposition": 'attachment; filename="rejected.csv"'},
        )

    def _take(self, request: HttpRequest) -> HttpResponse:
        form = UploadForm(request.POST, request.FILES)
        if not form.is_valid():
            return self._page(request, None, upload_form=form)
        file, now = form.cleaned_data["file"], timezone.now()
        ExpenseUpload.objects.filter(uploaded_at__lt=now - KEPT).delete()
        given = {"name": file.name[:MAX_NAME], "content": file.read(), "uploaded_at": now}
        nothing: dict[str, Any] = {"options": {}, "imported_at": None, "report": None, "rejects": None}
        ExpenseUpload.objects.update_or_create(user_id=_user(request), defaults={**given, **nothing})
        return redirect(ADDRESS)

    def _look(self, request: HttpRequest, upload: ExpenseUpload) -> HttpResponse:
        """Keep how the file is to be read, so that the page shows what it would do then."""
        content = bytes(upload.content)
        dialect = guessed(content)
        asked = Dialect(request.POST.get("delimiter") or dialect.delimiter, dialect.encoding)
        form = OptionsForm(_columns(content, asked, request.POST.get("encoding")), request.POST)
        if not form.is_valid():
            return self._page(request, upload, options_form=form)
        ExpenseUpload.objects.filter(pk=upload.pk).update(
            options=form.cleaned_data, imported_at=None, report=None, rejects=None
        )
        return redirect(ADDRESS)

    def _import(self, request: HttpRequest, upload: ExpenseUpload) -> None:
        """Import the file as it was looked at. To repeat it changes nothing: what is in is recognised."""
        if not upload.options:
            messages.error(request, "Look at what would be imported first.")
            return
        asked = options(upload.options)
        text = io.StringIO(newline="")
        try:
            with closing(Import(BytesIO(bytes(upload.content)), asked)) as importing:
                rejects = RejectsFile(text, importing.columns, asked.dialect)
                report = importing.run(Listeners(rejection=rejects.write))
        except CannotImport as error:
            messages.error(request, f"Nothing went in. {said(error)}")
            return
        _done(upload, report.as_dict(), _encoded(text, asked.dialect), timezone.now())
        counts = f"{report.added_count:,} added, {report.unchanged_count:,} unchanged, {report.rejected:,} rejected."
        level = messages.WARNING if report.rejected else messages.SUCCESS
        messages.add_message(request, level, f"{report.rows:,} rows: {counts}")

    def _page(
        self,
        request: HttpRequest,
        upload: ExpenseUpload | None,
        upload_form: UploadForm | None = None,
        options_form: OptionsForm | None = None,
    ) -> HttpResponse:
        context: dict[str, Any] = {
            **self.admin_site.each_context(request),
            "title": "Import expenses",
            "opts": self.opts,
            "media": self.media,
            "upload": upload,
            "upload_form": upload_form or UploadForm(),
            "list_url": reverse("admin:expenses_expense_changelist"),
            "rejects_url": reverse(f"{ADDRESS}_rejects"),
        }
        if upload is not None:
            context |= _shown(upload, options_form, request.GET.get("from", ""))
        return TemplateResponse(request, "expenses/admin/import.html", context)


def _user(request: HttpRequest) -> int:
    """Return the key of the user, who has permissions and so is logged in."""
    key: int | None = request.user.pk
    if key is None:
        raise PermissionDenied
    return key


def _require(request: HttpRequest) -> None:
    if not may_import(request):
        raise PermissionDenied


def _columns(content: bytes, dialect: Dialect, encoding: str | None = None) -> list[str]:
    """Return the names of the columns, none where the header cannot be read so."""
    try:
        return header(content, Dialect(dialect.delimiter, encoding or dialect.encoding))
    except CannotImport:
        return []


def _shown(upload: ExpenseUpload, form: OptionsForm | None, first: str) -> dict[str, Any]:
    """Return what the page shows of a file: the form, what it would do, what it did."""
    content = bytes(upload.content)
    if form is not None:
        return {"options_form": form}
    if not upload.options:
        dialect = guessed(content)
        initial = {"delimiter": dialect.delimiter, "encoding": dialect.encoding}
        return {"options_form": OptionsForm(_columns(content, dialect), initial=initial)}
    asked = options(upload.options)
    form = OptionsForm(_columns(content, asked.dialect), initial=upload.options)
    if upload.imported_at:
        return {"options_form": form, "report": upload.report}
    window = Window(int(first) if first.isdecimal() and len(first) < 10 else 1, LINES_SHOWN)  # noqa: PLR2004 - a number
    try:
        with closing(Import(BytesIO(content), asked)) as importing:
            foresight = Foresight(importing, window).look()
    except CannotImport as error:
        return {"options_form": form, "problem": said(error)}
    report = foresight.report
    refused = bool(report.rejected) and asked.strict
    return {
        "options_form": form,
        "foresight": foresight,
        "report": report.as_dict(),
        "refused": refused,
        "importable": bool(report.added_count) and not refused,
    }


def _rejects(upload: ExpenseUpload) -> bytes:
    """Return the lines that an import would reject, as a file."""
    asked = options(upload.options)
    text = io.StringIO(newline="")
    try:
        with closing(Import(BytesIO(bytes(upload.content)), asked)) as importing:
            rejects = RejectsFile(text, importing.columns, asked.dialect)
            Foresight(importing, rejected=rejects.write).look()
    except CannotImport as error:
        csv.writer(text).writerow([said(error)])
    return _encoded(text, asked.dialect)


def _encoded(text: io.StringIO, dialect: Dialect) -> bytes:
    return text.getvalue().encode(dialect.encoding, "backslashreplace")


def _done(upload: ExpenseUpload, report: dict[str, Any], rejects: bytes, now: dt.datetime) -> None:
    ExpenseUpload.objects.filter(pk=upload.pk).update(imported_at=now, report=report, rejects=rejects)
