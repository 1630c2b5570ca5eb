"""What a client was told of each of its expenses, and so what may be there in the end."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple

PREFIX, REFUSED = "load-", "-refused"
"""What keys of clients begin with, and how those end of expenses that nobody could store."""


class Content(NamedTuple):
    """What a client decides of an expense, as the API writes it."""

    amount: str
    spent_on: str


State = Content | None
"""An expense, or that there is none."""
NEVER: list[State] = [None]


class Journal:
    """The states that each expense may have, by its key: one, but for as long as a write is under way or in doubt."""

    def __init__(self) -> None:
        self.states: dict[str, list[State]] = {}

    def begins(self, key: str, after: State) -> None:
        """Note that a write is sent, after which the expense would be ``after``."""
        self.states[key] = [*self.states.get(key, NEVER), after]

    def acknowledged(self, key: str) -> None:
        """Note that the write was answered with success: nothing else may be there now."""
        self.states[key] = self.states[key][-1:]

    def refused(self, key: str) -> None:
        """Note that the write was refused: it has left nothing."""
        self.states[key] = self.states[key][:-1]

    def present(self, key: str) -> bool:
        """Return whether the expense is certain to be there."""
        return None not in self.states[key]


def wrong(states: Mapping[str, Sequence[State]], found: Mapping[str, Sequence[Content]]) -> Iterator[str]:
    """Yield a line for each expense that is not what its client was told, of those found under its key."""
    for key in sorted({*states, *found}):
        there: State | str = None
        if rows := found.get(key, ()):
            there = rows[0] if len(rows) == 1 else f"{len(rows)} expenses"
        if there not in (allowed := states.get(key, NEVER)):
            yield f"{key}: there is {_told(there)}, and should be {' or '.join(map(_told, allowed))}"


def _told(state: State | str) -> str:
    if state is None:
        return "none"
    return state if isinstance(state, str) else f"{state.amount} on {state.spent_on}"
