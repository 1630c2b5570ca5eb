"""Bodies that are no JSON object, and addresses that lead nowhere: always problem+json."""

from __future__ import annotations

from typing import Any

import pytest
from rest_framework.test import APIClient

from expenses.models import Expense
from tests.integration.api.conftest import EXPENSES, assert_problem

MALFORMED = {
    "half an object": b"{",
    "deep arrays": b"[" * 100_000,
    "deep objects": b'{"a":' * 50_000,
    "deep and closed": b"[" * 100_000 + b"]" * 100_000,
    "deep in a member": b'{"description": ' + b"[" * 500 + b"]" * 500 + b"}",
    "empty": b"",
    "an array": b"[]",
    "a string": b'"x"',
    "null": b"null",
    "a number": b"1",
    "no UTF-8": b"\xff",
    "another encoding": '{"a": 1}'.encode("utf-16"),
    "half a surrogate pair": b'{"description": "\\ud800"}',
    "half a surrogate pair in a name": b'{"\\ud800": 1}',
    "a name twice": b'{"amount": "1", "amount": "2"}',
    "an endless integer": b'{"amount": ' + b"9" * 5000 + b"}",
}


@pytest.mark.django_db(transaction=True)  # a refusal rolls back, also the transaction of a test
@pytest.mark.parametrize("body", MALFORMED.values(), ids=MALFORMED.keys())
@pytest.mark.parametrize("method", ["post", "put", "patch"])
def test_a_body_that_is_no_json_object_is_400(api: APIClient, spend: Any, method: str, body: bytes) -> None:
    before = Expense.objects.filter(pk=spend().pk).values().get()
    path = EXPENSES if method == "post" else f"{EXPENSES}{before['id']}/"
    assert_problem(api.generic(method.upper(), path, body, content_type="application/json"), 400)
    assert [*Expense.objects.values()] == [before]


@pytest.mark.parametrize(
    "media_type", ["text/plain", "application/xml", "multipart/form-data; boundary=x", "x", "a/b/c"]
)
def test_a_body_of_another_media_type_is_415(api: APIClient, media_type: str) -> None:
    assert_problem(api.generic("POST", EXPENSES, b"<a/>", content_type=media_type), 415)


def test_a_form_is_415(api: APIClient) -> None:
    response = api.generic("POST", EXPENSES, b"amount=1", content_type="application/x-www-form-urlencoded")
    assert_problem(response, 415)


def test_multipart_without_boundary_is_400(api: APIClient) -> None:
    assert_problem(api.generic("POST", EXPENSES, b"--x", content_type="multipart/form-data"), 400)


def test_a_body_of_3_megabytes_is_413(api: APIClient) -> None:
    body = b'{"description": "' + b"x" * 3_000_000 + b'"}'
    assert_problem(api.generic("POST", EXPENSES, body, content_type="application/json"), 413, "too-large")


def test_a_body_longer_than_announced_is_not_read_past_the_limit(api: APIClient) -> None:
    body = b'{"description": "' + b"x" * 2_000_000 + b'"}'
    response = api.generic("POST", EXPENSES, body, content_type="application/json", CONTENT_LENGTH="2000")
    assert_problem(response, 400)


def test_a_wrong_host_is_400(api: APIClient) -> None:
    assert_problem(api.get(EXPENSES, HTTP_HOST="evil.example"), 400)


@pytest.mark.parametrize(
    "path", ["/api/", "/api/v1/", "/api/v2/expenses/", f"{EXPENSES}1/", f"{EXPENSES}%00/", "/api/v1/x"]
)
@pytest.mark.parametrize("method", ["get", "post", "delete"])
def test_an_address_that_leads_nowhere_is_404(api: APIClient, path: str, method: str) -> None:
    assert_problem(getattr(api, method)(path), 404, "not-found")


def test_a_missing_slash_is_404_and_named(api: APIClient) -> None:
    assert "slash" in assert_problem(api.post("/api/v1/expenses", {}), 404)["detail"]


def test_a_path_without_a_view_needs_no_csrf_token() -> None:
    assert_problem(APIClient(enforce_csrf_checks=True).post("/api/nowhere/"), 404)


@pytest.mark.parametrize("method", ["PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "PROPFIND"])
def test_a_method_that_is_not_offered_is_405_and_names_those_that_are(api: APIClient, method: str) -> None:
    response = api.generic(method, EXPENSES)
    assert_problem(response, 405)
    assert response["Allow"] == "GET, POST, HEAD"


def test_an_answer_in_no_accepted_media_type_is_406(api: APIClient) -> None:
    assert_problem(api.get(EXPENSES, HTTP_ACCEPT="image/png"), 406)


def test_a_path_elsewhere_gets_an_ordinary_page(api: APIClient) -> None:
    assert api.get("/nowhere")["Content-Type"].startswith("text/html")
