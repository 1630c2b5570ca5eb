"""What clients do: a locustfile, run in a process of its own. 70 % of its requests read, 30 % write.

    LOAD_PLAN=plan.json LOAD_RESULT=result.json python -m locust -f benchmarks/load/clients.py --headless …

The plan says who the clients are. The result has the figures by kind of request, every answer that should
not have been, and the states that each expense may have.
"""

from __future__ import annotations

import json
import os
import random
from collections import Counter
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from typing import Any

from locust import FastHttpUser, constant, events, task

from benchmarks.load.journal import PREFIX, REFUSED, Content, Journal

PLAN = json.loads(Path(os.environ["LOAD_PLAN"]).read_text())
SEED = int(os.environ.get("LOAD_SEED", "0"))
BUSY = {429, 503}
"""Deliberate refusals, where they say when to come again."""
NOT_READY = "totals-not-ready"  # which they are throughout
ERRORS_SHOWN = 20
REPEATED = 0.1  # of new expenses, this share is sent twice
EXPENSES, TOTALS = "/api/v1/expenses/", "/api/v1/totals/"
MONTHS = [f"{year}-{month:02}" for year in (2024, 2025) for month in range(1, 13)]
HOT_DAY = "2025-06-15"
OVERVIEWS = (
    "group_by=category,month&page_size=100",
    "group_by=status",
    "group_by=owner,quarter&ordering=-sum",
    "group_by=category&from=2024-07-01&to=2025-04-01",
    "group_by=month&category=1,2,3&status=submitted,approved",
)
OWN = ("group_by=category,month", "group_by=month&from=2025-01-01&to=2026-01-01", "group_by=year,status")

numbers = count()
journal = Journal()
busy: Counter[str] = Counter()
errors: Counter[str] = Counter()


@dataclass(frozen=True)
class Request:
    """What a client asks, under which name it is counted, and the status it has to be answered with."""

    kind: str
    method: str
    path: str
    good: int = 200
    body: Any = None

    def __str__(self) -> str:
        return f"{self.method} {self.path}"


class Client(FastHttpUser):
    """A client that asks again as soon as it is answered. It changes expenses that it has made itself."""

    wait_time = constant(0)
    connection_timeout = network_timeout = 60.0

    def on_start(self) -> None:
        """Take the place of one of the plan's clients."""
        self.number = next(numbers)
        me = PLAN["clients"][self.number % len(PLAN["clients"])]
        self.pick = random.Random(f"{SEED}/{self.number}")
        self.hot = me["hot"]
        self.headers = _headers(me["token"], self.number)
        self.auditing = _headers(PLAN["auditor"], self.number)
        self.made = count()
        self.there: dict[str, str] = {}  # ids of expenses that are certain to be there, by their keys

    @task(25)
    def totals_of_all(self) -> None:
        """Read totals of everybody's expenses."""
        self.ask(Request("totals of all", "GET", f"{TOTALS}?{self.pick.choice(OVERVIEWS)}"), self.auditing)

    @task(15)
    def totals_of_one(self) -> None:
        """Read totals of the own expenses."""
        self.ask(Request("totals of one owner", "GET", f"{TOTALS}?{self.pick.choice(OWN)}"))

    @task(15)
    def page(self) -> None:
        """Read a page of the own expenses from a month on."""
        first = self.pick.choice(MONTHS)
        self.ask(Request("list of expenses", "GET", f"{EXPENSES}?from={first}-01&page_size=20"))

    @task(15)
    def one(self) -> None:
        """Read an expense: it has to be what was acknowledged."""
        if (key := self.chosen()) is None:
            return
        answer = self.ask(Request("one expense", "GET", self.address(key)))
        if answer and Content(answer["amount"], answer["spent_on"]) != journal.states[key][-1]:
            errors[f"an acknowledged write of {key} is not read: {answer} instead of {journal.states[key]}"] += 1

    @task(14)
    def create(self) -> None:
        """Make an expense, with a key by which a repeat is known."""
        key, content = self.new_key(), self.content()
        body = self.body(key, content)
        answer = self.write(key, content, Request("create", "POST", EXPENSES, 201, body))
        if answer is None:
            return
        self.there[key] = answer["id"]
        if self.pick.random() < REPEATED:
            again = self.ask(Request("create again", "POST", EXPENSES, 201, body), self.keyed(key))
            if again not in (None, answer):
                errors[f"a repeat of {key} was answered {again} instead of {answer}"] += 1

    @task(8)
    def change(self) -> None:
        """Change an expense."""
        if key := self.chosen():
            content = self.content()
            self.write(key, content, Request("change", "PATCH", self.address(key), body=content._asdict()))

    @task(5)
    def delete(self) -> None:
        """Delete an expense."""
        if (key := self.chosen()) and self.write(key, None, Request("delete", "DELETE", self.address(key), 204)):
            del self.there[key]

    @task(2)
    def mistake(self) -> None:
        """Send an amount with more digits than the currency has, which is refused."""
        key = f"{self.new_key()}{REFUSED}"
        body = self.body(key, self.content()._replace(amount="1.005"))
        journal.begins(key, None)
        self.ask(Request("refused", "POST", EXPENSES, 400, body), self.keyed(key))

    @task(1)
    def stale(self) -> None:
        """Change an expense of which another version was seen, which is refused."""
        if key := self.chosen():
            request = Request("stale", "PATCH", self.address(key), 412, self.content()._asdict())
            self.ask(request, {**self.headers, "If-Match": '"stale"'})

    def chosen(self) -> str | None:
        """Return the key of an expense that is there; make one, and return None, where there is none."""
        if not self.there:
            self.create()
            return None
        return self.pick.choice(list(self.there))

    def address(self, key: str) -> str:
        """Return where an expense is."""
        return f"{EXPENSES}{self.there[key]}/"

    def new_key(self) -> str:
        """Return a key that nobody had."""
        return f"{PREFIX}{self.number}-{next(self.made)}"

    def content(self) -> Content:
        """Return what an expense is to be: of the hot owner, all on one day."""
        day = HOT_DAY if self.hot else f"{self.pick.choice(MONTHS)}-{self.pick.randint(1, 28):02}"
        return Content(f"{self.pick.randint(-10_000, 100_000) / 100:.2f}", day)

    def body(self, key: str, content: Content) -> dict[str, Any]:
        """Return the body of a new expense."""
        category = 1 if self.hot else self.pick.randint(1, 12)
        return {**content._asdict(), "currency": "EUR", "category": category, "description": key}

    def keyed(self, key: str) -> dict[str, str]:
        """Return the headers of a request with an idempotency key."""
        return {**self.headers, "Idempotency-Key": key}

    def write(self, key: str, after: Content | None, request: Request) -> Any:
        """Write, and note in the journal what became of it; return the answer, None where it was no success."""
        journal.begins(key, after)
        status, answer = self.asked(request, self.keyed(key) if request.method == "POST" else self.headers)
        if status == request.good:
            journal.acknowledged(key)
            return answer
        if status:  # else it is in doubt
            journal.refused(key)
        else:
            self.there.pop(key, None)
        return None

    def ask(self, request: Request, headers: dict[str, str] | None = None) -> Any:
        """Return what a request is answered; None where the service was busy, or the answer is a failure."""
        status, answer = self.asked(request, headers or self.headers)
        return answer if status == request.good else None

    def asked(self, request: Request, headers: dict[str, str]) -> tuple[int, Any]:
        """Send a request; return its status, 0 for none, and the answer, which is True for an empty one."""
        given = {} if request.body is None else {"json": request.body}
        with self.client.request(
            request.method, request.path, name=request.kind, headers=headers, catch_response=True, **given
        ) as response:
            status, text = response.status_code, response.text or ""
            if status == request.good:
                response.success()
            elif status in BUSY and "Retry-After" in response.headers and NOT_READY not in text:
                busy[f"{status} {request.kind}"] += 1
                response.success()
            else:
                errors[f"{request} was answered {status or response.error}: {text[:300]}"] += 1
                response.failure(f"status {status}")
        return status, json.loads(text or "true") if status == request.good else None


def _headers(token: str, number: int) -> dict[str, str]:
    return {
        "Authorization": f"Token {token}",
        "X-Forwarded-Proto": "https",
        "X-Forwarded-For": f"198.51.100.{number % 250 + 1}",
    }


@events.quitting.add_listener
def tell(environment: Any, **_given: Any) -> None:
    """Write the result."""
    stats = environment.stats
    kinds = {
        entry.name: {
            "requests": entry.num_requests,
            "median": entry.get_response_time_percentile(0.5),
            "p99": entry.get_response_time_percentile(0.99),
        }
        for entry in [*stats.entries.values(), stats.total]
    }
    kinds["all"] = kinds.pop(stats.total.name)
    result = {
        "seconds": stats.total.last_request_timestamp - stats.total.start_time,
        "kinds": kinds,
        "busy": busy,
        "errors": dict(errors.most_common(ERRORS_SHOWN)),
        "states": journal.states,
    }
    Path(os.environ["LOAD_RESULT"]).write_text(json.dumps(result))
