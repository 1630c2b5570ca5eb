"""Pages of docs/ carried out as a reader would: files written, commands typed, output compared.

What a page may hold, each part as it is printed:

- `` `path`: `` before a block: the file of that name. ``At the end of `path`:`` adds to it, and
  ``In `path`:`` puts classes in the place of those of the same name.
- A ``console`` block: after ``$`` a command, and below it what it prints. ``…`` stands for anything; where
  nothing is shown, anything may be printed. After ``python manage.py shell`` stands what is typed there.
- Commands share a shell, so ``cd`` and ``&`` mean what they mean to a reader. Each has to succeed; what is left
  running has to print what is shown before the next step.

Other blocks have tests of their own, or are there to be read: ``test_blocks.py`` knows of each.
"""

from __future__ import annotations

import ast
import os
import re
import signal
import subprocess
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import takewhile
from pathlib import Path

from tests.functional.blocks import blocks

DONE = "the command is done, with "
SHELL = "python manage.py shell"
# Doctest knows three dots; a page has one character.
TYPED = """
import doctest, sys
typed = sys.stdin.read().replace("…", "...")
test = doctest.DocTestParser().get_doctest(typed, {}, "the page", None, 0)
sys.exit(min(1, doctest.DocTestRunner(optionflags=doctest.ELLIPSIS).run(test).failed))
"""


@dataclass(frozen=True)
class Command:
    """What is typed, and what the page shows below it."""

    typed: str
    shown: str


@dataclass(frozen=True)
class File:
    """What is written, where, and how: as the whole, at the end, or in the place of what has the same names."""

    path: str
    how: str
    text: str


def steps(page: str) -> Iterator[Command | File]:
    """Yield what a page tells its reader to do, in order."""
    for block in blocks(page):
        if named := block.file:
            yield File(named["path"], named["how"] or "", block.text)
        elif block.is_step:
            yield from _commands(block.text.splitlines())


def _commands(lines: list[str]) -> Iterator[Command]:
    while lines:
        typed, *lines = lines
        assert typed.startswith("$ "), f"{typed!r} belongs to no command"
        while typed.endswith("\\"):
            more, *lines = lines
            typed = typed.removesuffix("\\") + more.strip()
        shown = list(takewhile(lambda line: not line.startswith("$ "), lines))
        lines = lines[len(shown) :]
        yield Command(typed[2:].partition("  #")[0].strip(), "\n".join(shown).strip())


def carry_out(page: str, folder: Path, variables: Mapping[str, str]) -> list[str]:
    """Do in a folder what a page says; raise AssertionError where it goes otherwise. Return what was typed."""
    typed = []
    with Shell(folder, variables) as shell:
        for step in steps(page):
            if isinstance(step, File):
                _write(step, shell.folder())
            else:
                shell.run(step)
                typed.append(step.typed)
    return typed


class Shell:
    """A shell that takes one command after the other; what it leaves running ends with it."""

    def __init__(self, folder: Path, variables: Mapping[str, str]) -> None:
        self._process = subprocess.Popen(
            ["bash", "-u"], cwd=folder, env={**variables}, text=True, bufsize=1, start_new_session=True,
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
        )  # fmt: skip

    def __enter__(self) -> Shell:
        return self

    def __exit__(self, *_raised: object) -> None:
        os.killpg(self._process.pid, signal.SIGKILL)
        self._process.communicate()

    def folder(self) -> Path:
        """Return where the shell stands."""
        return Path(self._answer("pwd")[0].strip())

    def run(self, command: Command) -> None:
        """Type a command, and compare what it prints with what the page shows."""
        if ">>> " in command.shown:
            # The same interpreter, asked whether it answers what the page says.
            assert command.typed.endswith(SHELL)
            typed, expected = f"{command.typed} --no-imports -c '{TYPED}' <<'END'\n{command.shown}\nEND", ""
        else:
            typed, expected = command.typed, command.shown
        printed, status = self._answer(typed)
        while typed.endswith("&") and not _is_shown(printed, expected):
            printed += self._line()
        assert status == 0, f"$ {command.typed}\n{printed}\nexit status {status}"
        assert _is_shown(printed, expected), f"$ {command.typed}\n{printed}\nis not what the page shows:\n{expected}"

    def _answer(self, typed: str) -> tuple[str, int]:
        assert self._process.stdin
        self._process.stdin.write(f"{typed}\nprintf '\\n{DONE}%s\\n' $?\n")
        printed = ""
        while not (line := self._line()).startswith(DONE):
            printed += line
        return printed.strip("\n"), int(line.removeprefix(DONE))

    def _line(self) -> str:
        assert self._process.stdout
        line = self._process.stdout.readline()
        assert line, "the shell has ended"
        return line


def _is_shown(printed: str, shown: str) -> bool:
    pattern = re.escape(shown).replace("…", ".*")
    return not shown or re.fullmatch(pattern, printed.strip(), re.DOTALL) is not None


def _write(step: File, folder: Path) -> None:
    path = folder / step.path
    path.parent.mkdir(parents=True, exist_ok=True)
    if step.how == "In ":
        path.write_text(_replaced(path.read_text(), step.text))
    elif step.how:
        with path.open("a") as file:
            file.write(f"\n{step.text}")
    else:
        path.write_text(step.text)


def _replaced(module: str, text: str) -> str:
    """Return a module with the classes of a text in the place of its own of the same names."""
    for new in ast.parse(text).body:
        assert isinstance(new, ast.ClassDef), f"{ast.unparse(new)} is no class"
        (old,) = [node for node in ast.parse(module).body if isinstance(node, ast.ClassDef) and node.name == new.name]
        lines = module.splitlines()
        lines[old.lineno - 1 : old.end_lineno] = text.splitlines()[new.lineno - 1 : new.end_lineno]
        module = "\n".join([*lines, ""])
    return module
