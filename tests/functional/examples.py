"""What pages of docs/ are carried out in: the example project, the service's folder, and databases of their own."""

from __future__ import annotations

import ast
import shutil
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from django.db import connection

from tests.functional.blocks import printed
from tests.processes import ROOT

DRIVERS = {"postgresql": ("psycopg", "psycopg-binary"), "mysql": ("mysqlclient",)}
# What a project of somebody else's sets, from the page about its database.
OPTIONS = {
    vendor: ast.literal_eval("{" + printed(page, '"OPTIONS": ') + "}")
    for vendor, page in (("postgresql", "how-to/postgresql.md"), ("mysql", "how-to/mariadb.md"))
}
SHOP = Path("examples", "shop")


def shop(clone: Path, settings: dict[str, Any]) -> Path:
    """Copy the example project to where a clone has it, on the database that the settings name; return its folder."""
    shutil.copytree(ROOT / SHOP, clone / SHOP)
    if settings:
        with (clone / SHOP / "project" / "settings.py").open("a") as file:
            file.write(f"DATABASES = {{'default': {settings!r}}}\n")
    return clone / SHOP


@contextmanager
def database() -> Iterator[dict[str, Any]]:
    """Yield what settings say of a new database of the kind that the test runs on; nothing for the example's own."""
    if connection.vendor == "sqlite":
        yield {}
        return
    here = connection.settings_dict
    settings = {name: here[name] for name in ("ENGINE", "HOST", "PORT", "USER", "PASSWORD")}
    settings |= {"NAME": f"{here['NAME']}_page", **OPTIONS[connection.vendor]}
    collated = " CHARACTER SET utf8mb4 COLLATE utf8mb4_nopad_bin" if connection.vendor == "mysql" else ""
    with dropped(settings["NAME"]) as quoted:
        with connection.cursor() as cursor:
            cursor.execute(f"CREATE DATABASE {quoted}{collated}")
        yield settings


@contextmanager
def dropped(name: str) -> Iterator[str]:
    """Yield the quoted name of a database that will be made, and drop it in the end."""
    quoted = connection.ops.quote_name(name)
    forced = " WITH (FORCE)" if connection.vendor == "postgresql" else ""
    try:
        yield quoted
    finally:
        with connection.cursor() as cursor:
            cursor.execute(f"DROP DATABASE IF EXISTS {quoted}{forced}")


def script(path: Path, text: str) -> None:
    """Write a program for the shell."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f"#!/bin/sh\n{text}\n")
    path.chmod(0o755)


def interpreter(folder: Path) -> None:
    """Let ``.venv/bin/python`` in a folder be what runs this test."""
    # A link would be asked for the packages of an environment that is not there.
    script(folder / ".venv" / "bin" / "python", f'exec {sys.executable} "$@"')
