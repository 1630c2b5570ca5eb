"""Each fenced block of the quickstart and the how-tos is carried out by a test, or is there to be read, and why."""

from __future__ import annotations

from importlib import import_module
from pathlib import Path

import pytest

from tests.functional.blocks import DOCS, TAKEN, blocks, printed, read, steps_of

pytestmark = pytest.mark.once

PAGES = ["quickstart.md", *(f"how-to/{path.name}" for path in sorted((DOCS / "how-to").glob("*.md")))]
INSTALL = "the tests' environment has it from a wheel that is built for it: hosts.py"
MACHINE = "systemd and users of a machine's own are left alone; what they start is started"
# Page and beginning: why no test carries it out.
READ = {
    ("quickstart.md", "python -m pip install"): INSTALL,
    ("how-to/your-own-models.md", "python -m pip install"): INSTALL,
    ("how-to/deploy.md", "$ git clone …"): MACHINE,
    ("how-to/deploy.md", "$ systemctl enable"): MACHINE,
    ("how-to/deploy.md", "proxy_set_header Host"): "nginx is not there; what it sends is sent to the service",
    ("how-to/monitor.md", "# systemctl daemon-reload"): MACHINE,
    ("how-to/monitor.md", "scrape_configs:"): "Prometheus is not there; what it reads is read",
    ("how-to/mariadb.md", "$ apt-get install"): "it changes the machine; tests/mariadb.py installs the same driver",
}


@pytest.fixture(scope="module", autouse=True)
def _all_are_taken() -> None:
    for path in Path(__file__).parent.glob("test_*.py"):
        import_module(f"tests.functional.{path.stem}")


@pytest.mark.parametrize("page", PAGES)
def test_each_block_of_a_page_is_carried_out_or_says_why_not(page: str) -> None:
    found = blocks(read(page))
    assert read(page).count("```") == 2 * len(found), "a fence that is no block of its own, or names no language"
    why_not = [beginning for at, beginning in READ if at == page]
    left = [each.text for each in found if (page, each) not in TAKEN]
    assert [text for text in left if not text.startswith(tuple(why_not))] == []
    assert [beginning for beginning in why_not if not any(text.startswith(beginning) for text in left)] == []


def test_a_block_that_no_test_has_taken_is_told_from_one_that_has_been() -> None:
    (install, *_others) = blocks(read("quickstart.md"))
    assert ("quickstart.md", install) not in TAKEN
    assert all(("quickstart.md", each) in TAKEN for each in blocks(steps_of("quickstart.md")) if each.is_step)
    with pytest.raises(AssertionError, match="0 blocks of"):
        printed("quickstart.md", "nothing")
    with pytest.raises(AssertionError, match="no such heading"):
        steps_of("quickstart.md", "Nothing")
