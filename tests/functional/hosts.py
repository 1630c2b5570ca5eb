"""Projects of other people's: an environment of their own, with the wheel in it and nothing of the service."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import venv
from collections.abc import Iterable, Mapping
from functools import cache
from importlib import metadata
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from tests import programs
from tests.processes import PATIENCE, ROOT

NAME = "django-running-totals"
PACKAGED = ("aggregates", "api", "config", "expenses", "LICENSE", "README.md", "pyproject.toml")
# The setuptools that the tests require builds it: nothing is asked of the network, and nothing can be away.
OFFLINE = ("--quiet", "--no-index", "--no-deps", "--no-build-isolation", "--disable-pip-version-check")


class Host:
    """A fresh virtual environment with the wheel and what the wheel says it needs, and a folder to work in.

    What it needs is what runs this test, lent one distribution at a time by symbolic links: those that the
    wheel does not ask for cannot be imported.
    """

    def __init__(self, folder: Path, wheel: Path) -> None:
        self.environment = folder / "venv"
        self.folder = folder / "work"
        self.folder.mkdir()
        venv.create(self.environment, symlinks=True)
        self.python = self.environment / "bin" / "python"
        pip("--python", str(self.python), "install", *OFFLINE, str(wheel))
        (self.packages,) = self.environment.glob("lib/python*/site-packages")
        (found,) = metadata.distributions(name=NAME, path=[str(self.packages)])
        self.lend(*(found.requires or ()))

    def lend(self, *requirements: str) -> None:
        """Make the distributions importable that satisfy the requirements, and those that they require."""
        for name in _closure(requirements):
            for entry in _entries(name):
                if not (place := self.packages / entry.name).exists():
                    place.symlink_to(entry)
            for script in metadata.distribution(name).entry_points.select(group="console_scripts"):
                self._install(script)

    def _install(self, script: metadata.EntryPoint) -> None:
        place = self.environment / "bin" / script.name
        call = f"import sys\nfrom {script.module} import {script.attr} as main\nsys.exit(main())\n"
        place.write_text(f"#!{self.python}\n{call}")
        place.chmod(0o755)

    def variables(self, given: Mapping[str, str] | None = None) -> dict[str, str]:
        """Return the environment variables of somebody who has activated it."""
        left_out = {*programs.OURS, "PYTHONPATH", "PYTHONHOME"}
        kept = {name: value for name, value in os.environ.items() if name not in left_out}
        path = f"{self.environment / 'bin'}{os.pathsep}{kept['PATH']}"
        return {**kept, "PATH": path, "VIRTUAL_ENV": str(self.environment), **(given or {})}

    def run(self, *command: str, cwd: Path | None = None) -> subprocess.CompletedProcess[str]:
        """Run a program of the environment to its end."""
        return subprocess.run(
            [str(self.environment / "bin" / command[0]), *command[1:]],
            cwd=cwd or self.folder,
            env=self.variables(),
            capture_output=True,
            text=True,
            timeout=PATIENCE * 2,
            check=False,
        )


def new_host(factory: pytest.TempPathFactory) -> Host:
    """Return a host in a folder of its own, with a wheel that was built for it."""
    folder = factory.mktemp("host")
    return Host(folder, build(folder))


def build(folder: Path) -> Path:
    """Build the wheel from a copy of the project, as ``pip wheel .`` does, and return where it is."""
    copy = folder / "copy"  # a build leaves its own folders behind
    copy.mkdir()
    for name in PACKAGED:
        whole = (ROOT / name).is_dir()
        (shutil.copytree if whole else shutil.copy2)(ROOT / name, copy / name)
    pip("wheel", *OFFLINE, "--wheel-dir", str(folder), str(copy))
    (wheel,) = folder.glob("*.whl")
    return wheel


def pip(*arguments: str) -> None:
    """Run pip; raise with what it said where it fails."""
    ran = subprocess.run(
        [sys.executable, "-m", "pip", *arguments], capture_output=True, text=True, timeout=PATIENCE, check=False
    )
    assert ran.returncode == 0, ran.stdout + ran.stderr


def _closure(requirements: Iterable[str]) -> set[str]:
    """Return the names of the distributions that requirements need, on this machine and without extras."""
    found: set[str] = set()
    waiting = [Requirement(text) for text in requirements]
    while waiting:
        requirement = waiting.pop()
        name = canonicalize_name(requirement.name)
        if name in found or (requirement.marker and not requirement.marker.evaluate({"extra": ""})):
            continue
        here = metadata.distribution(name)
        assert requirement.specifier.contains(here.version, prereleases=True), (requirement, here.version)
        found.add(name)
        waiting += [Requirement(text) for text in here.requires or ()]
    return found


@cache
def _entries(name: str) -> list[Path]:
    """Return the files and folders at the top of site-packages that belong to a distribution."""
    here = metadata.distribution(name)
    tops = {file.parts[0] for file in here.files or ()} - {"..", "__pycache__"}
    return [Path(str(here.locate_file(top))) for top in sorted(tops)]
