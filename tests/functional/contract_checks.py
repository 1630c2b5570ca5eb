"""Checks of our own that schemathesis runs beside its own: which requests may be refused though the schema has them."""

from __future__ import annotations

import itertools
import json
import os
import re
from typing import Any
from urllib.parse import urlencode

import schemathesis
from schemathesis.generation.meta import TestPhase

# What OpenAPI has no words for, by what the service says of it.
BEYOND_THE_SCHEMA = {
    # Depends on what is stored.
    r"There is no category": "which categories there are",
    r"There is a category “": "names are unique",
    r"cannot be merged into itself": "the id is in the address",
    r"belongs to who created it": "who asks",
    r"The address has another id": "the address",
    # Depends on other members or parameters.
    r"has \d decimals": "the digits of an amount are its currency's",
    r"Take a day after `from`": "two parameters",
    r"Pages by cursor have no numbers": "two parameters",
    r"A cursor was given": "two parameters",
    r"Take it from `next`": "cursors are given out, not made up",
    r"comparison|compare|two periods": "which parameters a comparison takes",
    r"not a column of this answer": "an answer has the columns of its group_by",
    r"Name each once": "spent_on and -spent_on are one column",
    r"Rows \d+ and \d+ have the same id": "unlike uniqueItems, of one member",
    # Formats that JSON Schema has no words for, or lists that change with the world.
    r"Take a date from|Send a date that exists|Ensure this value is": "the bounds of a date",
    r"is not an ISO 4217|Take ISO 4217": "currencies come and go",
    r"Amounts lie between": "the bounds of a number in a text",
    r"may not be blank": "white space is more than \\s",
    r"valid integer is required|category as an integer": "1.0 is an integer to JSON Schema",
}
# What the generator cannot guess; it is given to every other request, so that those go further.
REAL = {"currency": "EUR", "spent_on": "2026-01-31", "from": "2026-01-01", "to": "2026-07-01"}
LONGEST_QUERY = 3_000
NEVER_CARRIED_OUT = {
    # A run over a small table ends within the request that begins it, and a run that ended is not cancelled.
    "DELETE /api/v1/totals/rebuild/{id}/",
    "DELETE /api/v1/totals/verify/{id}/",
}
# A file is any text to the schema: what it holds, and which columns it has, decides.
IMPORT = "/expenses/import/"


@schemathesis.serializer("application/jsonl", "application/x-ndjson")
def as_text(ctx: Any, value: Any) -> bytes:
    """Return a file as it is sent."""
    return value if isinstance(value, bytes) else str(value).encode(errors="replace")


@schemathesis.hook
def filter_case(ctx: Any, case: Any) -> bool:
    """Leave out what never comes to the service: the web server itself refuses longer addresses with 414.

    And files that are no text, which are text as soon as they are sent.
    """
    if case.operation.path.endswith(IMPORT) and not isinstance(case.body, (str, bytes)):
        return False
    return len(urlencode(case.query or {}, doseq=True)) < LONGEST_QUERY


ORDINARY = os.environ["CONTRACT_USER"] != "superuser"
# By the last word of the path before them.
IDS: dict[str, list[Any]] = json.loads(os.environ["CONTRACT_IDS"])
numbers = itertools.count()


@schemathesis.hook
def before_call(ctx: Any, case: Any, kwargs: Any) -> None:
    """Put real values into every other request that the schema has.

    Not where requests build on each other, and bring the ids of what they have created themselves.
    """
    if case.meta is None or not case.meta.generation.mode.is_positive or case.meta.phase.name is TestPhase.STATEFUL:
        return
    if next(numbers) % 2:
        return
    for part in (case.query, *(case.body if isinstance(case.body, list) else [case.body])):
        if isinstance(part, dict):
            part.update({name: value for name, value in REAL.items() if name in part})
            if "spent_on" in part or "amount" in part:  # an expense
                part.pop("owner", None)
                part["category"] = None
    before, found, _after = case.operation.path.partition("/{id}/")
    if found:
        _lead_somewhere(case, IDS[before.rpartition("/")[2]])


def _lead_somewhere(case: Any, ids: list[Any]) -> None:
    """Give a request a real id: the first, or, where it makes away with what is there, one that is used no more."""
    merges = case.operation.path.endswith("/merge/")
    goes = merges or case.method.upper() == "DELETE"
    case.path_parameters["id"] = ids.pop() if goes and len(ids) > 1 else ids[0]
    if merges and isinstance(case.body, dict):
        case.body["into"] = ids[0]


@schemathesis.check
def rejections_are_beyond_the_schema(ctx: Any, response: Any, case: Any) -> None:
    """Of requests that the schema has, those alone are refused with 400 that break a rule which it cannot say."""
    if response.status_code != 400 or case.meta is None or not case.meta.generation.mode.is_positive:
        return
    if case.operation.path.endswith(IMPORT):
        return
    problem = response.json()
    for detail in [error["detail"] for error in problem.get("errors", ())] or [problem["detail"]]:
        assert any(re.search(rule, detail) for rule in BEYOND_THE_SCHEMA), f"The schema does not say: {detail}"


@schemathesis.check
class EveryOperationAnswers:
    """Every operation was carried out at least once: a run that is only refused shows nothing.

    An ordinary owner is not permitted everything.
    """

    def __init__(self) -> None:
        self.asked: set[str] = set()
        self.answered: set[str] = set()

    def after_response(self, ctx: Any, response: Any, case: Any) -> None:
        self.asked.add(case.operation.label)
        if 200 <= response.status_code < 300 or (ORDINARY and response.status_code == 403):
            self.answered.add(case.operation.label)

    def after_run(self, ctx: Any) -> None:
        assert not self.asked - self.answered - NEVER_CARRIED_OUT, (
            f"never carried out: {sorted(self.asked - self.answered)}"
        )
