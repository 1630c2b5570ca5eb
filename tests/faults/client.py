"""A client of the API that writes in every form, remembers what it was told, and repeats what it was not."""

from __future__ import annotations

import threading
import uuid
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any
from urllib.parse import urlencode

import httpx

from expenses.imports.identity import expense_id
from expenses.imports.options import DEFAULT_SOURCE
from tests.faults.book import Book
from tests.faults.journal import Journal, Values, Write
from tests.processes import PATIENCE

EXPENSES = "/api/v1/expenses/"
A_MOMENT = 0.05  # seconds between two tries while nothing answers
MOST_TRIES = round(PATIENCE / A_MOMENT)
NOTHING = "Nothing was written"
FEW = 3  # rows of a bulk write
OWNER = "olga"
IMPORTS = ("add_expense", "view_all_expenses")  # the permissions that an import takes
ROLES = ("id", "owner", "category", "date", "amount", "description", "status")
CSV = {"Content-Type": "text/csv"}
IMPORT = f"{EXPENSES}import/?{urlencode({**{f'{role}_column': role for role in ROLES}, 'currency': 'EUR'})}"


def category_name(number: int | None) -> str:
    """Return what a category is called in a file; none has no name."""
    return f"category {number}" if number else ""


@dataclass(frozen=True)
class Call:
    """A request, what it does if it is carried out, and how a repeat may be answered beside with success."""

    method: str
    path: str
    write: Write
    json: Any = None
    headers: dict[str, str] = field(default_factory=dict)
    done: frozenset[int] = frozenset()
    refused: bool = False
    content: str | None = None


class Client(threading.Thread):
    """Writes until it is told to stop. What it met that must not be is raised by ``end``."""

    def __init__(self, name: str, seed: int, client: httpx.Client, journal: Journal, categories: Sequence[int]) -> None:
        super().__init__(name=name)
        self._http, self._journal = client, journal
        self._book = Book(name, seed, categories)
        self._ids: dict[str, str] = {}
        self._stop_asked = threading.Event()
        self._error: BaseException | None = None

    def run(self) -> None:
        """Write until ``end`` is called."""
        try:
            while not self._stop_asked.is_set():
                self.write()
        except BaseException as error:  # noqa: BLE001 - raised by end()
            self._error = error

    def end(self) -> None:
        """Stop; raise what went wrong."""
        self._stop_asked.set()
        self.join(PATIENCE)
        assert not self.is_alive(), f"{self.name} hangs"
        if self._error is not None:
            raise self._error

    def assert_well(self) -> None:
        """Raise what went wrong so far."""
        if self._error is not None:
            raise self._error

    def write(self) -> None:
        """Make one write, chosen at random, and tell the journal what came of it."""
        forms = NEW if len(self._book.rows) < FEW else [*NEW, *CHANGES]
        self.carry_out(self._book.pick.choice(forms)(self))

    def carry_out(self, call: Call) -> None:
        """Send a request; repeat it where nothing is known of it, or leave that in doubt."""
        response = self._sent(call)
        if response is None and self._book.pick.random() < 0.5:
            self._book.forget(call.write.labels)
            self._journal.left_in_doubt(call.write)
        elif response is None:
            self._take_in(call, self._repeated(call))
            self._journal.settled()
        elif response.status_code == httpx.codes.SERVICE_UNAVAILABLE:
            self._journal.refused(call.write)
            self._stop_asked.wait(A_MOMENT)
        else:
            self._take_in(call, response)

    def repeat(self, call: Call) -> None:
        """Send a request that was answered before once more, to the ids that its expenses have now."""
        path = self._path(call.write) if call.write.before else call.path
        self._take_in(call, self._repeated(replace(call, path=path)))

    def _take_in(self, call: Call, response: httpx.Response) -> None:
        if call.refused:
            assert response.status_code == httpx.codes.BAD_REQUEST, response.text
            self._journal.refused(call.write)
            return
        assert response.is_success or response.status_code in call.done, f"{call}: {response.text}"
        if call.write.after:
            self._learn(response.json())
        self._book.carried_out(call.write)
        self._journal.acknowledged(call.write)

    def _learn(self, body: Any) -> None:
        if "rejected" in body:  # the report of an import, whose ids are known
            assert not body["rejected"], body
            assert body["added"] in {0, body["rows"]}, "some rows of an import were there, others not"
            return
        if "created" in body:
            assert body["created"] in {0, len(body["results"])}, "some rows of a bulk write were there, others not"
        for row in body.get("results", [body]):
            self._ids[row["description"]] = row["id"]

    def _repeated(self, call: Call) -> httpx.Response:
        """Return what a request is answered in the end."""
        for _ in range(MOST_TRIES):
            response = self._sent(call)
            if response is not None and response.status_code != httpx.codes.SERVICE_UNAVAILABLE:
                return response
            threading.Event().wait(A_MOMENT)
        raise AssertionError(f"{call} was never answered")

    def _sent(self, call: Call) -> httpx.Response | None:
        """Return the answer that tells what became of the write; None where none does."""
        try:
            response = self._http.request(
                call.method, call.path, json=call.json, content=call.content, headers=call.headers
            )
        except httpx.TransportError:
            return None
        if response.status_code == httpx.codes.SERVICE_UNAVAILABLE:
            self._journal.told["unavailable"] += 1
            assert int(response.headers["Retry-After"]) > 0, response.text
        if response.is_server_error:
            assert response.headers["Content-Type"] == "application/problem+json", response.text
            return response if NOTHING in response.json()["detail"] else None
        return response

    # The forms of a write.

    def _body(self, label: str, values: Values, **more: Any) -> dict[str, Any]:
        amount, day, status, category = values
        shown = {"amount": amount, "spent_on": day, "status": status, "category": category}
        return {"description": label, "currency": "EUR", **shown, **more}

    def _bodies(self, write: Write, **more: Callable[[], Any]) -> list[dict[str, Any]]:
        made = ({name: make() for name, make in more.items()} for _ in write.after)
        return [self._body(label, values, **m) for (label, values), m in zip(write.after.items(), made, strict=True)]

    def post_with_key(self) -> Call:
        """A new expense, known by an Idempotency-Key."""
        write = self._book.new()
        (body,) = self._bodies(write)
        return Call("POST", EXPENSES, write, body, {"Idempotency-Key": body["description"]})

    def post_with_id(self) -> Call:
        """A new expense, known by its id."""
        write = self._book.new()
        (body,) = self._bodies(write, id=self._id)
        return Call("POST", EXPENSES, write, body)

    def post_refused(self) -> Call:
        """An expense that must not be stored."""
        write = self._book.new()
        (body,) = self._bodies(write)
        return Call("POST", EXPENSES, write, {**body, "amount": "1.005"}, refused=True)

    def put_new(self) -> Call:
        """A new expense, put where it shall be."""
        write = self._book.new()
        (body,) = self._bodies(write)
        return Call("PUT", f"{EXPENSES}{self._id()}/", write, body)

    def bulk_with_ids(self) -> Call:
        """A few new expenses, known by their ids."""
        write = self._book.new(FEW)
        return Call("POST", f"{EXPENSES}bulk/", write, self._bodies(write, id=self._id))

    def bulk_with_key(self) -> Call:
        """A few new expenses, known by one Idempotency-Key."""
        write = self._book.new(FEW)
        bodies = self._bodies(write)
        return Call("POST", f"{EXPENSES}bulk/", write, bodies, {"Idempotency-Key": bodies[0]["description"]})

    def import_file(self) -> Call:
        """A few new expenses in a file, known by their ids there."""
        write = self._book.new(FEW)
        self._ids.update({label: str(expense_id(DEFAULT_SOURCE, OWNER, label)) for label in write.after})
        lines = [
            ",".join([label, OWNER, category_name(category), day, amount, label, status])
            for label, (amount, day, status, category) in write.after.items()
        ]
        content = "\n".join([",".join(ROLES), *lines])
        return Call("POST", IMPORT, write, content=content, headers=CSV)

    def put(self) -> Call:
        """An expense with other values."""
        write = self._book.changed()
        (body,) = self._bodies(write)
        return Call("PUT", self._path(write), write, body)

    def patch(self) -> Call:
        """An expense with another status or amount."""
        only = self._book.pick.choice(["amount", "status"])
        write = self._book.changed(only=only)
        (body,) = self._bodies(write)
        return Call("PATCH", self._path(write), write, {only: body[only]})

    def delete(self) -> Call:
        """An expense that goes."""
        write = self._book.gone()
        return Call("DELETE", self._path(write), write, done=frozenset({404}))

    def _path(self, write: Write) -> str:
        (label,) = write.before
        return f"{EXPENSES}{self._ids[label]}/"

    def _id(self) -> str:
        return str(uuid.UUID(int=self._book.pick.getrandbits(128), version=4))


NEW = [
    Client.post_with_key,
    Client.post_with_id,
    Client.post_refused,
    Client.put_new,
    Client.bulk_with_ids,
    Client.bulk_with_key,
    Client.import_file,
]
CHANGES = [Client.put, Client.patch, Client.delete]
