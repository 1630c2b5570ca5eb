"""Rates of ABUSE: a burst is answered with 429 and Retry-After."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.core.cache import caches
from rest_framework.test import APIClient

from api.file_cache import FileCache
from expenses.models import Expense
from tests.integration.api.conftest import CATEGORIES, EXPENSES, TOTALS, assert_problem, client_of

ALLOWED = 3
PERIOD = 10**9  # seconds: none ends while a test runs


@pytest.fixture(autouse=True)
def limited(db: None, settings: Any, tmp_path: Path) -> None:
    """Let a client send three requests."""
    settings.RATE_LIMIT = (ALLOWED, PERIOD)
    backend = {"BACKEND": "api.file_cache.FileCache", "LOCATION": str(tmp_path / "new" / "cache.sqlite3")}
    settings.CACHES = {"default": backend}


def use_up(client: APIClient, path: str = CATEGORIES) -> None:
    for _ in range(ALLOWED):
        assert client.get(path).status_code != 429


def test_a_burst_of_a_user_is_429_with_retry_after(api: APIClient) -> None:
    use_up(api)
    response = api.get(TOTALS)
    assert_problem(response, 429, "too-many-requests")
    assert 0 < int(response["Retry-After"]) <= PERIOD
    assert response["Cache-Control"] == "private"


def test_a_user_is_counted_whatever_token_and_address_he_comes_with(owner: User) -> None:
    use_up(client_of(owner))
    other = client_of(owner)
    assert_problem(other.get(CATEGORIES, REMOTE_ADDR="192.0.2.7"), 429)


def test_users_are_counted_apart(api: APIClient, stranger: User) -> None:
    use_up(api)
    assert client_of(stranger).get(CATEGORIES).status_code == 200


def test_a_request_that_is_refused_writes_nothing(api: APIClient, new: dict[str, Any]) -> None:
    use_up(api)
    assert_problem(api.post(EXPENSES, new), 429)
    assert not Expense.objects.exists()


@pytest.mark.parametrize("header", ["", "Token wrong"])
def test_requests_without_credentials_and_with_wrong_ones_count_for_the_address(header: str) -> None:
    client = APIClient(headers={"authorization": header}, REMOTE_ADDR="192.0.2.1")
    for _ in range(ALLOWED):
        assert_problem(client.get(CATEGORIES), 401)
    assert_problem(client.get(CATEGORIES), 429)
    assert_problem(client.get(CATEGORIES, REMOTE_ADDR="192.0.2.2"), 401)


def test_refusals_count_as_well(api: APIClient) -> None:
    for _ in range(ALLOWED):
        assert_problem(api.post(CATEGORIES, {"name": "Mine"}), 403)
    assert_problem(api.get(CATEGORIES), 429)


def test_the_schema_counts_and_the_probes_do_not() -> None:
    client = APIClient(REMOTE_ADDR="192.0.2.1")
    use_up(client, "/api/schema/")
    assert_problem(client.get("/api/schema/"), 429)
    assert [client.get(path).status_code for path in ("/livez", "/readyz")] == [200, 200]


def test_behind_proxies_the_address_is_the_one_that_the_outermost_saw(settings: Any) -> None:
    settings.PROXIES = 2
    proxied = {"REMOTE_ADDR": "10.0.0.1", "HTTP_X_FORWARDED_FOR": "made up, 192.0.2.1, 10.0.0.2"}
    use_up(APIClient(**proxied))
    again = {**proxied, "HTTP_X_FORWARDED_FOR": "made up as well, 192.0.2.1, 10.0.0.2"}
    assert_problem(APIClient(**again).get(CATEGORIES), 429)
    other = {**proxied, "HTTP_X_FORWARDED_FOR": "192.0.2.1, 192.0.2.2, 10.0.0.2"}
    assert_problem(APIClient(**other).get(CATEGORIES), 401)


def test_without_proxies_nobody_can_make_up_an_address() -> None:
    for i in range(ALLOWED):
        APIClient(HTTP_X_FORWARDED_FOR=f"192.0.2.{i}").get(CATEGORIES)
    assert_problem(APIClient(HTTP_X_FORWARDED_FOR="192.0.2.99").get(CATEGORIES), 429)


def test_no_limit_counts_nothing(api: APIClient, settings: Any) -> None:
    settings.RATE_LIMIT = None
    use_up(api)
    assert api.get(CATEGORIES).status_code == 200


def test_without_a_cache_the_service_answers_all_the_same(
    api: APIClient, settings: Any, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    folder = tmp_path / "folder"
    folder.mkdir()
    settings.CACHES = {"default": {"BACKEND": "api.file_cache.FileCache", "LOCATION": str(folder)}}
    use_up(api)
    assert api.get(CATEGORIES).status_code == 200
    assert "not counted" in caplog.text


def test_no_count_is_lost_where_many_count_at_once(tmp_path: Path) -> None:
    path = str(tmp_path / "cache.sqlite3")
    FileCache(path, {}).add("hits", 0, timeout=None)

    def count(_: int) -> None:
        cache = FileCache(path, {})
        for _ in range(50):
            cache.incr("hits")

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(count, range(4)))
    assert FileCache(path, {}).get("hits") == 200


def test_the_cache_is_as_others_are() -> None:
    cache = caches["default"]
    cache.set("one", {"a": [1]})
    assert cache.get("one") == {"a": [1]}
    assert not cache.add("one", 2)
    assert cache.touch("one")
    assert "one" in cache
    assert cache.delete("one")
    assert not cache.delete("one")
    assert not cache.touch("one")
    assert cache.get("one", "nothing") == "nothing"
    with pytest.raises(ValueError, match="one"):
        cache.incr("one")
    cache.set_many({"a": 1, "b": 2})
    cache.clear()
    assert cache.get_many(["a", "b"]) == {}


def test_what_has_expired_is_not_there() -> None:
    cache = caches["default"]
    cache.set("old", 1, timeout=-1)
    assert cache.get("old") is None
    assert not cache.touch("old")
    with pytest.raises(ValueError, match="old"):
        cache.incr("old")
    assert cache.add("old", 5)
    assert cache.incr("old", 2) == 7


def test_what_has_expired_is_swept_away(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("api.file_cache.SWEEP_EVERY", 3)
    cache = caches["default"]
    for name in "abc":
        cache.add(name, 1, timeout=-1)
    cache.add("d", 1)
    assert cache._run("SELECT count(*) FROM entries") == [(1,)]
