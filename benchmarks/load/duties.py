"""What is done beside the clients: commands of an operator, and an administrator's decisions on many at once."""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Mapping
from http.cookies import SimpleCookie
from itertools import cycle

import httpx

from benchmarks.load.books import ADMIN
from benchmarks.load.service import PROXIED, ROOT

COMMANDS = (["verify_totals"], ["rebuild_totals"], ["fold_totals"], ["rebuild_totals", "--from-scratch"])
COMMAND_SECONDS = 110
LIST = "/admin/expenses/expense/"
BUSY = 503
FOUND = 302
OWNERS = 20
"""Of the expenses that were there before, which belong to the owners with ids from 1 on."""


class Operator:
    """Runs the commands of an operator, one after the other."""

    def __init__(self, environment: Mapping[str, str]) -> None:
        self._environment, self._next = environment, cycle(COMMANDS)

    def act(self) -> None:
        """Run the next one; raise RuntimeError where it finds drift or fails."""
        arguments = next(self._next)
        done = subprocess.run(
            [sys.executable, "manage.py", *arguments],
            cwd=ROOT, env=self._environment, capture_output=True, text=True, timeout=COMMAND_SECONDS, check=False,
        )  # fmt: skip
        if done.returncode:
            raise RuntimeError(f"{' '.join(arguments)} exited {done.returncode}: {done.stdout}{done.stderr}")


class Administrator:
    """Logs in to the admin, approves what its list shows, and moves all expenses of an owner to a category."""

    def __init__(self, address: str, password: str) -> None:
        self._client = httpx.Client(base_url=address, timeout=60, headers=PROXIED)
        self._referer = address.replace("http:", "https:") + "/"
        self._cookies: dict[str, str] = {}
        self._password = password
        self._turn = cycle(range(1, OWNERS + 1))
        self.busy = 0

    def act(self) -> None:
        """Decide once; raise RuntimeError for an answer that is neither success nor a deliberate refusal."""
        if "sessionid" not in self._cookies:
            self._log_in()
        page = self._request("GET", LIST)
        keys = re.findall(rf"{LIST}([0-9a-f-]{{36}})/change/", page.text)
        self._post(LIST, action="approve", _selected_action=keys)
        owner = next(self._turn)
        of_one = f"{LIST}?owner__id__exact={owner}"
        moved = {"apply": "1", "category": str(owner % 12 + 1), "select_across": "1"}
        self._post(of_one, action="recategorise", _selected_action=keys[:1], **moved)

    def _log_in(self) -> None:
        self._request("GET", "/admin/login/")
        self._post("/admin/login/", username=ADMIN, password=self._password)
        if "sessionid" not in self._cookies:
            raise RuntimeError("the administrator could not log in")

    def _post(self, path: str, **form: str | list[str]) -> None:
        token = {"csrfmiddlewaretoken": self._cookies["csrftoken"]}
        answer = self._request("POST", path, {**form, **token})
        if answer.status_code not in {FOUND, BUSY}:
            raise RuntimeError(f"POST {path} was answered {answer.status_code}: {answer.text[:300]}")

    def _request(self, method: str, path: str, form: dict[str, str | list[str]] | None = None) -> httpx.Response:
        # By hand: the service says that its cookies are for HTTPS, which ends at the proxy.
        cookie = "; ".join(f"{name}={value}" for name, value in self._cookies.items())
        answer = self._client.request(method, path, data=form, headers={"Cookie": cookie, "Referer": self._referer})
        for line in answer.headers.get_list("Set-Cookie"):
            self._cookies |= {name: morsel.value for name, morsel in SimpleCookie(line).items()}
        self.busy += answer.status_code == BUSY
        if answer.is_server_error and not (answer.status_code == BUSY and "Retry-After" in answer.headers):
            raise RuntimeError(f"{method} {path} was answered {answer.status_code}: {answer.text[:300]}")
        return answer
