"""Where pages of docs/ are carried out."""

from __future__ import annotations

from pathlib import Path

import pytest
from django.db import connection

from tests.functional.examples import DRIVERS, interpreter
from tests.functional.hosts import Host, new_host
from tests.processes import ROOT


@pytest.fixture(scope="session")
def shopkeeper(tmp_path_factory: pytest.TempPathFactory) -> Host:
    """Return an environment with the wheel and the driver of this database, and nothing of the service."""
    made = new_host(tmp_path_factory)
    made.lend(*DRIVERS.get(connection.vendor, ()))
    return made


@pytest.fixture
def clone(tmp_path: Path) -> Path:
    """Return a folder with the service in it, as far as commands are concerned."""
    interpreter(tmp_path)
    (tmp_path / "manage.py").symlink_to(ROOT / "manage.py")
    return tmp_path
