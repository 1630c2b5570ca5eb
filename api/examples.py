"""Examples in the schema: of each body that is sent, and of each that comes back when all is well."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterable, Mapping
from typing import Any

HOST = "https://expenses.example"
EXPENSES = f"{HOST}/api/v1/expenses/"
TIME = "2026-02-01T09:30:00.000000Z"
RUN_ID = "0198c0de-7c1e-4000-8000-00000000000b"

CATEGORY = {"id": 3, "name": "Travel"}
NEW_EXPENSE = {
    "id": "0198b5a2-7c1e-7000-8000-000000000001",
    "amount": "12.50",
    "currency": "EUR",
    "spent_on": "2026-01-31",
    "category": None,
    "status": "submitted",
    "description": "Taxi to the station",
}
EXPENSE = {
    **NEW_EXPENSE,
    "owner": 1,
    "owner_name": "olga",
    "category": 3,
    "category_name": "Travel",
    "created_at": TIME,
    "updated_at": TIME,
}
SECOND = {"amount": "-3.20", "currency": "EUR", "spent_on": "2026-01-31", "description": "A refund"}
FILE = "id,user,category,date,amount\n1,olga,Travel,2026-01-31,12.50\n2,olga,,2026-01-31,-3.20\n"
LINES = '{"id": "1", "user": "olga", "category": "Travel", "date": "2026-01-31", "amount": "12.50"}\n'
REPORT = {
    "source": "import",
    "rows": 2,
    "added": 2,
    "unchanged": 0,
    "rejected": 0,
    "owners_created": 0,
    "categories_created": 1,
    "sums": {"added": {"EUR": {"count": 2, "sum": "9.30"}}, "unchanged": {}},
    "rejections": [],
    "rejections_left_out": 0,
}
COLUMNS = {"id": "id", "owner": "user", "category": "category", "date": "date", "amount": "amount"}
TOTAL = {
    "category": 3,
    "category_name": "Travel",
    "month": "2026-01",
    "currency": "EUR",
    "sum": "12.50",
    "average": "12.50",
    "count": 1,
    "expenses": f"{EXPENSES}?category=3&currency=EUR&status=approved,submitted&from=2026-01-01&to=2026-02-01",
}
TOTALS = {
    "count": 1,
    "next": None,
    "previous": None,
    "as_of": TIME,
    "verified_at": "2026-02-01T03:00:00Z",
    "closed_months": ["2025-12"],
    "results": [TOTAL],
}
MONTH = {"month": "2025-12", "closed": True, "closed_at": TIME, "closed_by": 4, "closed_by_name": "clara"}
OPENED = {**MONTH, "closed": False, "closed_at": None, "closed_by": None, "closed_by_name": None}
SHOWN = ("owner", "category", "category_name", "amount", "currency", "spent_on", "status", "description")
IMAGE = {name: EXPENSE[name] for name in SHOWN}
WRITE = {
    "at": TIME,
    "kind": "changed",
    "actor": 4,
    "actor_name": "clara",
    "via": f"PATCH /api/v1/expenses/{NEW_EXPENSE['id']}/",
    "changed": ["status"],
    "before": IMAGE,
    "after": {**IMAGE, "status": "approved"},
}


def _csv(*rows: Iterable[Any]) -> str:
    file = io.StringIO(newline="")
    csv.writer(file).writerows(rows)
    return file.getvalue()


def _run(kind: str, **options: bool) -> dict[str, Any]:
    return {
        "id": RUN_ID,
        "kind": kind,
        "state": "complete",
        "options": options,
        "started_at": TIME,
        "heartbeat_at": TIME,
        "finished_at": TIME,
        "chunks": 12,
        "chunks_done": 12,
        "buckets": 41200,
        "drifted": 0,
        "corrected": 0,
        "error": "",
        "url": f"{HOST}/api/v1/totals/{kind}/{RUN_ID}/",
    }


REBUILD = _run("rebuild", from_scratch=False, dry_run=False)
VERIFY = {"clean": True, "verified_at": TIME, "drift": [], "run": _run("verify")}


def _page(*rows: Any) -> dict[str, Any]:
    return {"count": len(rows), "next": None, "previous": None, "results": list(rows)}


JSON = "application/json"
# By path and method, then by media type.
SENT: Mapping[tuple[str, str], Mapping[str, Any]] = {
    ("/api/v1/auth/login/", "post"): {JSON: {"username": "olga", "password": "correct horse battery"}},
    ("/api/v1/categories/", "post"): {JSON: {"name": "Travel"}},
    ("/api/v1/categories/{id}/", "put"): {JSON: {"name": "Trips"}},
    ("/api/v1/categories/{id}/", "patch"): {JSON: {"name": "Trips"}},
    ("/api/v1/categories/{id}/merge/", "post"): {JSON: {"into": 3}},
    ("/api/v1/expenses/", "post"): {JSON: NEW_EXPENSE},
    ("/api/v1/expenses/bulk/", "post"): {JSON: [NEW_EXPENSE, SECOND]},
    ("/api/v1/expenses/import/", "post"): {
        "text/csv": FILE,
        "application/jsonl": LINES,
        "application/x-ndjson": LINES,
    },
    ("/api/v1/expenses/{id}/", "put"): {JSON: SECOND},
    ("/api/v1/expenses/{id}/", "patch"): {JSON: {"status": "approved"}},
    ("/api/v1/totals/rebuild/", "post"): {JSON: {"from_scratch": False, "dry_run": True}},
}
ANSWERED: Mapping[tuple[str, str], Mapping[str, Any]] = {
    ("/api/v1/auth/login/", "post"): {JSON: {"token": "9c1a…", "expiry": TIME}},
    ("/api/v1/categories/", "get"): {JSON: _page(CATEGORY)},
    ("/api/v1/categories/", "post"): {JSON: CATEGORY},
    ("/api/v1/categories/{id}/", "get"): {JSON: CATEGORY},
    ("/api/v1/categories/{id}/", "put"): {JSON: {**CATEGORY, "name": "Trips"}},
    ("/api/v1/categories/{id}/", "patch"): {JSON: {**CATEGORY, "name": "Trips"}},
    ("/api/v1/categories/{id}/merge/", "post"): {JSON: {"category": CATEGORY, "moved": 128}},
    ("/api/v1/expenses/", "get"): {JSON: _page(EXPENSE)},
    ("/api/v1/expenses/", "post"): {JSON: EXPENSE},
    ("/api/v1/expenses/bulk/", "post"): {JSON: {"created": 1, "unchanged": 0, "results": [EXPENSE]}},
    ("/api/v1/expenses/import/", "post"): {JSON: REPORT},
    ("/api/v1/expenses/{id}/", "get"): {JSON: EXPENSE},
    ("/api/v1/expenses/{id}/", "put"): {JSON: {**EXPENSE, **SECOND, "category": None, "category_name": None}},
    ("/api/v1/expenses/{id}/", "patch"): {JSON: {**EXPENSE, "status": "approved"}},
    ("/api/v1/expenses/{id}/history/", "get"): {JSON: _page(WRITE)},
    ("/api/v1/months/", "get"): {JSON: _page(MONTH)},
    ("/api/v1/months/{month}/close/", "post"): {JSON: MONTH},
    ("/api/v1/months/{month}/reopen/", "post"): {JSON: OPENED},
    ("/api/v1/totals/", "get"): {
        JSON: TOTALS,
        "text/csv": _csv(TOTAL, TOTAL.values()),
        "application/jsonl": f"{json.dumps(TOTAL)}\n",
    },
    ("/api/v1/totals/rebuild/", "post"): {JSON: REBUILD},
    ("/api/v1/totals/rebuild/{id}/", "get"): {JSON: REBUILD},
    ("/api/v1/totals/rebuild/{id}/", "post"): {JSON: REBUILD},
    ("/api/v1/totals/verify/", "get"): {JSON: VERIFY},
    ("/api/v1/totals/verify/", "post"): {JSON: VERIFY},
    ("/api/v1/totals/verify/{id}/", "get"): {JSON: VERIFY},
    ("/api/v1/totals/verify/{id}/", "post"): {JSON: VERIFY},
}


def add(result: dict[str, Any]) -> None:
    """Put the examples into a schema, where it has no others."""
    for path, methods in result["paths"].items():
        for method, operation in methods.items():
            _show(operation.get("requestBody", {}), SENT.get((path, method), {}))
            for status, response in operation["responses"].items():
                if status.startswith("2"):
                    _show(response, ANSWERED.get((path, method), {}))
    for parameter in result["paths"]["/api/v1/expenses/import/"]["post"]["parameters"]:
        name = parameter["name"].removesuffix("_column")
        if parameter["name"] != name and name in COLUMNS:
            parameter["example"] = COLUMNS[name]
        if name == "currency":
            parameter["example"] = "EUR"


def _show(body: dict[str, Any], examples: Mapping[str, Any]) -> None:
    for media_type, value in examples.items():
        if content := body.get("content", {}).get(media_type):
            content.setdefault("example", value)
