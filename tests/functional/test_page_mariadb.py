"""docs/how-to/mariadb.md: its commands make a database, and mend one that was made otherwise."""

from __future__ import annotations

import re
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from django.db import connection

from tests.functional.blocks import steps_of
from tests.functional.examples import dropped
from tests.functional.pages import carry_out
from tests.processes import environment, manage

pytestmark = [
    pytest.mark.skipif(connection.vendor != "mysql", reason="the page is about MariaDB"),
    pytest.mark.skipif(not shutil.which("mariadb"), reason="MariaDB's client is not there"),
    pytest.mark.django_db(transaction=True),
    pytest.mark.long,
]

PAGE = "how-to/mariadb.md"
CREATE = steps_of(PAGE, "Make the database")
CONVERT = steps_of(PAGE, "A database that is there already")
FILE = "id,user,category,date,amount\n1,ada,Travel,2026-02-03,12.50\n2,ben,Meals,2026-02-03,3.20\n"
COLUMNS = ["--id-column=id", "--owner-column=user", "--category-column=category", "--date-column=date"]


class Database:
    """A database of its own: how it is reached, and what its tables hold."""

    def __init__(self, name: str, home: Path) -> None:
        self.name = name
        self.url = re.sub(r"/[^/]*$", f"/{name}", environment()["DATABASE_URL"])
        at = connection.settings_dict
        lines = [f"host={at['HOST']}", f"port={at['PORT']}", f"user={at['USER']}", f"password={at['PASSWORD']}"]
        (home / ".my.cnf").write_text("\n".join(["[client]", "protocol=tcp", *lines, ""]))
        self.env = {**environment(), "DATABASE_URL": self.url, "HOME": str(home)}

    def carry_out(self, page: str, folder: Path) -> list[str]:
        """Do what a page says, with the address and the name of this database."""
        page = page.replace("mysql://user@127.0.0.1:3306/expenses", self.url)
        return carry_out(page.replace("expenses", self.name), folder, self.env)

    def collations(self) -> set[str]:
        """Return the collations of its text columns, and its own."""
        with connection.cursor() as cursor:
            cursor.execute(
                "SELECT collation_name FROM information_schema.columns "
                "WHERE table_schema = %s AND collation_name IS NOT NULL AND data_type <> 'longtext' UNION "
                "SELECT default_collation_name FROM information_schema.schemata WHERE schema_name = %s",
                [self.name, self.name],
            )
            return {name for (name,) in cursor.fetchall()}


@pytest.fixture
def made(tmp_path: Path) -> Iterator[Database]:
    name = f"{connection.settings_dict['NAME']}_page"
    with dropped(name):
        yield Database(name, tmp_path)


def test_the_database_is_created_and_migrated(made: Database, clone: Path) -> None:
    assert len(made.carry_out(CREATE, clone)) == 2
    assert made.collations() == {"utf8mb4_nopad_bin"}
    assert manage("verify_totals", DATABASE_URL=made.url).stdout.startswith("Clean: ")


def test_a_database_with_another_collation_is_converted(made: Database, clone: Path) -> None:
    quoted = connection.ops.quote_name(made.name)
    with connection.cursor() as cursor:
        cursor.execute(f"CREATE DATABASE {quoted} CHARACTER SET utf8mb4 COLLATE utf8mb4_general_ci")
    assert manage("migrate", "--skip-checks", DATABASE_URL=made.url).returncode == 0
    (clone / "file.csv").write_text(FILE)
    options = [*COLUMNS, "--amount-column=amount", "--currency=EUR"]
    sent = manage("import_expenses", str(clone / "file.csv"), *options, DATABASE_URL=made.url)
    assert sent.returncode == 0, sent.stderr
    refused = manage("check", "--database", "default", DATABASE_URL=made.url)
    assert "aggregates.E017" in refused.stderr
    assert made.carry_out(CONVERT, clone)
    assert made.collations() == {"utf8mb4_nopad_bin"}
    assert "buckets compared" in manage("verify_totals", DATABASE_URL=made.url).stdout
