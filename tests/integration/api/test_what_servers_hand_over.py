"""What comes with a request before it is known who sends it: headers that cannot be read, forms without end."""

from __future__ import annotations

import io
import json
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.test import Client
from django.test.client import RequestFactory
from rest_framework.test import APIClient

from config.requests import WSGI
from config.uploads import MAX_FORM
from tests.integration.api.conftest import EXPENSES, assert_problem

pytestmark = pytest.mark.django_db
LOGIN = "/api/v1/auth/login/"
FILE = b'--b\r\nContent-Disposition: form-data; name="f"; filename="f"\r\n\r\n'


@pytest.fixture
def uploads(settings: Any, tmp_path: Path) -> Path:
    """Return the folder in which files of forms are kept while they are read."""
    settings.FILE_UPLOAD_TEMP_DIR = str(tmp_path)
    return tmp_path


@pytest.fixture
def written(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Return the names of temporary files, each as it is made."""
    names: list[str] = []
    make: Callable[..., Any] = tempfile.NamedTemporaryFile

    def told(*arguments: Any, **more: Any) -> Any:
        file = make(*arguments, **more)
        names.append(file.name)
        return file

    monkeypatch.setattr("django.core.files.temp.NamedTemporaryFile", told)
    monkeypatch.setattr("django.core.files.uploadedfile.tempfile.NamedTemporaryFile", told)
    return names


def form(size: int) -> bytes:
    """Return a form with a file that has this many bytes in all."""
    end = b"\r\n--b--\r\n"
    return FILE + b"x" * (size - len(FILE) - len(end)) + end


def served(method: str, path: str, content_type: str) -> tuple[int, dict[str, str], bytes]:
    """Return what the application for WSGI answers, called as a server calls it."""
    environ = RequestFactory().generic(method, path, b"{}").environ
    environ |= {"CONTENT_TYPE": content_type, "wsgi.errors": io.StringIO()}
    began: dict[str, Any] = {}
    response = WSGI()(environ, lambda status, headers: began.update(status=int(status[:3]), headers=dict(headers)))
    body = b"".join(response)
    response.close()
    return began["status"], began["headers"], body


@pytest.mark.parametrize(
    "unreadable",
    ["application/json; charset*=bogus''%41", "multipart/form-data; boundary*=bogus''%41", "x; a*=\0''%41"],
)
def test_a_content_type_that_cannot_be_read_is_none(unreadable: str) -> None:
    status, headers, body = served("POST", LOGIN, unreadable)
    assert (status, headers["Content-Type"]) == (415, "application/problem+json")
    assert json.loads(body)["status"] == 415
    assert served("GET", "/livez", unreadable)[0] == 200
    assert served("GET", "/login/", unreadable)[0] == 200


@pytest.mark.parametrize("path", ["/login/", "/admin/login/", "/logout/", "/admin/"])
def test_a_page_takes_no_file_of_any_size_from_anybody(path: str, uploads: Path, written: list[str]) -> None:
    client = Client(enforce_csrf_checks=True)
    client.get("/login/")
    sent = client.post(path, form(MAX_FORM + 1), content_type="multipart/form-data; boundary=b")
    assert sent.status_code in (413, 302 if path == "/admin/" else 413)
    assert not written


def test_the_api_takes_none_from_a_session_either(owner: User, uploads: Path, written: list[str]) -> None:
    client = APIClient(enforce_csrf_checks=True)
    client.force_login(owner)
    client.get("/login/")
    client.cookies["csrftoken"] = "a" * 32
    body = form(MAX_FORM + 1)
    assert_problem(client.generic("POST", EXPENSES, body, content_type="multipart/form-data; boundary=b"), 415)
    assert not written


def test_a_form_within_the_bound_is_read(uploads: Path, written: list[str]) -> None:
    client = Client()
    assert client.post("/login/", form(MAX_FORM), content_type="multipart/form-data; boundary=b").status_code == 200
    assert len(written) == 1
    assert list(uploads.iterdir()) == []


@pytest.mark.parametrize("cookie", ['"abcdefgh\\000x"', "é" * 40, "x" * 4000, "'; DROP TABLE django_session; --"])
def test_a_session_that_nobody_was_given_is_none(cookie: str) -> None:
    client = Client()
    client.cookies.load({"sessionid": "x"})
    response = client.get("/", headers={"Cookie": f"sessionid={cookie}"})
    assert (response.status_code, response["Location"]) == (302, "/login/?next=/")
