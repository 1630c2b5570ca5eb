"""The schema is written down, so that a change of the contract shows in review, and has examples of everything."""

from __future__ import annotations

import re
from typing import Any

import pytest
import yaml
from django.core.management import call_command
from jsonschema import Draft202012Validator, FormatChecker

from api import examples
from tests.processes import ROOT

FILE = ROOT / "docs" / "reference" / "openapi.yaml"
SCHEMA: dict[str, Any] = yaml.safe_load(FILE.read_text())
OPERATIONS = [(path, method) for path, methods in SCHEMA["paths"].items() for method in methods]


def operation(path: str, method: str) -> dict[str, Any]:
    found: dict[str, Any] = SCHEMA["paths"][path][method]
    return found


def assert_valid(value: Any, schema: dict[str, Any]) -> None:
    """Check a value against a schema whose references lead into the whole file."""
    whole = {"$schema": Draft202012Validator.META_SCHEMA["$id"], **schema, "components": SCHEMA["components"]}
    Draft202012Validator(whole, format_checker=FormatChecker()).validate(value)


def bodies(path: str, method: str) -> dict[str, dict[str, Any]]:
    """Return the content of what is sent and of what comes back when all is well, by a name for each."""
    found = {"request": operation(path, method).get("requestBody", {})}
    found |= {status: answer for status, answer in operation(path, method)["responses"].items() if status[0] == "2"}
    return {
        f"{name} {media_type}": content
        for name, body in found.items()
        for media_type, content in body.get("content", {}).items()
    }


def test_the_file_is_what_the_code_gives(capsys: pytest.CaptureFixture[str]) -> None:
    call_command("spectacular", "--validate", "--fail-on-warn")
    written = capsys.readouterr().out
    assert FILE.read_text() == written, "The contract has changed: `make schema` writes it down, see CONTRIBUTING.md."


@pytest.mark.parametrize(("path", "method"), OPERATIONS)
def test_every_body_has_an_example_that_is_valid(path: str, method: str) -> None:
    for name, content in bodies(path, method).items():
        assert "example" in content, name
        assert_valid(content["example"], content["schema"])


@pytest.mark.parametrize(("path", "method"), OPERATIONS)
def test_examples_of_parameters_are_valid(path: str, method: str) -> None:
    for parameter in operation(path, method).get("parameters", ()):
        if "example" in parameter:
            assert_valid(parameter["example"], parameter["schema"])


def test_no_example_is_of_what_is_not_there() -> None:
    shown = {*examples.SENT, *examples.ANSWERED}
    assert shown <= set(OPERATIONS)
    for path, method in shown:
        sent, answered = (kind.get((path, method), {}) for kind in (examples.SENT, examples.ANSWERED))
        media_types = {re.sub(r"^\w+ ", "", name) for name in bodies(path, method)}
        assert {*sent, *answered} <= media_types


@pytest.mark.parametrize(("path", "method"), OPERATIONS)
def test_every_refusal_is_a_problem(path: str, method: str) -> None:
    refusals = {s: r for s, r in operation(path, method)["responses"].items() if s[0] in "45"}
    assert {"400", "401", "403", "406", "503"} <= set(refusals)
    for answer in refusals.values():
        assert answer["content"].keys() == {"application/problem+json"}
