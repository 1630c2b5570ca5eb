"""The scripts of docs/how-to/use-the-api.md, run as they are printed there against the service."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys

import pytest
from django.contrib.auth.models import User

from tests.exactness import assert_totals_match
from tests.functional.blocks import printed
from tests.integration.api.conftest import PASSWORD, permitted
from tests.processes import served

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.long]

PAGE = "how-to/use-the-api.md"
# Which script, and what it prints.
SCRIPTS = {
    "python": (printed(PAGE, "import os"), printed(PAGE, "imported 3")),
    "sh": (printed(PAGE, "API="), printed(PAGE, "3\n")),
}
SETTINGS = re.findall(r"(\w+)=", printed(PAGE, "$ export"))
COMMANDS = {"python": [sys.executable, "-c"], "sh": ["bash", "-euo", "pipefail", "-c"]}


@pytest.mark.parametrize(
    "language",
    ["python", pytest.param("sh", marks=pytest.mark.skipif(not shutil.which("curl"), reason="curl is not there"))],
)
def test_a_script_does_what_its_page_says(language: str) -> None:
    script, shown = SCRIPTS[language]
    user = User.objects.create_user("finn", password=PASSWORD)
    permitted(user, "add_expense", "change_expense", "view_all_expenses")
    with served() as address:
        who = dict(zip(SETTINGS, (address, "finn", PASSWORD), strict=True))
        ran = subprocess.run(
            [*COMMANDS[language], script], env={**os.environ, **who}, capture_output=True, text=True, check=False
        )
    assert (ran.returncode, ran.stdout, ran.stderr) == (0, shown, "")
    assert_totals_match()
