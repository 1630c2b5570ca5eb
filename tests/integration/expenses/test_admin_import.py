"""Import in the admin: a file is looked at line by line before anything is written, and then does just that."""

from __future__ import annotations

import csv
import datetime as dt
import io
import random
from decimal import Decimal
from typing import Any

import pytest
from django.contrib.auth import get_user_model
from django.contrib.auth.models import Permission
from django.core.files.uploadedfile import SimpleUploadedFile
from django.test import Client
from django.utils import timezone

from expenses import admin_import, months
from expenses.models import Category, Expense, ExpenseUpload, ExpenseWrite, Status
from expenses.uploads import MAX_BYTES
from tests.integration.expenses.admin_pages import EXPENSES, expense
from tests.integration.expenses.conftest import HEADER
from tests.integration.expenses.live import assert_totals_are_live

pytestmark = pytest.mark.django_db

IMPORT = f"{EXPENSES}import/"
REJECTS = f"{IMPORT}rejects/"


def upload(client: Client, *lines: str, raw: bytes | None = None, name: str = "march.csv") -> Any:
    content = "\n".join([HEADER, *lines, ""]).encode() if raw is None else raw
    return client.post(IMPORT, {"do": "upload", "file": SimpleUploadedFile(name, content)}, follow=True)


def proposed(client: Client) -> dict[str, Any]:
    """Return the options as the page proposes them."""
    form = client.get(IMPORT).context["options_form"]
    return {name: form[name].value() or "" for name in form.fields if form[name].value()}


def looked(client: Client, **options: Any) -> Any:
    """Return the page that shows what would be imported."""
    given = {"currency": "EUR", **proposed(client), **options, "do": "preview"}
    return client.post(IMPORT, {name: value for name, value in given.items() if value != ""}, follow=True)


def imported(client: Client) -> Any:
    return client.post(IMPORT, {"do": "import"}, follow=True)


def said(response: Any) -> str:
    return " ".join(str(message) for message in response.context["messages"])


def outcomes(response: Any) -> list[tuple[int, str]]:
    return [(line.number, line.outcome) for line in response.context["foresight"].window.lines]


def counts(report: dict[str, Any]) -> list[int]:
    names = ("rows", "added", "unchanged", "rejected", "owners_created", "categories_created")
    return [report[name] for name in names]


@pytest.mark.guarantee("admin: import", "exact")
def test_a_file_is_looked_at_line_by_line_and_then_imported_as_it_was_shown(admin_client: Client) -> None:
    page = upload(admin_client, "1,anna,Taxi,2026-01-31,12.50", "2,anna,,2026-02-01,-3", "3,bob,Taxi,2026-02-30,1")
    assert proposed(admin_client)["owner_column"] == "owner"
    assert "march.csv" in page.content.decode()
    page = looked(admin_client)
    assert outcomes(page) == [(2, "added"), (3, "added"), (4, "rejected")]
    text = page.content.decode()
    assert "no day of the calendar" in text
    assert "Import 2 expenses" in text
    assert "EUR 9.50" in text
    assert counts(page.context["report"]) == [3, 2, 0, 1, 1, 1]
    assert not Expense.objects.exists()
    assert not Category.objects.exists()
    assert not get_user_model().objects.filter(username="anna").exists()
    page = imported(admin_client)
    assert said(page) == "3 rows: 2 added, 0 unchanged, 1 rejected."
    assert counts(page.context["report"]) == [3, 2, 0, 1, 1, 1]
    assert_totals_are_live()
    write = ExpenseWrite.objects.get()
    assert (write.actor_name, write.via, write.expenses) == ("admin", f"POST {IMPORT}", 2)
    assert said(imported(admin_client)) == "3 rows: 0 added, 2 unchanged, 1 rejected."
    assert Expense.objects.count() == 2


def test_rejected_lines_come_back_as_a_file_before_the_import_and_after_it(admin_client: Client) -> None:
    upload(admin_client, "1,anna,Taxi,2026-01-31,12.50", "2,anna,Taxi,x,1.00", "3,anna,Taxi,2026-01-31,y")
    looked(admin_client)
    before = admin_client.get(REJECTS)
    imported(admin_client)
    after = admin_client.get(REJECTS)
    for response in (before, after):
        found = list(csv.DictReader(io.StringIO(response.content.decode("utf-8-sig"))))
        assert [(row["line"], row["id"], row["amount"]) for row in found] == [("3", "2", "1.00"), ("4", "3", "y")]


def test_repeats_and_other_content_and_closed_months_are_told_apart(admin_client: Client) -> None:
    lines = ["1,anna,Taxi,2026-01-31,12.50", "2,anna,Taxi,2026-02-01,1.00"]
    upload(admin_client, *lines)
    looked(admin_client)
    imported(admin_client)
    months.close(dt.date(2026, 3, 1), None, timezone.now())
    upload(
        admin_client, lines[0], "2,anna,Taxi,2026-02-01,9.00", "3,anna,Taxi,2026-03-05,1.00",
        "4,anna,Hotel,2026-02-05,1.00", "4,anna,Hotel,2026-02-05,1.00", "4,anna,Hotel,2026-02-05,2.00",
    )  # fmt: skip
    page = looked(admin_client)
    assert outcomes(page) == [
        (2, "unchanged"), (3, "rejected"), (4, "rejected"), (5, "added"), (6, "unchanged"), (7, "rejected"),
    ]  # fmt: skip
    assert "2026-03 is closed" in page.content.decode()
    assert said(imported(admin_client)) == "6 rows: 1 added, 2 unchanged, 3 rejected."
    assert_totals_are_live()


def test_what_is_foreseen_is_what_the_import_does(admin_client: Client) -> None:
    chance = random.Random(11)
    months.close(dt.date(2026, 2, 1), None, timezone.now())
    for round_ in range(3):
        lines = [
            ",".join(
                (
                    str(chance.randint(1, 60)),
                    chance.choice(["anna", "bob", "cleo", "", "a b"]),
                    chance.choice(["Taxi", "Hotel", f"New {round_}", ""]),
                    chance.choice(["2026-01-05", "2026-03-05", "2026-02-05", "2026-02-30"]),
                    chance.choice(["1.00", "2.00", "2.005", "x"]),
                )
            )
            for _ in range(80)
        ]
        upload(admin_client, *lines)
        foreseen = looked(admin_client).context["report"]
        assert imported(admin_client).context["report"] == foreseen
    assert_totals_are_live()


def test_all_or_nothing_offers_no_import_where_a_line_is_bad(admin_client: Client) -> None:
    upload(admin_client, "1,anna,Taxi,2026-01-31,12.50", "2,anna,Taxi,x,1.00")
    page = looked(admin_client, strict="on")
    assert "Nothing would go in" in page.content.decode()
    assert 'id="import-apply"' not in page.content.decode()
    imported(admin_client)
    assert not Expense.objects.exists()


def test_another_dialect_is_recognised_and_other_columns_are_chosen(admin_client: Client) -> None:
    text = "NR;NAME;ART;TAG;BETRAG;Währung\n7;anna;Bücher;31/01/2026;1.234,50;EUR\n"
    upload(admin_client, raw=text.encode("cp1252"))
    given = proposed(admin_client)
    assert (given["delimiter"], given["encoding"], given["id_column"]) == (";", "cp1252", "NR")
    chosen = {
        "owner_column": "NAME", "category_column": "ART", "date_column": "TAG", "amount_column": "BETRAG",
        "currency_column": "Währung", "currency": "", "decimal_comma": "on", "date_format": "%d/%m/%Y",
        "source": "payroll",
    }  # fmt: skip
    page = looked(admin_client, **chosen)
    assert outcomes(page) == [(2, "added")]
    imported(admin_client)
    [one] = Expense.objects.select_related("category")
    assert (one.amount, one.category and one.category.name, one.spent_on) == (
        Decimal("1234.5"), "Bücher", dt.date(2026, 1, 31),
    )  # fmt: skip


def test_what_the_list_exports_can_be_imported_again(admin_client: Client, owner: Any) -> None:
    expense(owner, category=Category.objects.create(name="Taxi"), status=Status.APPROVED, description="Airport")
    response: Any = admin_client.get(f"{EXPENSES}export/")
    upload(admin_client, raw=b"".join(response.streaming_content))
    page = looked(admin_client, currency="")
    assert outcomes(page) == [(2, "added")]
    assert proposed(admin_client)["description_column"] == "description"


@pytest.mark.parametrize(
    ("options", "reason"),
    [
        ({"currency": ""}, "Say which currency the amounts are in: give either currency or currency column."),
        ({"currency": "XXX"}, "is not an ISO 4217 currency code"),
        ({"date_format": "%d"}, "does not describe a whole date"),
        ({"owner_column": ""}, "This field is required."),
        ({"owner_column": "gone"}, "Select a valid choice"),
        ({"delimiter": ";"}, "Select a valid choice"),
        ({"encoding": "rot13"}, "Select a valid choice"),
    ],
)
def test_options_that_no_import_can_have_are_asked_for_again(
    admin_client: Client, options: dict[str, str], reason: str
) -> None:
    upload(admin_client, "1,anna,Taxi,2026-01-31,12.50")
    page = looked(admin_client, **options)
    assert page.status_code == 200
    assert reason in page.content.decode().replace("&#x27;", "'")
    assert ExpenseUpload.objects.get().options == {}
    assert "Look at what would be imported first." in said(imported(admin_client))


@pytest.mark.parametrize(
    "raw", [b"", b"\n", b"\xff\xfe\x00", b"\0\0\0", b"id,id,owner\n1,2,3\n", b'"' + b"x" * 200_000, b"\xff" * 50]
)
def test_no_file_brings_the_page_down(admin_client: Client, raw: bytes) -> None:
    assert upload(admin_client, raw=raw).status_code == 200
    if ExpenseUpload.objects.exists():
        assert looked(admin_client).status_code == 200
    assert not Expense.objects.exists()


def test_two_columns_of_one_name_are_told(admin_client: Client) -> None:
    upload(admin_client, raw=f"{HEADER},id\n1,anna,Taxi,2026-01-31,12.50,2\n".encode())
    page = looked(admin_client)
    assert "2 columns named" in page.content.decode()
    assert "2 columns named" in said(imported(admin_client)).replace("&#x27;", "'")
    assert b"2 columns named" in admin_client.get(REJECTS).content


def test_what_a_file_says_is_text_on_the_page(admin_client: Client) -> None:
    upload(admin_client, "<script>1</script>,anna,<script>2</script>,2026-01-31,1", name="<script>3.csv")
    page = looked(admin_client).content.decode() + imported(admin_client).content.decode()
    assert "<script>2" not in page
    assert "<script>3" not in page
    assert "&lt;script&gt;2" in page


def test_a_file_that_is_too_large_is_refused_before_it_is_read(
    admin_client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    response = upload(admin_client, raw=b"x" * (MAX_BYTES + admin_import.AROUND + 1))
    assert "more than 5 MB" in said(response)
    monkeypatch.setattr("expenses.admin_import_forms.MAX_BYTES", 10)
    response = upload(admin_client, "1,anna,Taxi,2026-01-31,12.50")
    assert "more than 5 MB" in response.content.decode()
    assert not ExpenseUpload.objects.exists()


def test_many_lines_are_shown_a_part_at_a_time(admin_client: Client) -> None:
    upload(admin_client, *(f"{number},anna,Taxi,2026-01-31,1" for number in range(450)))
    page = looked(admin_client)
    assert [number for number, _ in outcomes(page)] == list(range(2, 202))
    assert 'href="?from=202"' in page.content.decode()
    page = admin_client.get(f"{IMPORT}?from=402")
    assert [number for number, _ in outcomes(page)] == list(range(402, 452))
    assert 'id="import-next"' not in page.content.decode()
    assert len(outcomes(admin_client.get(f"{IMPORT}?from=x"))) == 200


def test_a_file_is_put_away_and_replaced(admin_client: Client) -> None:
    assert "no file to import" in said(imported(admin_client))
    assert admin_client.get(REJECTS).status_code == 404
    upload(admin_client, "1,anna,Taxi,2026-01-31,12.50")
    looked(admin_client)
    upload(admin_client, "2,anna,Taxi,2026-01-31,1")
    assert ExpenseUpload.objects.get().options == {}
    admin_client.post(IMPORT, {"do": "discard"})
    assert not ExpenseUpload.objects.exists()


def test_a_file_that_nobody_came_back_to_is_forgotten(admin_client: Client, owner: Any) -> None:
    long_ago = timezone.now() - dt.timedelta(days=8)
    ExpenseUpload.objects.create(user=owner, name="old.csv", content=b"", uploaded_at=long_ago)
    upload(admin_client, "1,anna,Taxi,2026-01-31,12.50")
    assert [str(one) for one in ExpenseUpload.objects.all()] == ["march.csv"]


def test_it_takes_the_permissions_to_add_and_to_see_everybody_and_a_token(admin_client: Client) -> None:
    for codenames, status in (
        (("view_expense", "add_expense"), 403),
        (("view_expense", "view_all_expenses"), 403),
        (("view_expense", "add_expense", "view_all_expenses"), 200),
    ):
        user = get_user_model().objects.create_user(f"staff{status}{len(codenames)}{codenames[1]}", is_staff=True)
        user.user_permissions.set(Permission.objects.filter(codename__in=codenames))
        client = Client()
        client.force_login(user)
        assert client.get(IMPORT).status_code == status
        assert upload(client, "1,anna,Taxi,2026-01-31,1").status_code == status
        assert client.get(REJECTS).status_code == (403 if status == 403 else 404)
        assert (b'id="import-link"' in client.get(EXPENSES).content) == (status == 200)
    assert ExpenseUpload.objects.count() == 1
    assert "march.csv" not in admin_client.get(IMPORT).content.decode()
    assert Client().get(IMPORT).status_code == 302
    strict = Client(enforce_csrf_checks=True)
    strict.cookies = admin_client.cookies
    assert strict.post(IMPORT, {"do": "discard"}).status_code == 403
