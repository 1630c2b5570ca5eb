"""What every command of the project has: examples in its help, a format, exit codes, and an end when interrupted."""

from __future__ import annotations

import argparse
import os
import sys
import traceback
from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from types import TracebackType
from typing import Any, ClassVar

from django.core.management.base import BaseCommand, CommandError, CommandParser, DjangoHelpFormatter

from aggregates.management.failures import COULD_NOT_RUN, could_not_run

INTERRUPTED = 3


class AsLaidOut(DjangoHelpFormatter):
    """Django's order of options; text of several lines keeps them."""

    def _fill_text(self, text: str, width: int, indent: str) -> str:
        if "\n" not in text:
            return super()._fill_text(text, width, indent)
        return argparse.RawDescriptionHelpFormatter._fill_text(self, text, width, indent)  # noqa: SLF001 - argparse has no public way


class Command(BaseCommand):
    """A command that says how it is used, prints what a program can read, and ends as it says.

    What cannot run exits with COULD_NOT_RUN, an error that nobody expected too: 1 is what was found.
    """

    examples: ClassVar[Sequence[tuple[str, str]]]
    """What each is for, and the command line."""
    exits: ClassVar[Mapping[int, str]]
    """What each exit status means."""
    resume: ClassVar[str]
    """What is said to who interrupts it: what stays, and how to go on."""
    interrupted: ClassVar[int] = INTERRUPTED
    formats: ClassVar[Sequence[str]] = ("text", "json")

    def create_parser(self, prog_name: str, subcommand: str, **kwargs: Any) -> CommandParser:
        """Return a parser whose help ends with examples and exit statuses."""
        examples = [f"  # {says}\n  {line}" for says, line in self.examples]
        exits = [f"  {status}  {says}" for status, says in self.exits.items()]
        epilog = "\n".join(["Examples:", *examples, "", "Exit status:", *exits])
        return super().create_parser(prog_name, subcommand, epilog=epilog, formatter_class=AsLaidOut, **kwargs)

    def add_arguments(self, parser: CommandParser) -> None:
        """Declare the option that every command has."""
        parser.add_argument(
            "--format", choices=self.formats, default="text", help="How to print it (default: %(default)s)."
        )

    def execute(self, *args: Any, **options: Any) -> str | None:
        """Run; turn whatever cannot go on into one line and an exit status."""
        try:
            with could_not_run():
                output = super().execute(*args, **options)
                self.stdout.flush()  # what cannot be written is not done
        except KeyboardInterrupt:
            raise CommandError(f"Interrupted. {self.resume}", returncode=self.interrupted) from None
        except CommandError as error:
            if error.returncode == 1:  # Django's own, as where a check fails
                error.returncode = COULD_NOT_RUN
            raise
        return output

    def run_from_argv(self, argv: list[str]) -> None:
        """Run as from the command line."""
        with _unread_output_dropped(), _Unexpected():
            super().run_from_argv(argv)


class _Unexpected(AbstractContextManager[None]):
    """Exits with COULD_NOT_RUN after a mistake in the program, whose traceback it prints."""

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        if isinstance(error, Exception):
            traceback.print_exception(error)
            sys.exit(COULD_NOT_RUN)


@contextmanager
def _unread_output_dropped() -> Iterator[None]:
    """Let Python not complain, with an exit status of its own, about output that nobody takes any more."""
    try:
        yield
    finally:
        try:
            sys.stdout.flush()
        except OSError:
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
