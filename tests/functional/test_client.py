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
from tests.integration.api.conftest import PASSWORD, permitted
from tests.processes import ROOT, served

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.long]

PAGE = (ROOT / "docs" / "how-to" / "use-the-api.md").read_text()
BLOCKS = re.compile(r"^```(python|sh)\n(.*?)^```\n\n```text\n(.*?)^```$", re.MULTILINE | re.DOTALL)
SCRIPTS = {language: (script, printed) for language, script, printed in BLOCKS.findall(PAGE)}
COMMANDS = {"python": [sys.executable, "-c"], "sh": ["bash", "-euo", "pipefail", "-c"]}


@pytest.mark.parametrize(
    "language",
    ["python", pytest.param("sh", marks=pytest.mark.skipif(not shutil.which("curl"), reason="curl is not there"))],
)
def test_a_script_does_what_its_page_says(language: str) -> None:
    script, printed = SCRIPTS[language]
    user = User.objects.create_user("finn", password=PASSWORD)
    permitted(user, "add_expense", "change_expense", "view_all_expenses")
    with served() as address:
        who = {"EXPENSES_URL": address, "EXPENSES_USER": "finn", "EXPENSES_PASSWORD": PASSWORD}
        ran = subprocess.run(
            [*COMMANDS[language], script], env={**os.environ, **who}, capture_output=True, text=True, check=False
        )
    assert (ran.returncode, ran.stdout, ran.stderr) == (0, printed, "")
    assert_totals_match()
