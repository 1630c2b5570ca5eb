"""How an event becomes a line: escaped, without secrets, for machines or for people."""

from __future__ import annotations

import json
import logging
import sys
from typing import Any

import pytest
import structlog

from config import logs

TRICK = 'x\n{"event": "forged"}\r\u2028\x1b[31m'


def line(format_: str, message: str, *arguments: Any, error: BaseException | None = None, **extra: Any) -> str:
    """Return what is written of an event that a module logs the plain way."""
    information = (type(error), error, error.__traceback__) if error else None
    record = logging.LogRecord("some.module", logging.WARNING, "module.py", 1, message, arguments, information)
    vars(record).update(extra)
    return logs.formatter(format_).format(record)


def event(message: str, *arguments: Any, **given: Any) -> dict[str, Any]:
    written: dict[str, Any] = json.loads(line("json", message, *arguments, **given))
    return written


def raised() -> BaseException:
    try:
        raise RuntimeError(TRICK)
    except RuntimeError as error:
        return error


def test_an_event_says_what_when_and_where() -> None:
    written = event("a %s thing", "strange", drifted=3)
    assert written.pop("timestamp").endswith("Z")
    assert written == {"event": "a strange thing", "level": "warning", "logger": "some.module", "drifted": 3}


@pytest.mark.parametrize("given", [{}, {"path": TRICK}, {"error": raised()}], ids=["message", "field", "traceback"])
def test_json_is_one_line_of_ascii_whatever_a_client_sends(given: dict[str, Any]) -> None:
    written = line("json", "%s", TRICK, **given)
    assert written.isascii()
    assert written.isprintable()
    assert json.loads(written)["event"] == TRICK


def test_a_traceback_is_one_text() -> None:
    told = event("it failed", error=raised())["exception"]
    assert told.startswith("Traceback (most recent call last):\n")
    assert "RuntimeError" in told


def test_for_people_an_event_is_one_line_too() -> None:
    written = line("console", "%s", TRICK, path=TRICK)
    assert written.isprintable()
    assert "strange" in line("console", "a %s thing", "strange")


def test_the_request_of_a_record_of_django_is_left_out() -> None:
    assert "request" not in event("Bad request", request="<WSGIRequest: GET '/?name=x'>")


@pytest.mark.parametrize(
    "given",
    [
        {"Authorization": "hunter22"},
        {"password": "hunter22"},
        {"api_token": "hunter22"},
        {"headers": {"Cookie": "hunter22", "X-CSRFToken": "hunter22"}},
        {"url": "/x?a=1&access_token=hunter22&b=2"},
        {"lines": ["password=hunter22"]},
        {"header": "Authorization: Token hunter22hunter22"},
        {"database": "postgres://service:hunter22@db/expenses"},
        {"text": "{'password': 'a horse, hunter22; and a battery'}"},
        {"text": '{"new_password": "a horse, hunter22 & a battery"}'},
        {"text": "psycopg.OperationalError: connection failed: postgresql://service:hunter22@db:5432/expenses?a=1"},
        {"text": "host=db user=service password=hunter22 dbname=expenses"},
        {"text": "Cookie: sessionid=hunter22; csrftoken=hunter22"},
    ],
    ids=str,
)
def test_secrets_are_hidden(given: dict[str, Any]) -> None:
    assert "hunter22" not in line("json", "%s", given, **given)
    assert "hunter22" not in line("console", "%s", given, **given)


@pytest.mark.parametrize("repeated", ["token-", "token='", "token: Bearer ", "a-", "Token ", "://a:", 'passw="', "://"])
def test_a_long_text_costs_no_more_than_its_length(repeated: str) -> None:
    """Else one request with a strange address would keep a worker busy for minutes: this ends the run then."""
    text = repeated * (100_000 // len(repeated))
    assert len(event("%s", text)["event"]) <= len(text) * 2


@pytest.mark.parametrize("format_", ["json", "console"])
def test_a_traceback_hides_secrets(format_: str) -> None:
    try:
        raise RuntimeError(
            "cannot connect to postgres://service:hunter22@db/expenses, Authorization: Token hunter22hunter22"
        )
    except RuntimeError as error:
        told = line(format_, "it failed", error=error)
    assert "Traceback" in told
    assert "hunter22" not in told


def test_what_is_no_secret_stays() -> None:
    told = {"path": "/api/v1/expenses/?a=1", "user_id": 3, "tokens_gone": 4, "database": "postgres://db:5432/expenses"}
    assert {name: event("told", **told)[name] for name in ("path", "user_id", "database")} == {
        name: told[name] for name in ("path", "user_id", "database")
    }


def test_events_of_structlog_go_the_same_way(caplog: pytest.LogCaptureFixture) -> None:
    logs.configure()
    with structlog.contextvars.bound_contextvars(request_id="r-1"):
        structlog.get_logger("some.module").error("told", password="hunter22", amount="1.50")
    written = json.loads(logs.formatter("json").format(caplog.records[-1]))
    written.pop("timestamp")
    assert written == {
        "event": "told", "level": "error", "logger": "some.module", "request_id": "r-1",
        "password": logs.HIDDEN, "amount": "1.50",
    }  # fmt: skip


@pytest.mark.parametrize(
    ("environment", "on_a_terminal", "chosen"),
    [
        ({}, False, ("json", "INFO")),
        ({}, True, ("console", "INFO")),
        ({"DEBUG": "true"}, False, ("console", "INFO")),
        ({"DEBUG": "true", "LOG_FORMAT": "json", "LOG_LEVEL": "debug"}, True, ("json", "DEBUG")),
        ({"LOG_FORMAT": "console", "LOG_LEVEL": "WARNING"}, False, ("console", "WARNING")),
    ],
)
def test_the_format_suits_who_reads_it(
    monkeypatch: pytest.MonkeyPatch, environment: dict[str, str], on_a_terminal: bool, chosen: tuple[str, str]
) -> None:
    for name in ("DEBUG", "LOG_FORMAT", "LOG_LEVEL"):
        monkeypatch.delenv(name, raising=False)
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr(sys.stderr, "isatty", lambda: on_a_terminal)
    assert logs.chosen() == chosen


@pytest.mark.parametrize(("name", "value"), [("LOG_FORMAT", "xml"), ("LOG_LEVEL", "loud")])
def test_a_format_or_level_that_does_not_exist_is_refused(
    monkeypatch: pytest.MonkeyPatch, name: str, value: str
) -> None:
    monkeypatch.setenv(name, value)
    with pytest.raises(ValueError, match=f"{name} is"):
        logs.chosen()
