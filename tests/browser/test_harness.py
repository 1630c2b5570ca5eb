"""What fails a browser test besides its own assertions: shown on pages that are made to go wrong."""

from __future__ import annotations

import re

import pytest
from playwright.sync_api import Error, Page

from tests.browser.accessible import assert_accessible
from tests.browser.visits import Visits


def test_an_inline_script_is_not_run_and_is_a_fault(page: Page, visits: Visits) -> None:
    page.goto("/admin/login/")
    with visits.expecting(r"^console: .*Content Security Policy"):
        page.evaluate("""() => {
            const script = document.createElement("script");
            script.textContent = "window.ran = true";
            document.body.append(script);
        }""")
        assert page.evaluate("window.ran") is None


def test_a_script_that_raises_is_a_fault(page: Page, visits: Visits) -> None:
    page.goto("/admin/login/")
    with visits.expecting(r"^script: .*made to go wrong"), page.expect_event("pageerror"):
        page.evaluate("setTimeout(() => { throw new Error('made to go wrong') })")


@pytest.mark.parametrize("elsewhere", ["http://example.com/", "https://192.0.2.1/"])
def test_a_request_elsewhere_is_a_fault_and_reaches_nobody(elsewhere: str, page: Page, visits: Visits) -> None:
    met = visits.expecting(f"^request elsewhere: {re.escape(elsewhere)}$")
    with met, pytest.raises(Error, match="ERR_NAME_NOT_RESOLVED"):
        page.goto(elsewhere)


def test_an_element_that_cannot_be_perceived_is_found(page: Page) -> None:
    page.goto("/admin/login/")
    page.evaluate("document.querySelector('label[for=id_username]').remove()")
    with pytest.raises(AssertionError, match=r"label, 1 elements.*\n.*#id_username"):
        assert_accessible(page)
