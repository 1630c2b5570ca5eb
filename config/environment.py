"""What the environment may say, read with a message that names the variable at fault."""

from __future__ import annotations

import environ
from django.core.exceptions import ImproperlyConfigured

env = environ.Env()
SECONDS = {"s": 1, "sec": 1, "min": 60, "h": 3600, "hour": 3600, "day": 86_400}


def number(name: str, default: float, *, least: float = 0) -> float:
    """Return a number, such as 2.5; raise ImproperlyConfigured for anything else and below ``least``."""
    text = env.str(name, default="").strip()
    try:
        value = float(text) if text else default
    except ValueError:
        raise ImproperlyConfigured(f"{name} is {text!r}: set a number, or leave it out for {default:g}.") from None
    if not least <= value < float("inf"):
        raise ImproperlyConfigured(f"{name} is {text}: set {least:g} or more.")
    return value


def whole(name: str, default: int, *, least: int = 0) -> int:
    """Return a whole number; raise ImproperlyConfigured for anything else and below ``least``."""
    value = number(name, default, least=least)
    if value != int(value):
        raise ImproperlyConfigured(f"{name} is {value:g}: set a whole number.")
    return int(value)


def rate(name: str, default: str) -> tuple[int, int] | None:
    """Return a number and the seconds in which it is reached, of a text such as 600/min; None for an empty one."""
    text = env.str(name, default=default).strip()
    count, _, period = text.partition("/")
    if not text:
        return None
    if not (count.isascii() and count.isdigit() and int(count) and period in SECONDS):
        raise ImproperlyConfigured(f"{name} is {text!r}: set a rate such as 600/min, or nothing for none.")
    return int(count), SECONDS[period]
