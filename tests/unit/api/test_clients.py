"""Under which address a client is counted."""

from __future__ import annotations

from typing import Any

import pytest
from django.test import RequestFactory

from api.clients import address_of, counted

pytestmark = pytest.mark.once


@pytest.mark.parametrize(
    ("text", "address"),
    [
        ("192.0.2.1", "192.0.2.1"),
        ("::ffff:192.0.2.1", "192.0.2.1"),
        ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::"),
        ("2001:db8:1:2::9", "2001:db8:1:2::"),
        ("fe80::1%eth0", "fe80::"),
        ("", None),
        ("unix:", None),
        ("192.0.2.1:443", None),
        ("192.0.2.256", None),
        ("' OR 1=1 --", None),
    ],
)
def test_an_address_is_counted_by_what_a_client_cannot_change(text: str, address: str | None) -> None:
    assert counted(text) == address


@pytest.mark.parametrize(
    ("proxies", "forwarded", "address"),
    [
        (0, "192.0.2.1", "10.0.0.1"),
        (1, "192.0.2.1", "192.0.2.1"),
        (1, "made up,192.0.2.1", "192.0.2.1"),
        (2, "made up, 192.0.2.1 , 10.0.0.2", "192.0.2.1"),
        (2, "192.0.2.1", "192.0.2.1"),
        (1, "", "10.0.0.1"),
        (1, "nonsense", None),
    ],
)
def test_as_many_proxies_are_believed_as_there_are(
    proxies: int, forwarded: str, address: str | None, settings: Any
) -> None:
    settings.PROXIES = proxies
    headers = {"HTTP_X_FORWARDED_FOR": forwarded} if forwarded else {}
    assert address_of(RequestFactory().get("/", REMOTE_ADDR="10.0.0.1", **headers)) == address
