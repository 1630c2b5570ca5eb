"""Ctrl-C and SIGTERM: how a run learns that it was asked to stop.

Both raise KeyboardInterrupt wherever the program is, and that may be where nobody sees it: sqlite3
turns what is raised inside a function that it calls back, as it does to truncate a date, into an
OperationalError without a cause, and Python drops what is raised in a destructor. So that a signal
came is also remembered.
"""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

_came: list[int] = []


@contextmanager
def heeded() -> Iterator[None]:
    """Let Ctrl-C and SIGTERM end the block by KeyboardInterrupt, and be remembered within it.

    Only the main thread can take signals; in others this changes nothing. Neither does it where
    Ctrl-C is ignored, as in a job of a shell's background.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = {signal.SIGTERM: signal.getsignal(signal.SIGTERM)}
    if signal.getsignal(signal.SIGINT) is signal.default_int_handler:
        before[signal.SIGINT] = signal.default_int_handler
    try:
        for number in before:
            signal.signal(number, _interrupt)
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
        _came.clear()


def caused(error: BaseException) -> bool:
    """Return whether an error is, or began as, somebody's wish to stop."""
    links: BaseException | None = error
    while links is not None:
        if isinstance(links, (KeyboardInterrupt, GeneratorExit)):
            return True
        links = links.__context__
    return bool(_came)


def check() -> None:
    """Raise the KeyboardInterrupt that was lost, if one was."""
    if _came:
        raise KeyboardInterrupt


def _interrupt(number: int, _frame: FrameType | None) -> None:
    _came.append(number)
    raise KeyboardInterrupt
