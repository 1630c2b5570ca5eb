"""What the environment may say, and what is said of what it may not."""

from __future__ import annotations

import pytest
from django.core.exceptions import ImproperlyConfigured

from config.environment import number, rate, whole

pytestmark = pytest.mark.once


@pytest.mark.parametrize(("text", "value"), [("", 5.0), ("  ", 5.0), ("2.5", 2.5), (" 3 ", 3.0), ("0", 0.0)])
def test_a_number_is_read(text: str, value: float, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NAME", text)
    assert number("NAME", 5) == value


def test_what_is_not_set_is_the_default(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("NAME", raising=False)
    assert (number("NAME", 5), whole("NAME", 7), rate("NAME", "2/h")) == (5.0, 7, (2, 3600))


@pytest.mark.parametrize("text", ["five", "-1", "inf", "nan", "1,5"])
def test_what_is_no_number_is_refused_by_its_name(text: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NAME", text)
    with pytest.raises(ImproperlyConfigured, match="NAME"):
        number("NAME", 5)


@pytest.mark.parametrize("text", ["1.5", "0", "-1"])
def test_what_is_no_whole_number_is_refused(text: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NAME", text)
    with pytest.raises(ImproperlyConfigured, match="NAME"):
        whole("NAME", 5, least=1)


@pytest.mark.parametrize(
    ("text", "value"), [("600/min", (600, 60)), ("1/s", (1, 1)), ("", None), (" 9/day ", (9, 86_400))]
)
def test_a_rate_is_read(text: str, value: tuple[int, int] | None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NAME", text)
    assert rate("NAME", "5/min") == value


@pytest.mark.parametrize("text", ["600", "0/min", "-1/min", "a/min", "1/year", "1/", "/min", "²/min"])
def test_what_is_no_rate_is_refused(text: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NAME", text)
    with pytest.raises(ImproperlyConfigured, match="NAME"):
        rate("NAME", "5/min")
