"""docs/explanation/security.md: all items of both lists are there, and every test that it names."""

from __future__ import annotations

import ast
import re
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest
from django.apps import apps
from django.conf import settings
from django.db.models import FileField
from django.template import engines
from django.template.loaders.cached import Loader

from tests.processes import ROOT

pytestmark = pytest.mark.once
PAGE = (ROOT / "docs" / "explanation" / "security.md").read_text()
NAMED = re.compile(r"`(tests/[\w/]+\.py)::(\w+)`")
# As Django 5.2 has it.
CHECKLIST = (
    "`check --deploy`", "`runserver`", "`SECRET_KEY`", "`DEBUG`", "`ALLOWED_HOSTS`", "`CACHES`", "`DATABASES`",
    "`EMAIL_BACKEND`", "`STATIC_ROOT`, `STATIC_URL`", "`MEDIA_ROOT`, `MEDIA_URL`", "HTTPS", "`CSRF_COOKIE_SECURE`",
    "`SESSION_COOKIE_SECURE`", "`CONN_MAX_AGE`", "`TEMPLATES`", "`LOGGING`", "`ADMINS`, `MANAGERS`", "Error views",
)  # fmt: skip
SERVICE = ("aggregates", "api", "config", "expenses")
# What asks others, starts programs, or makes code of data.
NEVER = {
    "aiohttp", "asyncio", "ftplib", "http", "httpx", "marshal", "pickle", "requests", "shelve", "smtplib", "socket",
    "subprocess", "telnetlib", "urllib3", "xml", "xmlrpc", "yaml",
}  # fmt: skip
HARMLESS = {"http.HTTPStatus", "socket.SO_RCVTIMEO", "socket.SO_SNDTIMEO", "socket.SOL_SOCKET"}  # numbers
FOUND_ON_CALL = {"eval", "exec", "compile", "__import__"}


def sections() -> Iterator[tuple[str, str]]:
    """Yield each heading and what is below it, up to the next."""
    parts = re.split(r"^(##+ .*)$", PAGE, flags=re.MULTILINE)
    yield from zip(parts[1::2], parts[2::2], strict=True)


def defined_in(path: Path) -> set[str]:
    """Return the names of a module's tests."""
    return {node.name for node in ast.parse(path.read_text()).body if isinstance(node, ast.FunctionDef)}


def modules() -> Iterator[Path]:
    """Yield the modules of the service."""
    for folder in SERVICE:
        yield from (ROOT / folder).rglob("*.py")


def imported(tree: ast.AST) -> Iterator[str]:
    """Yield the full name of everything that a module imports."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def test_every_test_that_is_named_is_there() -> None:
    named = set(NAMED.findall(PAGE))
    assert len(named) > 100
    assert PAGE.count("`tests/") == len(NAMED.findall(PAGE)) + PAGE.count("`tests/…")
    missing = [f"{path}::{name}" for path, name in sorted(named) if name not in defined_in(ROOT / path)]
    assert not missing


def test_the_ten_are_there_each_with_its_tests() -> None:
    numbers = {}
    for heading, text in sections():
        if found := re.match(r"### API(\d+):2023 ", heading):
            numbers[int(found[1])] = len(NAMED.findall(text))
    assert list(numbers) == list(range(1, 11))
    assert all(numbers.values())


def test_every_item_of_the_checklist_is_there_with_its_test() -> None:
    text = dict(sections())["## Django's deployment checklist"]
    rows = dict(re.findall(r"^\| (.*?) \| .* \| (`tests/.*`) \|$", text, re.MULTILINE))
    assert tuple(rows) == CHECKLIST
    assert all(NAMED.findall(tests) for tests in rows.values())


@pytest.mark.parametrize("heading", ["Uploads", "Exports", "Logs", "Bad input", "What `make check` adds"])
def test_what_else_was_looked_at_has_tests(heading: str) -> None:
    assert NAMED.findall(dict(sections())[f"## {heading}"])


def test_the_service_asks_nobody_and_runs_nothing() -> None:
    for path in modules():
        tree = ast.parse(path.read_text())
        names = set(imported(tree))
        assert not {name for name in names - HARMLESS if name.split(".")[0] in NEVER}, path
        assert "urllib.request" not in {name.rpartition(".")[0] for name in names} | names, path
        called = {
            node.func.id for node in ast.walk(tree) if isinstance(node, ast.Call) and isinstance(node.func, ast.Name)
        }
        assert not called & FOUND_ON_CALL, path


def test_no_mail_is_sent_and_no_file_of_a_user_is_on_disk() -> None:
    assert [*settings.ADMINS, *settings.MANAGERS] == []
    assert "mail_admins" not in settings.LOGGING["handlers"]
    assert settings.LOGGING["loggers"]["django"]["handlers"] == []
    assert not [path for path in modules() if "django.core.mail" in set(imported(ast.parse(path.read_text())))]
    fields = [field for model in apps.get_models() for field in model._meta.get_fields()]
    assert not [field for field in fields if isinstance(field, FileField)]
    assert settings.MEDIA_ROOT == ""


def test_templates_are_cached_and_escape() -> None:
    engine = engines["django"].engine
    assert engine.autoescape
    assert isinstance(engine.template_loaders[0], Loader)
    templates = [path for folder in SERVICE for path in (ROOT / folder).rglob("*.html")]
    assert templates
    for path in templates:
        assert not re.search(r"\|\s*safe\b|autoescape\s+off|safeseq", path.read_text()), path
    for path in modules():
        assert "mark_safe" not in path.read_text(), path


def test_rules_against_mistakes_are_on_and_ignored_by_name_alone() -> None:
    lint = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["ruff"]["lint"]
    assert "S" in lint["select"]
    ignored = [*lint["ignore"], *(rule for rules in lint["per-file-ignores"].values() for rule in rules)]
    assert not [rule for rule in ignored if re.fullmatch(r"S\d{0,2}|ALL", rule)]
    for path in modules():
        for line in path.read_text().splitlines():
            if found := re.search(r"#\s*noqa\b(.*)", line):
                assert re.match(r": [A-Z]+\d+", found[1]), (path, line)
                if re.search(r"\bS\d{3}\b", found[1]):
                    assert re.search(r" - \w", found[1]), (path, line)
