"""A year of a national senate's reimbursements, as published: the sums are known from elsewhere."""

from __future__ import annotations

import io
import json
import os
from pathlib import Path
from typing import Any

import pytest
from django.core.management import call_command
from django.db.models import Sum

from expenses.models import ExpenseTotals
from tests.integration.expenses.live import assert_totals_are_live, stored

ROOT = Path(__file__).resolve().parents[3]
DATA = Path(os.environ.get("SHARED_DATA", ROOT.parent / "shared" / "data"))
FILE = DATA / "senate-expenses-2020.csv"

pytestmark = [
    pytest.mark.long,
    pytest.mark.django_db,
    pytest.mark.skipif(not FILE.exists(), reason=f"{FILE} is not there; SHARED_DATA names its folder"),
]


def import_it() -> dict[str, Any]:
    out, err = io.StringIO(), io.StringIO()
    with pytest.raises(SystemExit) as ended:
        call_command(
            "import_expenses", str(FILE), "--delimiter", ";", "--encoding", "latin-1", "--decimal-comma",
            "--date-format", "%d/%m/%Y", "--id-column", "COD_DOCUMENTO", "--owner-column", "SENADOR",
            "--category-column", "TIPO_DESPESA", "--date-column", "DATA", "--amount-column", "VALOR_REEMBOLSADO",
            "--currency", "BRL", "--format", "json", stdout=out, stderr=err,
        )  # fmt: skip
    assert ended.value.code == 1
    assert [line.split(":")[0] for line in err.getvalue().splitlines()] == ["line 4512", "line 10124"]
    report: dict[str, Any] = json.loads(out.getvalue())
    return report


def sums(by: Any) -> dict[str, dict[str, Any]]:
    rows = ExpenseTotals.objects.filter(rollup="month").values_list(by).annotate(Sum("amount"), Sum("count")).order_by()
    return {str(key): {"sum": f"{amount:.2f}", "count": count} for key, amount, count in rows}


def test_it_goes_in_exactly_and_again_changes_nothing() -> None:
    expected = json.loads((DATA / "senate-expenses-2020.expected.json").read_text())
    report = import_it()
    assert (report["rows"], report["added"], report["unchanged"], report["rejected"]) == (13_802, 13_800, 0, 2)
    assert report["sums"]["added"] == {"BRL": {"count": 13_800, "sum": "19406724.57"}}
    assert sums("category__name") == expected["by_category"]
    assert sums("owner__username") == expected["by_owner"]
    assert {month[:7]: total for month, total in sums("month").items()} == expected["by_month"]
    assert_totals_are_live()

    before = stored()
    again = import_it()
    assert (again["added"], again["unchanged"], again["rejected"]) == (0, 13_800, 2)
    assert again["sums"]["unchanged"] == report["sums"]["added"]
    assert stored() == before
