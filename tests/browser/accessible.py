"""What axe finds on a page: whatever keeps somebody from perceiving or working it."""

from __future__ import annotations

from typing import Any

from axe_playwright_python.base import AXE_FILE_PATH
from playwright.sync_api import Page

AXE = AXE_FILE_PATH.read_text(encoding="utf-8")
FAILING = ("serious", "critical")
ELEMENTS_TOLD = 3
DOCS = "/api/docs/"
# What cannot be mended from here: on which page, which rule, a part of the element's selector, and why.
EXCEPTIONS: dict[tuple[str, str, str], str] = {
    (DOCS, "color-contrast", ""): "the colours of Swagger UI",
    (DOCS, "nested-interactive", ".opblock-summary-control"): "Swagger UI has buttons in what opens an operation",
}


def assert_accessible(page: Page, *rules: str) -> None:
    """Check that axe finds nothing serious or critical on a page as it is shown now, by these rules or by all."""
    # Through the debugger, so that the page itself keeps its policy.
    page.evaluate(AXE)
    only = {"runOnly": list(rules)} if rules else {}
    result = page.evaluate("options => axe.run(options)", {"resultTypes": ["violations"], **only})
    found = [line for violation in result["violations"] for line in _lines(page, violation)]
    assert not found, "\n".join([f"{page.url} ({page.title()}):", *found])


def _lines(page: Page, violation: dict[str, Any]) -> list[str]:
    """Return the rule and the first elements that break it, each with the reason."""
    rule = violation["id"]
    nodes = [node for node in violation["nodes"] if node["impact"] in FAILING and not _excepted(page, rule, node)]
    told = [
        f"    {_selector(node)} is {node['html'][:200]}\n        {node['failureSummary']}"
        for node in nodes[:ELEMENTS_TOLD]
    ]
    return [f"{rule}, {len(nodes)} elements: {violation['help']}", *told] if nodes else []


def _excepted(page: Page, rule: str, node: dict[str, Any]) -> bool:
    return any(where in page.url and name == rule and part in _selector(node) for where, name, part in EXCEPTIONS)


def _selector(node: dict[str, Any]) -> str:
    return " ".join(map(str, node["target"]))
