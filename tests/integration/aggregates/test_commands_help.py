"""The help of every command: examples that can be run as they stand, and what each exit status means."""

from __future__ import annotations

import re
import shlex
from itertools import groupby

import pytest
from django.core.management import get_commands, load_command_class
from django.core.management.base import BaseCommand

from aggregates.management import base
from tests.processes import ROOT

pytestmark = pytest.mark.once

APPS = ("aggregates", "expenses", "api", "config")
COMMANDS = sorted(name for name, app in get_commands().items() if app in APPS)


def command(name: str) -> base.Command:
    found = load_command_class(get_commands()[name], name)
    assert isinstance(found, base.Command)
    return found


def shown(name: str) -> str:
    return command(name).create_parser("manage.py", name).format_help()


def section(text: str, title: str) -> list[str]:
    """Return the lines of a section at the end of a help text."""
    after = text.partition(f"\n{title}:\n")[2]
    return after.partition("\n\n")[0].splitlines()


def examples(name: str) -> list[list[str]]:
    """Return the words of each command line in the examples, one for each side of a pipe."""
    lines = "\n".join(section(shown(name), "Examples")).replace("\\\n", " ").splitlines()
    words = [shlex.split(line) for line in lines if not line.strip().startswith("#")]
    return [list(part) for line in words for pipe, part in groupby(line, lambda word: word == "|") if not pipe]


def test_every_command_is_here() -> None:
    assert {"verify_totals", "rebuild_totals", "totals_status", "fold_totals"} <= set(COMMANDS)
    assert {"import_expenses", "load_demo_data", "purge", "create_roles"} <= set(COMMANDS)


@pytest.mark.parametrize("name", COMMANDS)
def test_the_help_has_examples_of_the_command_itself(name: str) -> None:
    found = examples(name)
    assert len(found) > 1
    assert ["manage.py", name] in [words[:2] for words in found]
    assert all("# " in line for line in section(shown(name), "Examples")[:1])


@pytest.mark.parametrize("name", COMMANDS)
def test_the_examples_can_be_run_as_they_stand(name: str) -> None:
    for program, called, *arguments in examples(name):
        assert program == "manage.py"
        command(called).create_parser("manage.py", called).parse_args(arguments)


@pytest.mark.parametrize("name", COMMANDS)
def test_the_help_says_what_each_exit_status_means(name: str) -> None:
    statuses = [line.split()[0] for line in section(shown(name), "Exit status")]
    assert statuses == sorted(statuses)
    assert {"0", "2"} <= set(statuses)


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_prints_json_where_it_is_asked_to(name: str) -> None:
    assert re.search(r"--format \{text,json", shown(name))


def test_a_description_is_wrapped_and_examples_are_not(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    text = shown("rebuild_totals")
    assert max(map(len, text.partition("\nExamples:\n")[0].splitlines())) <= 80
    rest = section(text, "Examples")
    assert "  manage.py verify_totals --format json | manage.py rebuild_totals --from-report -" in rest


@pytest.mark.parametrize("name", COMMANDS)
def test_the_reference_has_every_command_and_every_option_of_its_own(name: str) -> None:
    text = (ROOT / "docs" / "reference" / "commands.md").read_text(encoding="utf-8")
    assert f"\n## {name}\n" in text
    common = set(BaseCommand().create_parser("manage.py", "any")._option_string_actions)
    options = {
        option
        for option in command(name).create_parser("manage.py", name)._option_string_actions
        if option not in common and option.startswith("--")
    }
    assert {option for option in options if f"`{option}" not in text} == set()
