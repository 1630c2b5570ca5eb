"""Pages of reference say what the code has: checks, public names, settings. Pages show code of the example's own."""

from __future__ import annotations

import ast
import inspect
import re
from collections.abc import Iterator
from dataclasses import fields
from importlib import import_module
from pathlib import Path
from types import ModuleType

import pytest

from aggregates.conf import Settings
from tests.functional.blocks import DOCS, printed
from tests.processes import ROOT

pytestmark = pytest.mark.once

SHOP = ROOT / "examples" / "shop"
CHECKS = (DOCS / "reference" / "checks.md").read_text()
NAMES = (DOCS / "reference" / "public-names.md").read_text()
IMPORT = re.compile(r"^(?:>>> )?from (aggregates[\w.]*) import (.+)$", re.MULTILINE)
ID = r"aggregates\.[EW]\d{3}"
SHOWN = [
    printed("how-to/your-own-models.md", beginning)
    for beginning in ("DATABASES", "class Sale(", "class SaleTotals", "def by_month", "from aggregates.testing")
]
# These hold nothing but what a host may use.
WHOLE = ("aggregates", "aggregates.exceptions", "aggregates.signals", "aggregates.operations", "aggregates.testing")


def hints() -> Iterator[tuple[str, str]]:
    """Yield the id and the hint of each system check whose hint is always the same."""
    for path in (ROOT / "aggregates").glob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Call):
                given = {word.arg: word.value.value for word in node.keywords if isinstance(word.value, ast.Constant)}
                if "id" in given and "hint" in given:
                    yield given["id"], given["hint"]


def listed() -> dict[str, list[str]]:
    """Return the names on the page by module."""
    rows = re.findall(r"^\| `(aggregates[\w.]*)` \| (.*?) \|", NAMES, re.MULTILINE)
    return {module: re.findall(r"`(\w+)`", names) for module, names in rows}


def own(module: ModuleType) -> set[str]:
    """Return the names that are a module's own: functions, classes and signals."""
    exported = set(getattr(module, "__all__", ()))
    return exported | {
        name
        for name, value in vars(module).items()
        if not name.startswith("_")
        and name != "T"
        and (getattr(value, "__module__", None) == module.__name__ or type(value).__name__ == "Signal")
    }


def test_each_check_is_on_the_page_once_and_nothing_else_is() -> None:
    sources = "".join(path.read_text() for path in (ROOT / "aggregates").rglob("*.py"))
    rows = re.findall(rf"^\| `({ID})` \|", CHECKS, re.MULTILINE)
    assert sorted(rows) == sorted(set(re.findall(ID, sources)))


def test_the_remedy_of_a_check_is_the_one_that_it_gives() -> None:
    found = list(hints())
    assert len(found) >= 8
    remedies = dict(re.findall(rf"^\| `({ID})` \| .*? \| (.*) \|$", CHECKS, re.MULTILINE))
    assert {check: remedies[check] for check, _hint in found} == dict(found)


@pytest.mark.parametrize("module", listed())
def test_a_public_name_is_there_and_says_what_it_is(module: str) -> None:
    loaded, names = import_module(module), listed()[module]
    assert names == sorted(names)
    for name in names:
        found = getattr(loaded, name)
        assert type(found).__name__ == "Signal" or inspect.getdoc(found), f"{module}.{name} has no docstring"


@pytest.mark.parametrize("module", WHOLE)
def test_a_module_that_is_public_as_a_whole_is_listed_as_a_whole(module: str) -> None:
    assert set(listed()[module]) == own(import_module(module))


def test_pages_and_the_example_import_nothing_that_is_not_public() -> None:
    names = listed()
    modules = {(package, name) for package, _, name in (module.rpartition(".") for module in names)}
    public = modules | {(module, name) for module, listed_names in names.items() for name in listed_names}
    imported: set[tuple[str, str]] = set()
    for path in [ROOT / "README.md", *DOCS.rglob("*.md"), *SHOP.rglob("[!0]*.py")]:
        for module, what in IMPORT.findall(path.read_text()):
            imported |= {(module, name.strip()) for name in what.partition("  #")[0].split(",")}
    assert imported
    assert imported <= public


def test_the_settings_are_those_of_the_page() -> None:
    page = (DOCS / "reference" / "settings.md").read_text()
    told = re.findall(r"^\| `([A-Z_]+)` \| ([\d.,]+) \|", page, re.MULTILINE)
    assert [(field.name, str(field.default)) for field in fields(Settings)] == [
        (name, default.replace(",", "")) for name, default in told
    ]


@pytest.mark.parametrize("code", SHOWN)
def test_the_code_on_the_page_is_the_example_s(code: str) -> None:
    assert any(code in path.read_text() for path in SHOP.rglob("*.py"))


def test_the_code_of_the_readme_is_the_quickstart_s() -> None:
    (declared,) = re.findall(r"^```python\n(.*?)^```$", (ROOT / "README.md").read_text(), re.MULTILINE | re.DOTALL)
    quickstart = (DOCS / "quickstart.md").read_text()
    assert declared in quickstart
    assert "[(datetime.date(2026, 1, 1), Decimal('107.5000'), 1001)]" in quickstart


def links() -> Iterator[tuple[Path, str]]:
    """Yield the links of the documents that are no pages of the site, whose links its builder looks after."""
    for name in ("README.md", "CONTRIBUTING.md", "CHANGELOG.md", "examples/shop/README.md"):
        for target in re.findall(r"\]\(([^)#]+)", (ROOT / name).read_text()):
            if not target.startswith("http"):
                yield ROOT / name, target


def test_no_link_leads_nowhere() -> None:
    assert [(str(page), target) for page, target in links() if not (page.parent / target).exists()] == []
