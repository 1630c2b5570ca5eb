"""Visits to the service, each in a context of its own, and what went wrong on its pages."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from django.conf import settings
from django.contrib.auth.models import User
from django.test import Client
from playwright.sync_api import Browser, BrowserContext, ConsoleMessage, Page, Request, Response, WebError, expect

from tests.integration.api.conftest import PASSWORD

PATIENCE = 20_000  # milliseconds, on a busy machine
WIDE, NARROW = 1280, 360
HEIGHT = 800
WITHIN = ("data:", "blob:", "about:")

expect.set_options(timeout=PATIENCE)


class Visits:
    """Opens pages of the service, and collects their faults: errors, breaches of the policy, requests elsewhere."""

    def __init__(self, browser: Browser, address: str) -> None:
        self.address = address
        self.faults: list[str] = []
        self._browser = browser
        self._contexts: list[BrowserContext] = []

    def page(self, user: User | None = None, *, width: int = WIDE, dark: bool = False, scripts: bool = True) -> Page:
        """Return an empty page of a context of its own, in which the user has logged in."""
        context = self._browser.new_context(
            base_url=self.address,
            viewport={"width": width, "height": HEIGHT},
            color_scheme="dark" if dark else "light",
            reduced_motion="reduce",
            java_script_enabled=scripts,
            locale="en-US",
            timezone_id="UTC",
        )
        self._contexts.append(context)
        context.set_default_timeout(PATIENCE)
        context.on("console", self._said)
        context.on("weberror", self._raised)
        context.on("request", self._asked)
        context.on("response", self._answered)
        if user is not None:
            context.add_cookies([session_of(user, self.address)])
        return context.new_page()

    @contextmanager
    def expecting(self, *patterns: str) -> Iterator[None]:
        """Take faults of the block that the patterns match, each one at least once, for what is to happen."""
        before = len(self.faults)
        yield
        new = self.faults[before:]
        unmet = [pattern for pattern in patterns if not any(re.search(pattern, fault) for fault in new)]
        assert unmet == [], new
        self.faults[before:] = [fault for fault in new if not any(re.search(pattern, fault) for pattern in patterns)]

    def end(self) -> None:
        """Close all pages."""
        for context in self._contexts:
            context.close()

    def _said(self, message: ConsoleMessage) -> None:
        if message.type == "error":  # breaches of the policy are among them
            self.faults.append(f"console: {message.text} ({message.location.get('url', '')})")

    def _raised(self, error: WebError) -> None:
        self.faults.append(f"script: {error.error}")

    def _asked(self, request: Request) -> None:
        if not request.url.startswith((f"{self.address}/", *WITHIN)):
            self.faults.append(f"request elsewhere: {request.url}")

    def _answered(self, response: Response) -> None:
        if response.status >= 500:  # others are told by the console, but for pages themselves
            self.faults.append(f"answer: {response.status} {response.url}")


def session_of(user: User, address: str) -> Any:
    """Return the cookie of somebody who has logged in."""
    client = Client()
    client.force_login(user)
    name = settings.SESSION_COOKIE_NAME
    return {"name": name, "value": client.cookies[name].value, "url": address}


def log_in(page: Page, username: str) -> None:
    """Log in with the form of the admin, which leads to where one wanted to go."""
    page.goto("/admin/")
    page.get_by_label("Username").fill(username)
    page.get_by_label("Password").fill(PASSWORD)
    page.get_by_role("button", name="Log in").click()
    expect(page.get_by_role("link", name="Expenses").first).to_be_visible()
