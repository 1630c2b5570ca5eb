"""Logs: one event a line on standard error, as JSON or, for people, as text.

Nothing here needs Django's settings: gunicorn's master logs the same way, and has none.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Sequence
from typing import Any

import environ
import structlog
from structlog.types import EventDict, Processor

FORMATS = ("json", "console")
LEVELS = ("DEBUG", "INFO", "WARNING", "ERROR", "CRITICAL")
HIDDEN = "[hidden]"
SECRET_NAMES = re.compile(r"authorization|cookie|csrf|passw|secret|session|token|api_?key", re.IGNORECASE)
# Takes time in proportion to the text, whatever a client sends: what repeats is bounded, and gives nothing back (`+`).
SECRETS_IN_TEXT = re.compile(
    r"(?P<name>(?:authorization|cookie|csrf|passw|secret|session|token|api_?key)[\w.-]{0,100}+"
    r"['\"]?(?:=|: ?)(?:(?:Basic|Bearer|Token) {1,9}+)?)"  # in a query string, a header or a dictionary
    r"(?:'[^']{0,4096}+'|\"[^\"]{0,4096}+\"|['\"]?[^\s&;,'\"]+)"
    r"|(?P<scheme>\b(?:Basic|Bearer|Token) {1,9}+)[\w.~+/=-]{8,}"
    r"|(?P<user>://[^\s:/@]{0,200}+:)[^\s/@]+(?=@)",  # in the address of a database
    re.IGNORECASE,
)

Line = structlog.stdlib.ProcessorFormatter


def chosen() -> tuple[str, str]:
    """Return format and level: ``LOG_FORMAT`` and ``LOG_LEVEL``, or what suits whoever looks at standard error.

    Raises ValueError for one that does not exist.
    """
    env = environ.Env()
    for_people = env.bool("DEBUG", default=False) or sys.stderr.isatty()
    format_ = env.str("LOG_FORMAT", default="") or ("console" if for_people else "json")
    level = (env.str("LOG_LEVEL", default="") or "INFO").upper()
    for name, value, known in (("LOG_FORMAT", format_, FORMATS), ("LOG_LEVEL", level, LEVELS)):
        if value not in known:
            raise ValueError(f"{name} is {value!r}: write one of {', '.join(known)}.")
    return format_, level


def settings(format_: str, level: str) -> dict[str, Any]:
    """Return Django's ``LOGGING``: everything goes to standard error, for standard output is for data."""
    return {
        "version": 1,
        "disable_existing_loggers": False,
        "formatters": {"line": {"()": "config.logs.formatter", "format_": format_}},
        "handlers": {"stderr": {"class": "logging.StreamHandler", "formatter": "line"}},
        "root": {"handlers": ["stderr"], "level": level},
        "loggers": {
            # DEBUG of Django's tells the values of templates and statements.
            "django": {"handlers": [], "level": "INFO" if level == "DEBUG" else level},
            # What these two say of a request is in the one line that api.request_log writes of it.
            "django.request": {"level": "CRITICAL"},
            "django.server": {"handlers": [], "propagate": True, "level": "WARNING"},
        },
    }


def configure() -> None:
    """Send what is logged by structlog the way of everything else."""
    structlog.configure(
        processors=[
            structlog.stdlib.filter_by_level,
            *_whence(),
            structlog.stdlib.PositionalArgumentsFormatter(),
            Line.wrap_for_formatter,
        ],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.stdlib.BoundLogger,
        cache_logger_on_first_use=True,
    )


def formatter(format_: str) -> Line:
    """Return what makes one line of an event. Only a traceback, for people, has more."""
    console: list[Processor] = [
        _in_one_line,
        structlog.dev.ConsoleRenderer(colors=sys.stderr.isatty(), exception_formatter=structlog.dev.plain_traceback),
    ]
    return Line(
        foreign_pre_chain=[*_whence(), structlog.stdlib.ExtraAdder(), _without_request],
        processors=[
            Line.remove_processors_meta,
            structlog.processors.format_exc_info,
            hide_secrets,
            # JSON in ASCII: whatever a client sends, its line breaks and control characters are escaped.
            *([structlog.processors.JSONRenderer()] if format_ == "json" else console),
        ],
    )


def hide_secrets(logger: Any, method: str, event: EventDict) -> EventDict:
    """Return an event without what looks like a secret, by the name of its field or within its text."""
    return {key: _hidden(key, value) for key, value in event.items()}


def _hidden(key: str, value: Any) -> Any:
    if SECRET_NAMES.search(key):
        return HIDDEN
    if isinstance(value, str):
        return SECRETS_IN_TEXT.sub(_keeping_the_name, value)
    if isinstance(value, dict):
        return {str(name): _hidden(str(name), inner) for name, inner in value.items()}
    if isinstance(value, (list, tuple)):
        return [_hidden("", inner) for inner in value]
    return value


def _keeping_the_name(found: re.Match[str]) -> str:
    return f"{found[found.lastgroup or 0]}{HIDDEN}"


def _whence() -> Sequence[Processor]:
    """Return what says of an event when, where and during which request it came."""
    return (
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_logger_name,
        structlog.stdlib.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
    )


def _without_request(logger: Any, method: str, event: EventDict) -> EventDict:
    """Leave out the request that Django adds to its records: it would be told with its query string."""
    event.pop("request", None)
    return event


def _in_one_line(logger: Any, method: str, event: EventDict) -> EventDict:
    """Escape line breaks and control characters, which JSON does by itself; a traceback may have lines."""
    return {key: value if key == "exception" else _escaped(value) for key, value in event.items()}


def _escaped(value: Any) -> Any:
    if not isinstance(value, str) or value.isprintable():
        return value
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in value)
