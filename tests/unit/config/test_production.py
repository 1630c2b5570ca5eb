"""Deployment of ABUSE: which keys the service refuses to start with."""

from __future__ import annotations

import pytest
from django.core.exceptions import ImproperlyConfigured

from config.production import refuse_weak_key

pytestmark = pytest.mark.once


@pytest.mark.parametrize(
    "key", ["", None, b"", "django-insecure-" + "x7Kq" * 20, "short", "abcdefghij" * 4 + "abcdefghi", "ab" * 50]
)
def test_a_weak_key_is_refused(key: object) -> None:
    with pytest.raises(ImproperlyConfigured, match="SECRET_KEY") as caught:
        refuse_weak_key(key)
    assert "secrets.token_urlsafe(50)" in str(caught.value)
    assert not key or str(key) not in str(caught.value)


@pytest.mark.parametrize("key", ["abcdefghij" * 5, b"abcde" * 10])
def test_a_strong_key_is_taken(key: str | bytes) -> None:
    refuse_weak_key(key)
